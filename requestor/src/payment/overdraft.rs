//! The word that a budget does not pay for something any more.

use tokio::sync::watch;

/// Tells the instances of a cluster that the budget does not pay for what they use, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overdraft(watch::Sender<Option<String>>);

impl Overdraft {
    /// Tells why. The first reason stays.
    pub(super) fn report(&self, why: String) {
        self.0.send_if_modified(|told| {
            let is_news = told.is_none();
            told.get_or_insert(why);
            is_news
        });
    }

    /// Waits until there is a reason.
    pub(crate) async fn reported(&self) -> String {
        let mut reports = self.0.subscribe();
        let report = reports.wait_for(Option::is_some).await;
        let report = report.expect("the sender is our own").clone();
        report.unwrap_or_default()
    }
}

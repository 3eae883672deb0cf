//! How an instance gives back what it holds.

use tokio::time::Instant;

use super::Instance;
use crate::{activity::Activity, event::Event, payment::Life, retry::once, yagna::Reason};

impl Instance {
    /// Gives back what it holds, and remembers the provider if it has let us down. What cannot be given back ends on
    /// its own, at the latest with its agreement.
    pub(super) async fn give_back(&mut self) {
        if let Some((activity, since)) = self.activity.take() {
            self.destroy(activity, since).await;
            if let Some(node) = &self.network_node {
                node.leave().await;
            }
        }
        let Some(agreement) = self.agreement.take() else {
            return;
        };
        let (id, provider) = (agreement.id.clone(), agreement.provider_name().to_owned());
        let reason = match &self.cause {
            None => Reason::new("the instance has ended").code("Success"),
            Some(cause) => {
                self.world
                    .market
                    .failed(agreement.provider.clone(), cause.clone());
                Reason::new(cause).code("Failed")
            }
        };
        let yagna = &self.world.yagna;
        match once(|| yagna.terminate_agreement(&id, &reason)).await {
            Ok(()) => {
                self.world.events.send(Event::AgreementTerminated {
                    agreement: id,
                    provider,
                });
            }
            Err(error) => tracing::warn!(agreement = %id, provider, %error, "not terminated"),
        }
    }

    async fn destroy(&self, activity: Activity, since: Instant) {
        let (id, agreement) = (activity.id.clone(), &activity.agreement);
        let provider = agreement.provider_name().to_owned();
        let usage = activity.usage().await.ok();
        match activity.destroy().await {
            Ok(()) => {
                let activity = id.clone();
                self.world
                    .events
                    .send(Event::ActivityDestroyed { activity, provider });
            }
            Err(error) => tracing::warn!(activity = %id, provider, %error, "not destroyed"),
        }
        let life = Life {
            time: since.elapsed(),
            usage,
        };
        self.world.accountant.ended(agreement.id.clone(), id, life);
    }
}

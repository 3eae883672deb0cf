//! Calls that are made again while yagna cannot be reached, or fails for reasons of its own.

use std::time::Duration;

use tokio::time::sleep;

use crate::yagna::{Problem, YagnaError};

/// How often a call is made at the most.
const ATTEMPTS: usize = 5;

/// How long to leave yagna alone after it has failed.
pub(crate) const PAUSE: Duration = Duration::from_secs(2);

/// Makes a call until it succeeds, or fails for good, or has failed often enough.
pub(crate) async fn retried<T, F>(call: impl FnMut() -> F) -> Result<T, YagnaError>
where
    F: Future<Output = Result<T, YagnaError>>,
{
    attempt(call, ATTEMPTS).await.0
}

/// As [`retried`], but as long as yagna cannot even be reached.
pub(crate) async fn persisted<T, F>(mut call: impl FnMut() -> F) -> Result<T, YagnaError>
where
    F: Future<Output = Result<T, YagnaError>>,
{
    loop {
        match retried(&mut call).await {
            Err(error) if is_outage(&error) => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// Makes a call that can be done but once, as one that gives something back. If yagna refuses to do it again, it was
/// done at first, and the answer was lost.
pub(crate) async fn once<F>(call: impl FnMut() -> F) -> Result<(), YagnaError>
where
    F: Future<Output = Result<(), YagnaError>>,
{
    match attempt(call, ATTEMPTS).await {
        (Err(error), made) if made > 1 && is_refusal(&error) => Ok(()),
        (outcome, _) => outcome,
    }
}

/// What came of a call, and how often it was made.
async fn attempt<T, F>(
    mut call: impl FnMut() -> F,
    attempts: usize,
) -> (Result<T, YagnaError>, usize)
where
    F: Future<Output = Result<T, YagnaError>>,
{
    let mut made = 1;
    loop {
        match call().await {
            Err(error) if error.is_transient() && made < attempts => {
                tracing::warn!(%error, "trying again");
                sleep(PAUSE).await;
                made += 1;
            }
            outcome => return (outcome, made),
        }
    }
}

/// Whether yagna cannot be reached: that is nobody's fault, and passes.
pub(crate) fn is_outage(error: &YagnaError) -> bool {
    matches!(error.problem, Problem::Unreachable(_))
}

fn is_refusal(error: &YagnaError) -> bool {
    matches!(
        error.problem,
        Problem::NotFound(_) | Problem::Refused { .. }
    ) && !error.is_transient()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testbed::{Fault, Testbed, refused, unreachable},
        yagna::{Demand, Yagna},
    };

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_while_its_failure_may_pass() {
        let bed = Testbed::new([]);
        let demand = Demand::default();
        let publish = || bed.publish_demand(&demand);
        for (faults, made, succeeds) in [
            (vec![unreachable(); 4], 5, true),
            (vec![unreachable(); 5], 5, false),
            (vec![refused(503, "too busy")], 2, true),
            (vec![refused(400, "no such property")], 1, false),
        ] {
            let before = bed.count("publish_demand");
            bed.next("publish_demand", faults.clone());
            assert_eq!(retried(publish).await.is_ok(), succeeds, "{faults:?}");
            assert_eq!(bed.count("publish_demand") - before, made, "{faults:?}");
        }
        bed.next("publish_demand", vec![unreachable(); 100]);
        persisted(publish).await.unwrap();
        bed.next("publish_demand", vec![refused(500, "out of order"); 5]);
        persisted(publish).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_when_it_is_repeated_was_done() {
        let bed = Testbed::new([]);
        let demand = bed.publish_demand(&Default::default()).await.unwrap();
        bed.next("withdraw_demand", [Fault::AnswerLost]);
        once(|| bed.withdraw_demand(&demand)).await.unwrap();
        assert_eq!(bed.count("withdraw_demand"), 2);
        once(|| bed.withdraw_demand(&demand)).await.unwrap_err();
    }
}

//! Telling subscribers how far a command is.

use std::{future::Future, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::Outlet;
use crate::{event::Progress, script::ProgressInterval};

/// How many bytes have been copied, and how many there are, if that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Travelled {
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
}

/// A time that never comes.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// Does some work, and tells how far it is as often as is asked for; at its end once more.
pub(crate) async fn tell_of<T>(
    work: impl Future<Output = T>,
    mut travelled: watch::Receiver<Travelled>,
    asked: Option<ProgressInterval>,
    output: &Outlet<'_>,
) -> T {
    let Some(asked) = asked else {
        return work.await;
    };
    let interval = asked.interval().unwrap_or(NEVER);
    let step = asked.update_step.unwrap_or(u64::MAX).max(1);
    tokio::pin!(work);
    let mut told = Travelled::default();
    let mut next = Instant::now() + interval;
    loop {
        let is_due = tokio::select! {
            result = &mut work => {
                let last = *travelled.borrow();
                output.progress(progress(last)).await;
                return result;
            }
            () = tokio::time::sleep_until(next) => true,
            changed = travelled.changed() => {
                let far = travelled.borrow_and_update().done.saturating_sub(told.done) >= step;
                if changed.is_err() {
                    // Nothing more will be heard of how far the work is.
                    let result = (&mut work).await;
                    let last = *travelled.borrow();
                    output.progress(progress(last)).await;
                    return result;
                }
                far
            }
        };
        if is_due {
            let now = *travelled.borrow();
            next = Instant::now() + interval;
            if now != told {
                told = now;
                output.progress(progress(now)).await;
            }
        }
    }
}

fn progress(travelled: Travelled) -> Progress {
    Progress {
        step: (0, 1),
        message: None,
        progress: (travelled.done, travelled.total),
        unit: Some("Bytes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::mpsc, time::sleep};

    use super::*;
    use crate::{runtime::News, script::Period};

    /// What is told of work that copies 10 bytes each second, 5 times.
    async fn told(asked: Option<ProgressInterval>) -> Vec<u64> {
        let (news, mut received) = mpsc::channel(100);
        let (far, travelled) = watch::channel(Travelled::default());
        let work = async {
            for _ in 0..5 {
                sleep(Duration::from_secs(1)).await;
                far.send_modify(|far| far.done += 10);
            }
        };
        tell_of(work, travelled, asked, &Outlet(&news)).await;
        drop(news);
        let mut told = Vec::new();
        while let Some(news) = received.recv().await {
            let News::Progress(progress) = news else {
                panic!("{news:?}");
            };
            told.push(progress.progress.0);
        }
        told
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_as_often_as_is_asked_for() {
        assert_eq!(told(None).await, Vec::<u64>::new());
        let every = |millis| Some(Period(Duration::from_millis(millis)));
        let by_time = ProgressInterval {
            update_interval: every(2400),
            update_step: None,
        };
        assert_eq!(told(Some(by_time)).await, [20, 40, 50]);
        let by_bytes = ProgressInterval {
            update_interval: None,
            update_step: Some(15),
        };
        assert_eq!(told(Some(by_bytes)).await, [20, 40, 50]);
    }
}

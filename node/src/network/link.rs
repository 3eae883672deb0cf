//! Links as they would be between distant machines: late, uneven, lossy and narrow.
//!
//! What becomes of a frame is decided when it sets out. Frames stay in their order, whatever the jitter.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use rand::{RngExt, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// What a link does to frames; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quality {
    /// How long a frame is on its way, in milliseconds.
    pub delay_ms: f64,
    /// By how much that varies, evenly to both sides, in milliseconds.
    pub jitter_ms: f64,
    /// Which part of the frames is lost, from 0 to 1.
    pub loss: f64,
    /// How many bytes go through in a second; any number if none is given.
    pub bytes_per_second: Option<u64>,
}

/// What a link is said to do that it cannot.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} is {value}: it must be {range}")]
pub(crate) struct QualityError {
    what: &'static str,
    value: f64,
    range: &'static str,
}

/// How much may wait for a narrow link, in time; and at least in bytes.
const QUEUE: Duration = Duration::from_millis(100);
const LEAST_QUEUE: u64 = 64 << 10;

/// The longest delay, in milliseconds.
const LONGEST: f64 = 60_000.0;

impl Quality {
    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<(), QualityError> {
        let within = |what, value: f64, most: f64, range| match (0.0..=most).contains(&value) {
            true => Ok(()),
            false => Err(QualityError { what, value, range }),
        };
        within("delayMs", self.delay_ms, LONGEST, "from 0 to 60000")?;
        within(
            "jitterMs",
            self.jitter_ms,
            self.delay_ms,
            "from 0 to delayMs",
        )?;
        within("loss", self.loss, 1.0, "from 0 to 1")?;
        match self.bytes_per_second {
            Some(0) => Err(QualityError {
                what: "bytesPerSecond",
                value: 0.0,
                range: "at least 1",
            }),
            _ => Ok(()),
        }
    }

    /// Whether it does nothing.
    pub(super) fn is_perfect(&self) -> bool {
        *self == Self::default()
    }
}

/// All links of a network, each from one address to another.
#[derive(Debug)]
pub(super) struct Links {
    usual: Quality,
    of_pairs: BTreeMap<(Ipv4Addr, Ipv4Addr), Quality>,
    queues: BTreeMap<(Ipv4Addr, Ipv4Addr), Queue>,
    random: StdRng,
}

/// What has set out on a link, in time since the network began.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    /// When the last frame has left.
    sent: Duration,
    /// When it arrives.
    arrived: Duration,
}

impl Links {
    pub(super) fn new(random: StdRng) -> Self {
        Self {
            usual: Quality::default(),
            of_pairs: BTreeMap::new(),
            queues: BTreeMap::new(),
            random,
        }
    }

    /// Sets what all links do that nothing else is said of.
    pub(super) fn set_usual(&mut self, quality: Quality) {
        self.usual = quality;
    }

    /// Sets what the link from one address to another does.
    pub(super) fn set(&mut self, from: Ipv4Addr, to: Ipv4Addr, quality: Quality) {
        self.of_pairs.insert((from, to), quality);
    }

    /// What the link from one address to another does.
    pub(super) fn quality(&self, from: Ipv4Addr, to: Ipv4Addr) -> Quality {
        *self.of_pairs.get(&(from, to)).unwrap_or(&self.usual)
    }

    /// When a frame arrives that sets out at `now`, and is `length` bytes long; never if none.
    pub(super) fn send(
        &mut self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        length: usize,
        now: Duration,
    ) -> Option<Duration> {
        let quality = self.quality(from, to);
        if quality.loss > 0.0 && self.random.random::<f64>() < quality.loss {
            return None;
        }
        let queue = self.queues.entry((from, to)).or_default();
        let mut sent = now;
        if let Some(rate) = quality.bytes_per_second {
            let takes = |bytes: u64| Duration::from_secs_f64(bytes as f64 / rate as f64);
            let begins = queue.sent.max(now);
            if begins - now > QUEUE.max(takes(LEAST_QUEUE)) {
                return None;
            }
            sent = begins + takes(length as u64);
            queue.sent = sent;
        }
        let uneven = match quality.jitter_ms > 0.0 {
            true => self
                .random
                .random_range(-quality.jitter_ms..=quality.jitter_ms),
            false => 0.0,
        };
        let delay = Duration::from_secs_f64((quality.delay_ms + uneven).max(0.0) / 1000.0);
        queue.arrived = queue.arrived.max(sent + delay);
        Some(queue.arrived)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn links(quality: Quality) -> Links {
        let mut links = Links::new(StdRng::seed_from_u64(1));
        links.set(A, B, quality);
        links
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_frame_is_late_by_the_delay() {
        let mut links = links(Quality {
            delay_ms: 20.0,
            ..Quality::default()
        });
        assert_eq!(links.send(A, B, 1500, ms(5)), Some(ms(25)));
        // The way back is another link.
        assert_eq!(links.send(B, A, 1500, ms(5)), Some(ms(5)));
        links.set_usual(Quality {
            delay_ms: 1.0,
            ..Quality::default()
        });
        assert_eq!(links.send(B, A, 1500, ms(5)), Some(ms(6)));
    }

    #[test]
    fn a_narrow_link_sends_one_after_the_other_and_loses_what_is_too_much() {
        let mut links = links(Quality {
            bytes_per_second: Some(1_000_000),
            ..Quality::default()
        });
        for number in 1..=101 {
            assert_eq!(links.send(A, B, 1000, ms(0)), Some(ms(number)));
        }
        assert_eq!(links.send(A, B, 1000, ms(0)), None);
        assert_eq!(links.send(A, B, 1000, ms(1)), Some(ms(102)));
        // What has waited for it is gone by then.
        assert_eq!(links.send(A, B, 1000, ms(500)), Some(ms(501)));
    }

    #[test]
    fn jitter_stays_within_bounds_and_keeps_the_order() {
        let mut links = links(Quality {
            delay_ms: 10.0,
            jitter_ms: 4.0,
            ..Quality::default()
        });
        let mut last = Duration::ZERO;
        let mut sum = 0.0;
        for number in 0..1000 {
            let now = ms(number * 20);
            let arrived = links.send(A, B, 100, now).unwrap();
            let late = (arrived - now).as_secs_f64() * 1000.0;
            assert!((6.0..=14.0).contains(&late), "{late}");
            assert!(arrived >= last);
            (last, sum) = (arrived, sum + late);
        }
        assert!((9.5..10.5).contains(&(sum / 1000.0)), "{sum}");
        // Frames close together do not overtake each other.
        let together = (0..100).map(|_| links.send(A, B, 100, ms(30_000)).unwrap());
        assert!(together.collect::<Vec<_>>().is_sorted());
    }

    #[test]
    fn so_many_frames_are_lost_and_always_the_same() {
        let lost = || {
            let mut links = links(Quality {
                loss: 0.1,
                ..Quality::default()
            });
            (0..10_000)
                .filter(|_| links.send(A, B, 100, ms(0)).is_none())
                .collect::<Vec<_>>()
        };
        assert!((900..1100).contains(&lost().len()));
        assert_eq!(lost(), lost());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let good = Quality::default();
        for (quality, reason) in [
            (
                Quality {
                    delay_ms: -1.0,
                    ..good
                },
                "delayMs is -1: it must be from 0 to 60000",
            ),
            (
                Quality {
                    delay_ms: f64::NAN,
                    ..good
                },
                "delayMs is NaN",
            ),
            (
                Quality {
                    jitter_ms: 1.0,
                    ..good
                },
                "jitterMs is 1: it must be from 0 to delayMs",
            ),
            (
                Quality { loss: 1.5, ..good },
                "loss is 1.5: it must be from 0 to 1",
            ),
            (
                Quality {
                    bytes_per_second: Some(0),
                    ..good
                },
                "bytesPerSecond is 0",
            ),
        ] {
            let error = quality.check().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(good.check(), Ok(()));
    }
}

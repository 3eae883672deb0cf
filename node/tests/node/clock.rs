//! What time it is on the nodes of tests.

use chrono::{TimeDelta, Utc};
use node::Clock;

/// A clock whose times have all their decimal places, as those that end in zeros are written shorter.
pub(crate) fn odd_clock() -> Clock {
    Clock::new(|| {
        let now = Utc::now();
        let nanoseconds = now.timestamp_subsec_nanos();
        let odd = nanoseconds / 1_000_000 * 1_000_000 + 123_456;
        now + TimeDelta::nanoseconds(i64::from(odd) - i64::from(nanoseconds))
    })
}

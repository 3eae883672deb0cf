//! Whatever a scenario or a policy's answer is, it is understood or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use simulator::scenario::{Scenario, read_operations};

fuzz_target!(|bytes: &[u8]| {
    let _ = Scenario::read(bytes);
    let _ = read_operations(bytes);
});

//! Whatever comes out of a sandbox, its host understands or refuses it; and so does an agent what comes from its host.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let frames = bytes.len() / 4;
    assert!(exeunit::sandbox::understand_agent(bytes) <= frames);
    assert!(exeunit::sandbox::understand_host(bytes) <= frames);
});

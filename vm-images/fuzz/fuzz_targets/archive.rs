//! Whatever an archive holds, no path leads out of it, and it ends within its limits.
#![no_main]

use std::{io, path::Component};

use libfuzzer_sys::fuzz_target;
use oci::{Limits, archive};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        bytes: 1 << 20,
        entries: 1000,
        ratio: 100,
    };
    let _ = archive::for_each(bytes, limits, |entry, contents| {
        let is_plain = |part| matches!(part, Component::Normal(_));
        assert!(entry.path.components().all(is_plain), "{:?}", entry.path);
        io::copy(contents, &mut io::sink()).map(drop)
    });
});

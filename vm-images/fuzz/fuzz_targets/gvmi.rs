//! Whatever an image is, reading it ends, in contents or in an error.
#![no_main]

use std::{
    fs::File,
    io::{Seek, Write},
    path::PathBuf,
    sync::LazyLock,
};

use gvmi::Image;
use libfuzzer_sys::fuzz_target;

/// Where the image is written each time: in memory.
static PLACE: LazyLock<PathBuf> =
    LazyLock::new(|| PathBuf::from(format!("/dev/shm/kiln-fuzz-{}.gvmi", std::process::id())));

/// A configuration, its checksum and its length, so that what is before it is looked at.
const TRAILER: &[u8] = b"\x43\xbf\xa6\xa3{}00000002";

fuzz_target!(
    init: {
        // Panics of the library that reads squashfs are caught and become errors: they are no findings. Those that are
        // not caught still end the fuzzer.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |bytes: &[u8]| {
        let Some((choice, bytes)) = bytes.split_first() else { return };
        let mut file = File::create(&*PLACE).expect("there is memory");
        file.write_all(bytes).expect("there is memory");
        if choice % 4 != 0 {
            file.write_all(TRAILER).expect("there is memory");
        }
        file.rewind().expect("it is a file");
        let Ok(image) = Image::open(&PLACE) else { return };
        let Ok(tree) = image.tree() else { return };
        // What claims to be large is large to read, which is no finding either.
        if tree.size() < 1 << 20 {
            let _ = tree.check();
        }
        assert!(tree.entries().count() > 0);
    }
);

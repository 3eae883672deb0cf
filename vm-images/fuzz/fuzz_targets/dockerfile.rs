//! Whatever a Dockerfile says, it is understood or refused.
#![no_main]

use builder::{Dockerfile, DockerfileError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let lines = text.lines().count().max(1);
    match Dockerfile::parse("Dockerfile", text) {
        Ok(dockerfile) => assert_eq!(dockerfile.path().to_str(), Some("Dockerfile")),
        Err(DockerfileError::Line { line, .. } | DockerfileError::Beyond { line, .. }) => {
            assert!((1..=lines).contains(&line), "there is no line {line} of {lines}");
        }
        Err(error) => panic!("{error}"),
    }
});

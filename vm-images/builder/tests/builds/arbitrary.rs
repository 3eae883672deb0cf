//! Whatever a Dockerfile says, it is understood or refused with a line that it has.

use builder::{Dockerfile, DockerfileError};
use proptest::prelude::*;

/// Pieces that Dockerfiles are made of, and some that they are not.
const PIECES: &[&str] = &[
    "FROM ",
    "scratch",
    "debian:12",
    " AS ",
    "one",
    "COPY ",
    "ADD ",
    "RUN ",
    "ARG ",
    "ENV ",
    "USER ",
    "WORKDIR ",
    "VOLUME ",
    "SHELL ",
    "CMD ",
    "ENTRYPOINT ",
    "LABEL ",
    "EXPOSE ",
    "STOPSIGNAL ",
    "HEALTHCHECK ",
    "--from=",
    "--chmod=",
    "--chown=",
    "--platform=",
    "--link",
    "\n",
    "\n",
    "\n",
    "\\\n",
    "`\n",
    " ",
    "\t",
    "#",
    "# escape=`\n",
    "\"",
    "'",
    "\\",
    "$",
    "${",
    "}",
    ":-",
    ":+",
    ":?",
    "[",
    "]",
    "[\"",
    "\", \"",
    "\"]",
    "=",
    "/",
    "../",
    ":",
    "*",
    "a",
    "B_1",
    "80/tcp",
    "755",
    "<<EOF",
    "\u{e9}\u{1f40b}",
    "\0",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        9 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    let pieces = prop::collection::vec(piece, 0..40);
    (any::<bool>(), pieces).prop_map(|(begins, pieces)| {
        let beginning = if begins { "FROM scratch\n" } else { "" };
        format!("{beginning}{}", pieces.concat())
    })
}

// `PROPTEST_CASES=1000000` tries more.
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_understood_or_refused(text in text()) {
        match Dockerfile::parse("Dockerfile", &*text) {
            Ok(_) => {}
            Err(DockerfileError::Line { line, .. } | DockerfileError::Beyond { line, .. }) => {
                prop_assert!((1..=text.lines().count().max(1)).contains(&line), "line {}", line);
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
}

//! Dockerfiles that cannot be built at all.

use std::fs;

use builder::Build;

use crate::place::{Place, chain};

#[test]
fn a_dockerfile_is_refused_with_its_line() {
    let place = Place::new();
    let path = place.context().join("Dockerfile");
    for (text, why) in [
        ("FROM debian AS\n", ":1: FROM takes an image"),
        (
            "# hello\nFROM scratch\n\nHEALTHCHECK NONE\n",
            ":4: HEALTHCHECK is not built in",
        ),
        (
            "FROM scratch\nCOPY a \\\n  --from=x b c\n",
            ":2: with more than one source",
        ),
        ("FROM scratch\nRUN []\n", ":2: RUN names no program"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Build::open(&path).unwrap_err();
        assert_eq!(
            chain(&error).find(&format!("{}{why}", path.display())),
            Some(0),
            "{error}"
        );
    }
    fs::remove_file(&path).unwrap();
    let error = chain(&Build::open(&path).unwrap_err());
    assert!(
        error.contains(&format!(
            "cannot read the Dockerfile {}: No such file",
            path.display()
        )),
        "{error}"
    );
}

//! `kiln simulate`, as a user meets it.

mod errors;
mod msgpack;
mod outputs;
#[path = "../place/mod.rs"]
mod place;
mod policies;

use std::{fs, path::Path};

use serde_json::Value;

use crate::place::{Place, Said};

impl Place {
    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn simulate(&self, arguments: &[&str]) -> Said {
        self.ask("simulate", arguments)
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let said = self.simulate(arguments);
        assert_eq!(
            (said.code, said.err.as_str()),
            (Some(0), ""),
            "{arguments:?}: {said:?}"
        );
        said.out
    }

    /// The one error of a command that fails, in one line.
    #[track_caller]
    fn error(&self, arguments: &[&str]) -> String {
        self.simulate(arguments).error()
    }
}

/// A file of what EdgeSimPy was given and what it gave.
fn vector(name: &str, file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/tests/vectors");
    let path = folder.join(name).join(file);
    assert!(path.is_file(), "{}", path.display());
    path.to_str().unwrap().to_owned()
}

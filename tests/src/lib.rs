//! What the end-to-end tests have in common.

use std::{env, process::Command};

/// Cargo, to build something while a test runs, as it would be built without the test.
///
/// Cargo tells a test which package it belongs to. There are build scripts that look at that: with them, all that depends
/// on them would be built again, and once more when the next test is.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in env::vars_os() {
        let name_of_package = ["CARGO_MANIFEST_", "CARGO_PKG_"]
            .iter()
            .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        if name_of_package {
            cargo.env_remove(name);
        }
    }
    cargo
}

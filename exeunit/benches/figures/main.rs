//! What it costs to run commands where they can do no harm, beside what the same costs without.
//!
//! `cargo bench -p exeunit` prints one table, and `cargo bench -p exeunit -- commands volume` those parts of it; there are
//! `commands`, `sandboxes`, `volume` and `machine`. All is measured in turns with what it is compared with, so that both
//! meet the same machine; medians count.
//!
//! `VOLUME_MIB` is what is moved, 1024 by default. Machines are measured where `kiln vm setup` has made them ready.

#![expect(
    dead_code,
    unused_imports,
    reason = "the fixtures of the tests have more than is needed here"
)]

mod commands;
#[path = "../../tests/exe_unit/fixture.rs"]
mod fixture;
mod machine;
#[path = "../../tests/exe_unit/node.rs"]
mod node;
#[path = "../../tests/processes/mod.rs"]
mod processes;
#[path = "../../tests/programs/mod.rs"]
mod programs;
mod sandboxes;
mod table;
mod volume;
#[path = "../../tests/exe_unit/web.rs"]
mod web;

/// As exe-units have it: all in one thread.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Cargo adds a flag of its own.
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let wanted = |name: &str| parts.is_empty() || parts.iter().any(|part| part == name);
    table::head();
    if wanted("commands") {
        commands::measure().await;
    }
    if wanted("sandboxes") {
        sandboxes::measure().await;
    }
    if wanted("volume") {
        volume::measure().await;
    }
    if wanted("machine") {
        machine::measure().await;
    }
}

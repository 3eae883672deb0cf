//! The exe-unit for tests that have a node in their own process, which cannot be started again.

fn main() -> std::process::ExitCode {
    exeunit::exe_unit()
}

//! The exe-unit as a program of its own.

fn main() -> std::process::ExitCode {
    exeunit::exe_unit()
}

//! The first program of a virtual machine: its kernel starts it as process 1.

fn main() -> std::process::ExitCode {
    exeunit::guest()
}

//! Our runtimes as a program that other exe-units and providers can use.

fn main() -> std::process::ExitCode {
    exeunit::runtime_program()
}

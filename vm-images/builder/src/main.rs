//! The program that becomes the sandboxes of this package's tests, as tests have no `main` of their own to begin with that.

fn main() {
    exeunit::enter();
}

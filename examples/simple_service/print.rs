//! What the program prints. Whoever reads it can stop at any line, as `head` does: `println!` would panic then.

use std::{
    fmt::Display,
    io::{ErrorKind, Write, stderr, stdout},
};

use tokio::sync::Notify;

static READER_GONE: Notify = Notify::const_new();

/// Prints a line to standard output.
pub(crate) fn say(line: impl Display) {
    if let Err(error) = writeln!(stdout(), "{line}") {
        if error.kind() != ErrorKind::BrokenPipe {
            complain(format_args!("cannot print: {error}"));
        }
        READER_GONE.notify_one();
    }
}

/// Prints a line to standard error, whether anybody reads it or not.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Waits until a line cannot be printed.
pub(crate) async fn reader_gone() {
    READER_GONE.notified().await;
}

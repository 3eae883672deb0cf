//! What the command prints. Whoever reads it can stop at any line, as `head` does: the command then ends, and says
//! nothing of it.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
};

use anyhow::Context;

/// Nobody reads on.
#[derive(Debug)]
pub(crate) struct Closed;

impl Closed {
    /// What a shell tells of a program that ended of it.
    pub(crate) const EXIT_CODE: u8 = 128 + 13;
}

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("nobody reads what is printed")
    }
}

impl std::error::Error for Closed {}

/// Prints to standard output, as `print!` does.
///
/// # Errors
/// [`Closed`], or that it cannot be written for another reason.
pub(crate) fn out(text: fmt::Arguments<'_>) -> anyhow::Result<()> {
    match io::stdout().write_fmt(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        printed => printed.context("cannot print"),
    }
}

/// Prints to standard error, whether anybody reads it or not.
pub(crate) fn err(text: fmt::Arguments<'_>) {
    io::stderr().write_fmt(text).ok();
}

/// Prints a line to standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::print::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a line to standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::print::err(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, outln};

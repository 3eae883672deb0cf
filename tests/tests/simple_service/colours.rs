//! Colours, on a terminal and not against the user's will.

use std::{fs::File, io::Read, os::fd::OwnedFd};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::run::Run;

#[test]
fn a_terminal_gets_colours_unless_the_user_wants_none() {
    let coloured = told_on_a_terminal(&[]);
    assert!(
        coloured.starts_with("\u{1b}[31merror:\u{1b}[0m the budget"),
        "{coloured:?}"
    );
    let plain = told_on_a_terminal(&[("NO_COLOR", "1")]);
    assert!(plain.starts_with("error: the budget"), "{plain:?}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}

/// The error of a run whose standard error is a terminal.
fn told_on_a_terminal(variables: &[(&str, &str)]) -> String {
    let (ours, theirs) = terminal();
    let run = Run::start_with(&["--budget", "0"], |command| {
        command
            .env("TERM", "xterm")
            .env("RUST_LOG", "off")
            .envs(variables.iter().copied())
            .stderr(theirs);
    });
    run.end();
    let told = read_all(ours);
    let error = told.lines().find(|line| line.contains("error:"));
    error
        .unwrap_or_else(|| panic!("no error in {told:?}"))
        .to_owned()
}

fn terminal() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).expect("a terminal");
    grantpt(&ours).expect("it can be used");
    unlockpt(&ours).expect("it can be used");
    let theirs = ioctl_tiocgptpeer(&ours, flags).expect("its other end");
    (ours.into(), theirs)
}

/// Reads up to the end, which is an error where nobody has the other end of a terminal any more.
fn read_all(mut terminal: File) -> String {
    let mut told = Vec::new();
    let ended = terminal.read_to_end(&mut told);
    if let Err(error) = ended {
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::IO.raw_os_error()),
            "{error}"
        );
    }
    String::from_utf8(told).expect("text")
}

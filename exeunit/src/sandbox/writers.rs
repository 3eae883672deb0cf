//! Whether anybody could still write to a file: the kernel runs no program that somebody could change meanwhile.
//!
//! Who has written a program and closed it is not always the last to hold it. A child that another thread forked in
//! between has all descriptors of this process until it becomes another program itself.

use std::{
    fs::File,
    io::{Error, Result},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    thread::sleep,
    time::{Duration, Instant},
};

/// Of `linux/fcntl.h`, which the crate does not have.
const F_SETSIG: libc::c_int = 10;

const PAUSE: Duration = Duration::from_millis(2);

/// Waits until nobody holds a file open for writing, but no longer than `patience`. Blocks.
///
/// The file is one that nobody opens for writing any more, and this one is open for reading. Where the system cannot tell,
/// as on some network file systems, nothing is waited for.
pub fn wait_for_writers(file: &File, patience: Duration) -> Result<()> {
    let begin = Instant::now();
    while is_held(file.as_fd())? && begin.elapsed() < patience {
        sleep(PAUSE);
    }
    Ok(())
}

/// The kernel gives nobody a read lease on a file that is open for writing.
fn is_held(file: BorrowedFd) -> Result<bool> {
    // What tells that somebody breaks the lease is then a signal that is ignored, not one that kills.
    control(file, F_SETSIG, libc::SIGURG)?;
    match control(file, libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(()) => control(file, libc::F_SETLEASE, libc::F_UNLCK).map(|()| false),
        Err(error) => Ok(error.raw_os_error() == Some(libc::EAGAIN)),
    }
}

fn control(file: BorrowedFd, command: libc::c_int, argument: libc::c_int) -> Result<()> {
    // SAFETY: these commands take a number, and change nothing but the open file.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, argument) } {
        -1 => Err(Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_last_writer_is_waited_for() {
        let written = tempfile::NamedTempFile::new().expect("a file");
        let file = File::open(written.path()).expect("a file");
        let is_held = || super::is_held(file.as_fd()).expect("it can be told");
        assert!(is_held());
        // As a child that has not become another program yet, another process has it as well.
        let writer = written.as_file().try_clone().expect("a descriptor");
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(writer)
            .spawn()
            .expect("cat");
        let _path = written.into_temp_path();
        assert!(is_held());
        wait_for_writers(&file, Duration::ZERO).expect("it can be told");
        assert!(is_held());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| wait_for_writers(&file, Duration::from_secs(60)));
            drop(child.stdin.take());
            waiting.join().expect("no panic").expect("it can be told");
            assert!(!is_held());
        });
        child.wait().expect("it has ended");
    }
}

//! Programs that are not ours, as children that never outlive the exe-unit.
//!
//! ```text
//! exe-unit ── spawns ──▶ warden ── spawns ──▶ the program ──▶ whatever it starts
//! ```
//!
//! Between the two stands a warden, a single-threaded process of our own. When the program ends, or the exe-unit does,
//! however it does, or the warden is told to by SIGTERM, it kills all that the program has started, daemons
//! too: as a subreaper it becomes the parent of whatever loses its own.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{
        net::UnixStream,
        process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::retry_on_intr,
    process::{
        Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_child_subreaper,
        set_parent_process_death_signal, wait,
    },
    stdio::{dup2_stdin, dup2_stdout},
};
use tokio::{process::Child, time::timeout};

use crate::Program;

/// A program that ends when this is dropped, and when this process ends.
#[derive(Debug)]
pub(crate) struct Tied {
    warden: Child,
}

impl Tied {
    /// Starts a program. What `prepare` sets of its standard streams, folder and environment is the program's.
    pub(crate) fn spawn(
        program: &Program,
        command: &[OsString],
        prepare: impl FnOnce(&mut tokio::process::Command),
    ) -> io::Result<Self> {
        let mut warden = tokio::process::Command::from(program.warden());
        warden
            .arg(std::process::id().to_string())
            .args(command)
            .process_group(0);
        prepare(&mut warden);
        let warden = warden.spawn()?;
        Ok(Self { warden })
    }

    /// The streams of the program, as far as they are pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.warden
    }

    /// The warden's id; none if it has ended.
    pub(crate) fn id(&self) -> Option<Pid> {
        Pid::from_raw(self.warden.id()?.cast_signed())
    }

    /// Waits until the program and all that it has started have ended.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.warden.wait().await
    }

    /// Waits like [`wait`](Self::wait), but kills them when this takes too long.
    pub(crate) async fn wait_or_kill(mut self, patience: Duration) {
        if timeout(patience, self.wait()).await.is_err() {
            self.kill();
            let _ = self.wait().await;
        }
    }

    fn kill(&self) {
        if let Some(warden) = self.id() {
            // It can only fail because it has ended.
            let _ = kill_process(warden, Signal::TERM);
        }
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a program does that is started as a warden, with its parent's id and a command: the code that it exits with.
pub(crate) fn warden_main() -> u8 {
    let mut arguments = std::env::args_os().skip(1);
    let parent = arguments.next();
    let command: Vec<OsString> = arguments.collect();
    match guard(parent, &command) {
        Ok(status) => shell_code(status),
        Err(error) => {
            let program = command.first().cloned().unwrap_or_default();
            eprintln!("cannot run {}: {error}", PathBuf::from(program).display());
            127
        }
    }
}

/// As a shell has it: of a signal, 128 and its number.
fn shell_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or(status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn guard(parent: Option<OsString>, command: &[OsString]) -> io::Result<ExitStatus> {
    let (mut wakes, woken) = UnixStream::pair()?;
    wakes.set_nonblocking(true)?;
    for signal in [libc::SIGTERM, libc::SIGCHLD] {
        signal_hook::low_level::pipe::register(signal, woken.try_clone()?)?;
    }
    let told = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(libc::SIGTERM, told.clone())?;
    set_child_subreaper(Some(getpid()))?;
    follow(parent, Signal::TERM)?;

    let mut tied = Program::tied();
    tied.arg(std::process::id().to_string()).args(command);
    let program = Pid::from_child(&tied.spawn()?);
    // The program's streams are its own: they are to end when it does.
    let nothing = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    let status = loop {
        let mut sources = [PollFd::new(&wakes, PollFlags::IN)];
        retry_on_intr(|| poll(&mut sources, None))?;
        let mut wake_ups = [0; 64];
        while matches!(io::Read::read(&mut wakes, &mut wake_ups), Ok(1..)) {}
        if told.load(std::sync::atomic::Ordering::Relaxed) {
            let _ = kill_process(program, Signal::KILL);
        }
        if let Some(status) = reap(program) {
            break status;
        }
    };
    kill_all_children();
    Ok(status)
}

/// Takes in the ends of processes: how the program has ended, if it has.
fn reap(program: Pid) -> Option<ExitStatus> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == program {
            ended = Some(ExitStatus::from_raw(status.as_raw()));
        }
    }
    ended
}

/// Kills whatever is a child, and whatever becomes one because its parent was.
fn kill_all_children() {
    let id = std::process::id();
    let list = format!("/proc/self/task/{id}/children");
    loop {
        let children = fs::read_to_string(&list).unwrap_or_default();
        for child in children.split_whitespace() {
            let child = child.parse().ok().and_then(Pid::from_raw);
            if let Some(child) = child {
                let _ = kill_process(child, Signal::KILL);
            }
        }
        // An error is that there are none left.
        if wait(WaitOptions::empty()).is_err() {
            return;
        }
    }
}

/// What a program does that is started to become another, which ends with its parent: the code of a failure.
pub(crate) fn tied_main() -> u8 {
    let mut arguments = std::env::args_os().skip(1);
    let parent = arguments.next();
    let Some(program) = arguments.next() else {
        return 127;
    };
    let error = match follow(parent, Signal::KILL) {
        Ok(()) => Command::new(&program)
            .args(arguments)
            .stdin(Stdio::inherit())
            .exec(),
        Err(error) => error,
    };
    eprintln!("cannot run {}: {error}", PathBuf::from(program).display());
    127
}

/// Lets this process get a signal when its parent ends, or fails if it has ended already.
pub(crate) fn follow(parent: Option<OsString>, signal: Signal) -> io::Result<()> {
    set_parent_process_death_signal(Some(signal))?;
    let parent = parent.and_then(|id| id.to_str()?.parse().ok().and_then(Pid::from_raw));
    match parent.is_some() && getppid() == parent {
        true => Ok(()),
        false => Err(io::Error::other("the process that wanted it has ended")),
    }
}

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
    os::{
        fd::IntoRawFd,
        unix::{
            net::UnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, open},
    io::retry_on_intr,
    process::{
        Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_child_subreaper,
        set_parent_process_death_signal, wait,
    },
    stdio::{dup2_stdin, dup2_stdout},
};
use tokio::{process::Child, time::timeout};

use crate::{
    Program,
    sandbox::{self, become_unprivileged, close_inherited, is_root},
};

/// A program to start, and what it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// The program's path and its arguments.
    pub(crate) line: Vec<OsString>,
    /// Files that it finds open, from descriptor 3 on.
    pub(crate) files: Vec<(PathBuf, Access)>,
    /// Whether root gives itself up first, when the files are open already.
    pub(crate) unprivileged: bool,
}

/// What a file is open for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
    /// To be written to at its end.
    Append,
}

impl Access {
    fn option(self) -> &'static str {
        match self {
            Self::Read => "--read",
            Self::ReadWrite => "--read-write",
            Self::Append => "--append",
        }
    }

    fn flags(self) -> OFlags {
        match self {
            Self::Read => OFlags::RDONLY,
            Self::ReadWrite => OFlags::RDWR,
            Self::Append => OFlags::WRONLY | OFlags::APPEND,
        }
    }

    fn parse(option: &str) -> Option<Self> {
        let all = [Self::Read, Self::ReadWrite, Self::Append];
        all.into_iter().find(|access| access.option() == option)
    }
}

impl Call {
    /// The options of a tied program, and then the program.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        for (path, access) in &self.files {
            arguments.extend([access.option().into(), path.clone().into()]);
        }
        if self.unprivileged {
            arguments.push(UNPRIVILEGED.into());
        }
        arguments.push(END.into());
        arguments.extend(self.line.iter().cloned());
        arguments
    }
}

const UNPRIVILEGED: &str = "--unprivileged";
const END: &str = "--";
/// The first descriptor after the standard ones.
const FIRST_FILE: i32 = 3;

/// A program that ends when this is dropped, and when this process ends.
#[derive(Debug)]
pub(crate) struct Tied {
    warden: Child,
}

impl Tied {
    /// Starts a program. What `prepare` sets of its standard streams, folder and environment is the program's.
    pub(crate) fn spawn(
        program: &Program,
        call: &Call,
        prepare: impl FnOnce(&mut tokio::process::Command),
    ) -> io::Result<Self> {
        let mut warden = tokio::process::Command::from(program.warden());
        warden
            .arg(std::process::id().to_string())
            .args(call.arguments())
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

/// What a program does that is started as a warden, with its parent's id and a call: the code that it exits with.
pub(crate) fn warden_main() -> u8 {
    let mut arguments = std::env::args_os().skip(1);
    let parent = arguments.next();
    let call: Vec<OsString> = arguments.collect();
    match guard(parent, &call) {
        Ok(status) => {
            let code = sandbox::ExitStatus::from(status).shell_code();
            u8::try_from(code).unwrap_or(u8::MAX)
        }
        Err(error) => {
            eprintln!("cannot guard a program: {error}");
            127
        }
    }
}

fn guard(parent: Option<OsString>, call: &[OsString]) -> io::Result<ExitStatus> {
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
    tied.arg(std::process::id().to_string()).args(call);
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
    let error = match prepare(parent, &mut arguments) {
        Ok(program) => {
            let error = Command::new(&program).args(arguments).exec();
            format!("{}: {error}", PathBuf::from(program).display())
        }
        Err(error) => error.to_string(),
    };
    eprintln!("cannot run {error}");
    127
}

/// Does what the options say; returns the program that comes after them.
fn prepare(
    parent: Option<OsString>,
    arguments: &mut impl Iterator<Item = OsString>,
) -> io::Result<OsString> {
    close_inherited();
    let mut next = FIRST_FILE;
    let mut argument = || arguments.next().unwrap_or_default();
    loop {
        let option = argument();
        match option.to_str() {
            // After this the kernel would have forgotten whom to follow.
            Some(UNPRIVILEGED) if is_root() => become_unprivileged()?,
            Some(UNPRIVILEGED) => {}
            Some(END) => break,
            option => {
                let access = option.and_then(Access::parse);
                let access = access.ok_or_else(|| io::Error::other("without a program"))?;
                open_at(next, argument().as_ref(), access)?;
                next += 1;
            }
        }
    }
    follow(parent, Signal::KILL)?;
    Ok(argument())
}

/// Opens a file as this very descriptor, which the program inherits.
fn open_at(descriptor: i32, path: &Path, access: Access) -> io::Result<()> {
    let opened = open(path, access.flags(), Mode::empty())
        .map_err(|error| io::Error::other(format!("with {}: {error}", path.display())))?;
    // What is opened first gets the lowest number; the program owns it from here on.
    match opened.into_raw_fd() == descriptor {
        true => Ok(()),
        false => Err(io::Error::other("with descriptors of somebody else's")),
    }
}

/// Lets this process get a signal when its parent ends, or fails if it has ended already.
fn follow(parent: Option<OsString>, signal: Signal) -> io::Result<()> {
    set_parent_process_death_signal(Some(signal))?;
    let parent = parent.and_then(|id| id.to_str()?.parse().ok().and_then(Pid::from_raw));
    match parent.is_some() && getppid() == parent {
        true => Ok(()),
        false => Err(io::Error::other("the process that wanted it has ended")),
    }
}

//! The launcher: a single-threaded child of the host that starts a sandbox, and clears up after it.
//!
//! It is a program of its own, started again, because a process with threads cannot enter a user namespace, and
//! because somebody must outlive the host, however that ends.
//!
//! ```text
//! host ── spawns ──▶ launcher ── makes the control groups, stays what it is, and removes them in the end
//!                       └─ forks ──▶ builder ── root only: takes the folders, becomes an unprivileged user
//!                                       │    ── enters the groups and the namespaces, assembles the file system
//!                                       └─ spawns ──▶ agent: process 1; /proc, pivot_root, drops all capabilities, serves
//! ```
//!
//! The agent ends when the host's end of the socket closes, and when the builder dies; the builder ends when the
//! agent does, and when the launcher dies. With process 1, the kernel kills all others; with the last of them go the
//! namespaces and their mounts.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    thread,
    time::Duration,
};

use prost::{Message, bytes::BytesMut};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{fcntl_dupfd_cloexec, retry_on_intr},
    net::sockopt::socket_peercred,
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal,
        set_child_subreaper, wait,
    },
    stdio::{dup2_stdin, stdin},
};
use tokio_util::codec::Encoder;

use super::{
    build::build,
    group::Group,
    wire::{AgentFrames, FromAgent, Report, Request, Setup, ToAgent, Unable},
};
use crate::{
    cause::in_one_line,
    frame::{FrameError, MAX_FRAME},
};

/// How long after its host a sandbox may end.
const GRACE: Duration = Duration::from_secs(10);

/// What a program does that is started as a launcher: the code that it exits with.
pub(crate) fn main() -> u8 {
    close_inherited();
    let Ok(mut host) = take_stdin() else {
        return 1;
    };
    let setup = match receive(&mut host) {
        Ok(setup) => setup,
        Err(error) => {
            let reason = format!("cannot read what the sandbox is to be made of: {error}");
            return refuse(&mut host, reason, false);
        }
    };
    // Whatever of the sandbox loses its parent becomes a child of this process, which waits for the last of them.
    let this = getpid();
    let adopting = set_child_subreaper(Some(this)).map_err(io::Error::from);
    let group = Group::create(&setup);
    // SAFETY: this process has one thread, so that nothing is lost or locked in its copy.
    let child = adopting.and_then(|()| match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    });
    match child {
        Ok(None) => become_builder(&setup, host, group, this),
        Ok(Some(builder)) => {
            end_with_host(&host, builder);
            // The host learns of the agent's end by the end of its socket: no copy may be left here.
            drop(host);
            let code = wait_for_all(builder);
            group.remove();
            code
        }
        Err(error) => {
            group.remove();
            refuse(&mut host, format!("cannot start a process: {error}"), false)
        }
    }
}

fn become_builder(setup: &Setup, mut host: UnixStream, group: Group, launcher: Pid) -> u8 {
    match build(setup, &host, group, launcher) {
        Ok(mut agent) => {
            drop(host);
            agent.wait().map_or(1, |status| u8::from(!status.success()))
        }
        Err(error) => refuse(&mut host, in_one_line(&error), error.is_forbidden()),
    }
}

/// Tells the host that there will be no sandbox: the code to exit with.
fn refuse(host: &mut UnixStream, reason: String, forbidden: bool) -> u8 {
    // If the host cannot be told any more, nobody is left to tell.
    let _ = send(host, Report::Unable(Unable { reason, forbidden }));
    1
}

/// Has a thread kill the builder some time after the host has ended, should the agent not notice that by itself.
fn end_with_host(host: &UnixStream, builder: Pid) {
    let of = |pid| pidfd_open(pid, PidfdFlags::empty());
    let opened = socket_peercred(host).and_then(|host| Ok((of(host.pid)?, of(builder)?)));
    // A host that is gone by now has closed its end of the socket, which the agent sees first of all.
    if let Ok((host, builder)) = opened {
        thread::spawn(move || kill_after(&host, &builder));
    }
}

/// Kills a process some time after another has ended. A launcher that ends before takes the thread with it.
fn kill_after(host: &OwnedFd, builder: &OwnedFd) {
    let mut ended = [PollFd::new(host, PollFlags::IN)];
    if retry_on_intr(|| poll(&mut ended, None)).is_ok() {
        thread::sleep(GRACE);
        // It may have ended by itself.
        let _ = pidfd_send_signal(builder, Signal::KILL);
    }
}

/// Waits until no child is left: the code that the builder has exited with.
fn wait_for_all(builder: Pid) -> u8 {
    let mut code = 1;
    // An error is that there is nobody left.
    while let Ok(ended) = wait(WaitOptions::empty()) {
        if let Some((pid, status)) = ended
            && pid == builder
        {
            code = u8::from(status.exit_status() != Some(0));
        }
    }
    code
}

/// This process's standard input, a socket; what it leaves in its place is empty.
pub(super) fn take_stdin() -> io::Result<UnixStream> {
    let socket = fcntl_dupfd_cloexec(stdin(), 3)?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}

/// Closes every descriptor but the standard three.
///
/// To be called before anything opens one.
pub(crate) fn close_inherited() {
    // SAFETY: nothing in this process owns a descriptor above 2 yet: it has just begun.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Reads exactly the first message of the host; what follows is the agent's.
fn receive(host: &mut UnixStream) -> io::Result<Setup> {
    let mut length = [0; 4];
    host.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut message = vec![0; length];
    host.read_exact(&mut message)?;
    match ToAgent::decode(&message[..])?.request {
        Some(Request::Setup(setup)) => Ok(setup),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

fn send(host: &mut UnixStream, report: Report) -> Result<(), FrameError> {
    let mut frame = BytesMut::new();
    let report = FromAgent {
        report: Some(report),
    };
    AgentFrames::default().encode(report, &mut frame)?;
    Ok(host.write_all(&frame)?)
}

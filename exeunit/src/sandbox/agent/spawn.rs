//! How a command's process begins.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::{Resource, Rlimit, getrlimit, setrlimit, setsid},
};

use super::program::{Refusal, find};
use crate::sandbox::wire::Run;

/// Files that a process may have open.
const OPEN_FILES: u64 = 4096;
/// Processes and threads that a sandbox may have.
const PROCESSES: u64 = 4096;

/// Starts a command in a session of its own, its output in pipes that do not block.
pub(super) fn spawn(run: &Run) -> Result<Child, Refusal> {
    let program = find(run)?;
    let mut command = Command::new(&program);
    command
        .arg0(&run.program)
        .args(&run.args)
        .env_clear()
        .envs(&run.env)
        .current_dir(&run.working_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: the child of a process without threads may do whatever its parent may; it only makes system calls.
    unsafe { command.pre_exec(prepare) };
    let child = command
        .spawn()
        .and_then(|child| make_nonblocking(&child).map(|()| child));
    child.map_err(|error| Refusal::of_kernel(&program, &error))
}

/// Runs in the new process, before its program. Capabilities and filters are those of the agent already.
fn prepare() -> io::Result<()> {
    setsid()?;
    for (resource, limit) in [
        (Resource::Core, 0),
        (Resource::Nofile, OPEN_FILES),
        (Resource::Nproc, PROCESSES),
    ] {
        lower(resource, limit)?;
    }
    Ok(())
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum;
    let limit = Some(maximum.map_or(limit, |maximum| maximum.min(limit)));
    let limit = Rlimit {
        current: limit,
        maximum: limit,
    };
    Ok(setrlimit(resource, limit)?)
}

fn make_nonblocking(child: &Child) -> io::Result<()> {
    if let Some(stdout) = &child.stdout {
        fcntl_setfl(stdout, OFlags::NONBLOCK)?;
    }
    if let Some(stderr) = &child.stderr {
        fcntl_setfl(stderr, OFlags::NONBLOCK)?;
    }
    Ok(())
}

//! How a command's process begins.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    process::setsid,
};

use super::{
    program::{Refusal, find},
    watchdog::Watchdog,
};
use crate::sandbox::{
    limits::{Expendable, lower_all, mark_expendable},
    wire::{Confinement, Run},
};

/// Starts a command in a session of its own, with an input if there is one, its output in pipes that do not block.
pub(super) fn spawn(
    run: &Run,
    input: Option<File>,
    confinement: &Confinement,
) -> Result<Child, Refusal> {
    let program = match run.is_task {
        // The agent's own, whose file has no path any more.
        true => PathBuf::from("/proc/self/exe"),
        false => find(run)?,
    };
    let mut command = Command::new(&program);
    command
        .arg0(&run.program)
        .args(&run.args)
        .env_clear()
        .envs(&run.env)
        .current_dir(&run.working_dir)
        .stdin(input.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let confinement = confinement.clone();
    let prepare = move || {
        setsid()?;
        mark_expendable(Expendable::Command);
        lower_all(&confinement)
    };
    // Capabilities and filters are those of the agent already.
    // SAFETY: the child of a process without threads may do whatever its parent may; it only makes system calls.
    unsafe { command.pre_exec(prepare) };
    let child = Watchdog::set()
        .and_then(|_watchdog| command.spawn())
        .and_then(|child| make_nonblocking(&child).map(|()| child));
    child.map_err(|error| Refusal::of_kernel(&program, &error))
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

//! How an exe-unit is started: by the very program that wants one, or by the binary `exe-unit`.

use std::{
    ffi::{CString, OsStr, OsString},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{image, sandbox, standalone, tied, unit};

/// The names under which a program is started again, as the kernel passes them: `argv[0]`.
const EXE_UNIT: &str = "exe-unit";
const RUNTIME: &str = "kiln-runtime";
const LAUNCHER: &str = "exe-unit-sandbox";
const AGENT: &str = "exe-unit-agent";
const WARDEN: &str = "exe-unit-warden";
const TIED: &str = "exe-unit-tied";
const UNPACKER: &str = "exe-unit-unpacker";

/// The running program, whatever its name and even if its file is gone.
const THIS_PROGRAM: &str = "/proc/self/exe";

static ENTERED: AtomicBool = AtomicBool::new(false);

/// A program that becomes an exe-unit, and a sandbox, when it is started as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
}

/// The program has not called [`enter`], so it must not start itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this program cannot start itself as an exe-unit: put `exeunit::enter();` first in its `main`"
)]
pub struct NotEntered;

impl Program {
    /// This very program. Its `main` must have called [`enter`] first: without that, a child would
    /// do what its parent did, start a child, and so for ever; hence the error.
    pub fn this() -> Result<Self, NotEntered> {
        match ENTERED.load(Ordering::Relaxed) {
            true => Ok(Self::at(THIS_PROGRAM)),
            false => Err(NotEntered),
        }
    }

    /// The program at a path: the binary `exe-unit`, or any other whose `main` calls [`enter`].
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is; for [`Program::this`], a name that means the caller's own file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that starts it as an exe-unit; arguments, environment and the rest are the caller's.
    pub fn exe_unit(&self) -> Command {
        self.command(EXE_UNIT)
    }

    pub(crate) fn launcher(&self) -> Command {
        self.command(LAUNCHER)
    }

    /// A command by which the launcher starts itself again, in its new namespaces, as their first process.
    pub(crate) fn agent() -> Command {
        Self::at(THIS_PROGRAM).command(AGENT)
    }

    /// A command that starts a warden: see [`tied`](crate::tied).
    pub(crate) fn warden(&self) -> Command {
        self.command(WARDEN)
    }

    /// A command by which a warden starts itself again, to become the program that it guards.
    pub(crate) fn tied() -> Command {
        Self::at(THIS_PROGRAM).command(TIED)
    }

    /// A command that starts what unpacks an image.
    pub(crate) fn unpacker(&self) -> Command {
        self.command(UNPACKER)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0(name);
        command
    }
}

/// Lets a program serve as an exe-unit: call it first in `main`.
///
/// A program that starts exe-units or sandboxes needs no second binary beside it: it starts itself
/// again, under another name. In such a child this function does the child's work and never
/// returns; in the program that a user has started it returns at once.
///
/// It must come before anything else, above all before an async runtime or any other thread: a
/// sandbox's processes rely on being single-threaded.
///
/// ```no_run
/// exeunit::enter();
/// // From here on the program does what it is for, and may start itself:
/// let program = exeunit::Program::this()?;
/// let mut exe_unit = program.exe_unit();
/// exe_unit.arg("--help");
/// # Ok::<(), exeunit::NotEntered>(())
/// ```
pub fn enter() {
    ENTERED.store(true, Ordering::Relaxed);
    let name = called_as().unwrap_or_default();
    let main = match name.to_str() {
        Some(EXE_UNIT) => unit::main,
        Some(RUNTIME) => standalone::main,
        Some(LAUNCHER) => sandbox::launcher_main,
        Some(AGENT) => sandbox::agent_main,
        Some(WARDEN) => tied::warden_main,
        Some(TIED) => tied::tied_main,
        Some(UNPACKER) => image::unpacker_main,
        _ => return,
    };
    if let Ok(name) = CString::new(name.as_bytes()) {
        // What `ps` and `top` show would otherwise be the name of the link, `exe`; nothing depends on it.
        let _ = rustix::thread::set_name(&name);
    }
    std::process::exit(main().into())
}

/// Becomes an exe-unit, whatever this program is called: the whole `main` of the binary `exe-unit`.
pub fn exe_unit() -> ExitCode {
    enter();
    ExitCode::from(unit::main())
}

/// Becomes a runtime for other exe-units, whatever this program is called: the whole `main` of the binary
/// `kiln-runtime`.
pub fn runtime_program() -> ExitCode {
    enter();
    ExitCode::from(standalone::main())
}

/// Becomes the first program of a virtual machine: the whole `main` of the binary `exe-unit-guest`.
pub fn guest() -> ExitCode {
    ExitCode::from(sandbox::guest_main())
}

fn called_as() -> Option<OsString> {
    let name = PathBuf::from(std::env::args_os().next()?);
    name.file_name().map(OsStr::to_owned)
}

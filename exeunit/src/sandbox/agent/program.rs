//! Whether there is such a program, and if it cannot be run, why: in words, where the kernel has only a number.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use crate::sandbox::wire::Run;

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = libc::EM_AARCH64;
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = libc::EM_X86_64;

/// Where programs without a path are looked for if the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How much of a file tells what kind of program it is.
const HEADER: u64 = 256;

/// Why a program was not started, and what a shell would have exited with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) reason: String,
}

impl Refusal {
    fn not_found(reason: String) -> Self {
        Self { code: 127, reason }
    }

    fn not_runnable(reason: String) -> Self {
        Self { code: 126, reason }
    }

    /// What the kernel said of a program that [`find`] had no objection to.
    pub(super) fn of_kernel(program: &Path, error: &io::Error) -> Self {
        let name = program.display();
        match error.raw_os_error() {
            Some(libc::ENOENT) => {
                let interpreter = Kind::of(program).and_then(Kind::interpreter);
                let missing =
                    interpreter.unwrap_or("the loader of its shared libraries".to_owned());
                Self::not_found(format!(
                    "{name}: the program is there, but not {missing}, which it needs"
                ))
            }
            _ => Self::not_runnable(format!("cannot run {name}: {error}")),
        }
    }
}

/// Finds a command's program, and checks that it can be one.
pub(super) fn find(run: &Run) -> Result<PathBuf, Refusal> {
    let name = &run.program;
    if !Path::new(&run.working_dir).is_dir() {
        let reason = format!(
            "{name}: there is no folder {} to run it in",
            run.working_dir
        );
        return Err(Refusal::not_runnable(reason));
    }
    let program =
        look_up(run).ok_or_else(|| Refusal::not_found(format!("{name}: no such program")))?;
    let objection = if program.is_dir() {
        "not a program but a folder"
    } else if !program.is_file() {
        "neither a program nor a file"
    } else if access(&program, Access::EXEC_OK).is_err() {
        "not executable"
    } else if Kind::of(&program).is_some_and(|kind| matches!(kind, Kind::Unknown)) {
        "not a program that this machine can run"
    } else {
        return Ok(program);
    };
    Err(Refusal::not_runnable(format!(
        "{}: {objection}",
        program.display()
    )))
}

/// A path as it is, from the working directory; a mere name along the `PATH`.
fn look_up(run: &Run) -> Option<PathBuf> {
    let candidates: Vec<PathBuf> = if run.program.contains('/') {
        vec![Path::new(&run.working_dir).join(&run.program)]
    } else {
        let path = run.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        path.split(':')
            .map(|folder| Path::new(folder).join(&run.program))
            .collect()
    };
    candidates.into_iter().find(|program| program.exists())
}

/// What kind of program a file is, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A program of this machine, in machine code.
    Elf,
    /// A text for the interpreter that its first line names.
    Script(String),
    /// Neither; also a program of another machine, or a 32-bit one, whose system calls are not allowed.
    Unknown,
}

impl Kind {
    /// None if the file cannot be read, which it may well forbid and still be executable.
    fn of(program: &Path) -> Option<Self> {
        let mut header = Vec::new();
        // Whatever is there by now must not hold up process 1: the other end of a pipe would never be opened.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(program);
        let file = opened
            .ok()
            .filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
        file.take(HEADER).read_to_end(&mut header).ok()?;
        Some(Self::by_header(&header))
    }

    fn by_header(header: &[u8]) -> Self {
        const CLASS_64: u8 = 2;
        if let Some(line) = header.strip_prefix(b"#!") {
            let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let interpreter = line.split_whitespace().next();
            return interpreter.map_or(Self::Unknown, |path| Self::Script(path.to_owned()));
        }
        let machine = header
            .get(18..20)
            .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        let is_ours = header.starts_with(b"\x7fELF")
            && header.get(4) == Some(&CLASS_64)
            && machine == Some(MACHINE);
        if is_ours { Self::Elf } else { Self::Unknown }
    }

    fn interpreter(self) -> Option<String> {
        match self {
            Self::Script(interpreter) => Some(interpreter),
            Self::Elf | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, MACHINE};

    fn elf(class: u8, machine: u16) -> Vec<u8> {
        let mut header = vec![0; 64];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = class;
        header[18..20].copy_from_slice(&machine.to_le_bytes());
        header
    }

    #[test]
    fn a_kind_is_told_by_the_header() {
        let script = |path: &str| Kind::Script(path.to_owned());
        let cases: [(&[u8], Kind); 10] = [
            (&elf(2, MACHINE), Kind::Elf),
            (&elf(1, libc::EM_386), Kind::Unknown),
            (&elf(2, libc::EM_RISCV), Kind::Unknown),
            (&elf(2, MACHINE)[..19], Kind::Unknown),
            (b"#!/bin/sh\necho", script("/bin/sh")),
            (b"#! /usr/bin/env -S python3 -u", script("/usr/bin/env")),
            (b"#!\n", Kind::Unknown),
            (b"echo hi\n", Kind::Unknown),
            (b"MZ\x90\0", Kind::Unknown),
            (b"", Kind::Unknown),
        ];
        for (header, kind) in cases {
            assert_eq!(Kind::by_header(header), kind, "{:?}", header.escape_ascii());
        }
    }
}

//! A sandbox over a few programs of this machine.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

use exeunit::{
    Program,
    sandbox::{Command, ExitStatus, Output, Process, Root, Sandbox, SandboxConfig, Volume},
};
use futures::StreamExt;

pub(crate) use crate::programs::HostPrograms;
use crate::programs::copy_file;

/// What most tests need: a shell and what it calls.
pub(crate) fn programs() -> HostPrograms {
    HostPrograms::copy(&[
        "sh", "cat", "env", "head", "ls", "mkdir", "mkfifo", "readlink", "rm", "sleep",
    ])
}

/// Writes a file of an image, with a mode.
pub(crate) fn write(image: &HostPrograms, path: &str, mode: u32, content: &[u8]) {
    let path = image.at(path);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(content).expect("a file");
    copy_file(file.path(), &path);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
}

pub(crate) fn config(root: Root) -> SandboxConfig {
    SandboxConfig {
        program: Program::at(env!("CARGO_BIN_EXE_exe-unit")),
        root,
        volumes: Vec::new(),
        hostname: "kiln".to_owned(),
    }
}

pub(crate) fn overlay(image: &HostPrograms) -> Root {
    Root::Overlay {
        image: image.path().to_owned(),
        scratch_bytes: 16 << 20,
    }
}

pub(crate) async fn start(image: &HostPrograms) -> Sandbox {
    let sandbox = Sandbox::start(config(overlay(image))).await;
    sandbox.expect("a sandbox")
}

pub(crate) async fn start_with_volume(image: &HostPrograms, folder: &Path, path: &str) -> Sandbox {
    exeunit::sandbox::adopt(folder).expect("the folder is the caller's");
    let volume = Volume {
        folder: folder.to_owned(),
        path: path.to_owned(),
    };
    let sandbox = Sandbox::start(SandboxConfig {
        volumes: vec![volume],
        ..config(overlay(image))
    });
    sandbox.await.expect("a sandbox")
}

/// A shell script as a command.
pub(crate) fn script(text: &str) -> Command {
    Command {
        args: vec!["-c".to_owned(), text.to_owned()],
        env: [("PATH".to_owned(), "/bin".to_owned())].into(),
        ..Command::new("/bin/sh")
    }
}

/// All that a command has written, and how it has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
}

pub(crate) async fn capture(mut process: Process) -> Captured {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(output) = process.next().await {
        match output {
            Output::Stdout(bytes) => stdout.extend_from_slice(&bytes),
            Output::Stderr(bytes) => stderr.extend_from_slice(&bytes),
        }
    }
    Captured {
        stdout: String::from_utf8(stdout).expect("UTF-8"),
        stderr: String::from_utf8(stderr).expect("UTF-8"),
        status: process.wait().await.expect("the sandbox lives"),
    }
}

/// Runs a shell script to its end.
pub(crate) async fn sh(sandbox: &Sandbox, text: &str) -> Captured {
    capture(sandbox.run(script(text)).await.expect("a shell")).await
}

/// The network devices that a sandbox has, by name.
pub(crate) async fn devices(sandbox: &Sandbox) -> Vec<String> {
    let devices = stdout(sandbox, "cat /proc/net/dev").await;
    let lines = devices.lines().skip(2);
    let names = lines.filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    // Kernels with tunnels show their templates, which are switched off, in every namespace.
    let mut names: Vec<_> = names
        .filter(|name| !name.ends_with('0') || name == "eth0")
        .collect();
    names.sort_unstable();
    names
}

/// The standard output of a shell script that must succeed.
pub(crate) async fn stdout(sandbox: &Sandbox, text: &str) -> String {
    let captured = sh(sandbox, text).await;
    assert!(captured.status.is_success(), "{text}: {captured:?}");
    captured.stdout
}

//! Whatever is killed, nothing stays behind.

use std::fs;

use exeunit::sandbox::{Process, Sandbox, SandboxGone};
use futures::StreamExt;
use rustix::process::Pid;

use crate::{
    fixture::{HostPrograms, programs, script, start},
    processes::{Watched, children, sandbox_mounts},
};

/// A sandbox with a command and a daemon in it, and a view of all its processes.
struct AtWork {
    _image: HostPrograms,
    sandbox: Sandbox,
    command: Process,
    launcher: Watched,
    agent: Watched,
    others: Vec<Watched>,
}

impl AtWork {
    async fn start() -> Self {
        let image = programs();
        let sandbox = start(&image).await;
        let mark = format!("{:?}", image.path());
        let text = format!(": '{mark}'; sleep 1000 & echo; sleep 1000");
        let mut command = sandbox.run(script(&text)).await.expect("a shell");
        command.next().await;
        let shell = find_by_arguments(&mark);
        let agent = parent(shell);
        let others = children(shell).into_iter().chain([shell]);
        Self {
            launcher: Watched::new(parent(agent)),
            agent: Watched::new(agent),
            others: others.map(Watched::new).collect(),
            _image: image,
            sandbox,
            command,
        }
    }

    async fn assert_all_end(self) {
        self.sandbox.monitor().gone().await;
        for process in [&self.launcher, &self.agent]
            .into_iter()
            .chain(&self.others)
        {
            assert!(process.ends_within(10));
        }
        assert_eq!(self.command.wait().await, Err(SandboxGone));
        assert!(self.sandbox.run(script("exit 0")).await.is_err());
    }
}

#[tokio::test]
async fn killing_the_launcher_ends_the_sandbox() {
    let before = sandbox_mounts();
    let at_work = AtWork::start().await;
    at_work.launcher.kill();
    at_work.assert_all_end().await;
    assert_eq!(sandbox_mounts(), before);
}

#[tokio::test]
async fn killing_the_agent_ends_the_sandbox() {
    let before = sandbox_mounts();
    let at_work = AtWork::start().await;
    at_work.agent.kill();
    at_work.assert_all_end().await;
    assert_eq!(sandbox_mounts(), before);
}

#[tokio::test]
async fn stopping_waits_until_all_is_gone() {
    let before = sandbox_mounts();
    let at_work = AtWork::start().await;
    at_work.sandbox.stop().await;
    for process in [&at_work.launcher, &at_work.agent]
        .into_iter()
        .chain(&at_work.others)
    {
        assert!(process.ends_within(0));
    }
    assert_eq!(at_work.command.wait().await, Err(SandboxGone));
    assert_eq!(sandbox_mounts(), before);
}

#[tokio::test]
async fn dropping_it_ends_the_sandbox() {
    let at_work = AtWork::start().await;
    drop(at_work.sandbox);
    assert_eq!(at_work.command.wait().await, Err(SandboxGone));
    for process in at_work.others {
        assert!(process.ends_within(10));
    }
}

fn find_by_arguments(part: &str) -> Pid {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_it = |id: &i32| {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(part)
    };
    let id = ids.find(has_it).expect("the process lives");
    Pid::from_raw(id).expect("an id")
}

fn parent(pid: Pid) -> Pid {
    let status = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = fs::read_to_string(status).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let id = line
        .and_then(|id| id.trim().parse().ok())
        .expect("a parent");
    Pid::from_raw(id).expect("an id")
}

//! A command from its request to its end, beside fork and exec of the same program.

use std::{
    fs,
    process::{Command as HostCommand, Stdio},
    time::Instant,
};

use exeunit::{
    Program,
    sandbox::{Command, Root, Sandbox, SandboxConfig},
};
use futures::StreamExt;
use serde_json::json;

use crate::{
    fixture::{Unit, messages},
    programs::HostPrograms,
    table::{Row, median, milliseconds, not_measured},
};

const ROUNDS: usize = 500;
/// Without these, the first commands pay for what the kernel and the programs keep.
const WARM_UP: usize = 20;

pub(crate) fn config(image: &HostPrograms) -> SandboxConfig {
    SandboxConfig {
        program: Program::at(env!("CARGO_BIN_EXE_exe-unit")),
        root: Root::Overlay {
            image: image.path().to_owned(),
            scratch_bytes: 16 << 20,
        },
        volumes: Vec::new(),
        hostname: "bench".to_owned(),
    }
}

pub(crate) async fn measure() {
    let image = HostPrograms::copy(&["true"]);
    let sandbox = Sandbox::start(config(&image)).await.expect("a sandbox");
    let (unit, _files) = Unit::ready().await;
    let (mut ours, mut theirs, mut scripts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let times = [
            in_sandbox(&sandbox).await,
            on_host(&image),
            as_script(&unit).await,
        ];
        if round >= WARM_UP {
            ours.push(times[0]);
            theirs.push(times[1]);
            scripts.push(times[2]);
        }
    }
    sandbox.stop().await;
    let [ours, theirs, scripts] = [ours, theirs, scripts].map(median);
    let beside = format!("fork and exec of it: {}", milliseconds(theirs));
    Row::new("`true` in a sandbox that lives", milliseconds(ours))
        .beside(beside.clone(), ours / theirs)
        .goal("ratio ≤ 2.0")
        .print();
    Row::new(
        "a script with it, over the bus, and its result",
        milliseconds(scripts),
    )
    .beside(beside, scripts / theirs)
    .print();
    against_bubblewrap(&image, ours);
}

async fn in_sandbox(sandbox: &Sandbox) -> f64 {
    let began = Instant::now();
    let mut process = sandbox.run(Command::new("/bin/true")).await.expect("true");
    while process.next().await.is_some() {}
    let status = process.wait().await.expect("the sandbox lives");
    let seconds = began.elapsed().as_secs_f64();
    assert!(status.is_success(), "{status:?}");
    seconds
}

fn on_host(image: &HostPrograms) -> f64 {
    let mut command = HostCommand::new(image.at("/bin/true"));
    command.env_clear();
    run(&mut command)
}

fn run(command: &mut HostCommand) -> f64 {
    let began = Instant::now();
    let status = command.stdin(Stdio::null()).status().expect("a program");
    let seconds = began.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?}: {status}");
    seconds
}

async fn as_script(unit: &Unit) -> f64 {
    let began = Instant::now();
    let results = unit.run(json!([{"run": {"entry_point": "/bin/true"}}]));
    let results = results.await;
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(messages(&results), ["Ok"]);
    seconds
}

/// A sandbox of bubblewrap's is there for one command alone.
fn against_bubblewrap(image: &HostPrograms, ours: f64) {
    const WHAT: &str = "`true` in a sandbox that lives, beside bubblewrap";
    let version = HostCommand::new("bwrap").arg("--version").output();
    if let Err(error) = version {
        return not_measured(WHAT, format_args!("bwrap: {error}"));
    }
    for folder in ["/proc", "/dev"] {
        fs::create_dir(image.at(folder)).expect("a folder");
    }
    let mut bubblewrap = HostCommand::new("bwrap");
    bubblewrap
        .args(["--unshare-all", "--die-with-parent", "--ro-bind"])
        .arg(image.path())
        .args(["/", "--proc", "/proc", "--dev", "/dev", "/bin/true"])
        .env_clear();
    let times = (0..100).map(|_| run(&mut bubblewrap)).collect();
    let theirs = median(times);
    Row::new(WHAT, milliseconds(ours))
        .beside(milliseconds(theirs), ours / theirs)
        .print();
}

//! Programs that hold up whoever starts them: the sandbox still does what it is told, and can be ended.

use std::{ffi::CString, io};

use libtest_mimic::{Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    activity::{Activity, PATIENCE, command, run},
    attack::VOLUME,
    processes::{Watched, children},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a pipe as a program holds nobody up", || {
            let mut outcome = Ok(());
            run(async || outcome = call_pipe().await);
            outcome
        }),
        Trial::test("stopping whatever starts holds nobody up", || {
            let mut outcome = Ok(());
            run(async || outcome = stop_whatever_starts().await);
            outcome
        }),
        Trial::test(
            "killing the exe-unit leaves nothing of a stopped sandbox",
            || {
                let mut outcome = Ok(());
                run(async || outcome = kill_above_stopped_agent().await);
                outcome
            },
        ),
    ]
}

async fn call_pipe() -> Result<(), Failed> {
    let mut activity = Activity::ready().await;
    activity.attack(&["stall", "pipe"]).await;
    let pipe = format!("{VOLUME}/pipe");
    let results = activity.run(json!([{"run": {"entry_point": pipe}}])).await;
    activity.assert_unharmed().await;
    let message = results[0].message.clone().unwrap_or_default();
    match message.contains("neither a program nor a file") {
        true => Ok(()),
        false => Err(message.into()),
    }
}

async fn stop_whatever_starts() -> Result<(), Failed> {
    let mut activity = Activity::ready().await;
    // The first that is stopped may be whoever has begun with it.
    activity
        .run(json!([for_a_second(&["stall", "stop"])]))
        .await;
    // What runs already is only as late as any other program. What is stopped before it runs is killed in the end, and
    // with it whoever stops others.
    for _ in 0..20 {
        let results = activity
            .run(json!([for_a_second(&["say", "started"])]))
            .await;
        match results[0].message.as_deref() {
            None => break,
            Some(message) if message.contains("timeout of 1s") => {}
            Some(message) => return Err(message.into()),
        }
    }
    kill_process(activity.pid(), Signal::TERM).expect("it lives");
    let reason = activity.ended().await;
    match reason.contains("SIGTERM") {
        true => Ok(()),
        false => Err(reason.into()),
    }
}

/// Whatever an agent is held up by, it does not outlive its exe-unit.
async fn kill_above_stopped_agent() -> Result<(), Failed> {
    let mut activity = Activity::ready().await;
    let first_child = |&process: &Pid| children(process).first().copied();
    let line: Vec<Pid> = std::iter::successors(Some(activity.pid()), first_child).collect();
    let [_exe_unit, launcher, builder, agent] = line[..] else {
        return Err(format!("{line:?} is no sandbox").into());
    };
    let sandbox = [launcher, builder, agent].map(Watched::new);
    kill_process(agent, Signal::STOP)?;
    activity.child.start_kill()?;
    match sandbox
        .iter()
        .all(|process| process.ends_within(PATIENCE.as_secs().cast_signed()))
    {
        true => Ok(()),
        false => Err(format!("of {line:?} one has not ended").into()),
    }
}

fn for_a_second(arguments: &[&str]) -> Value {
    let mut command = command(arguments);
    command["run"]["timeout"] = json!("1s");
    command
}

/// Holds up whoever starts something.
pub(crate) fn stall(by: &str) {
    match by {
        "pipe" => {
            let path = CString::new(format!("{VOLUME}/pipe")).expect("no zero");
            // SAFETY: the path is one.
            let made = unsafe { libc::mkfifo(path.as_ptr(), 0o755) };
            assert_eq!(made, 0, "{}", io::Error::last_os_error());
        }
        "stop" => {
            // SAFETY: this program has one thread.
            if unsafe { libc::fork() } == 0 {
                // SAFETY: plain system calls.
                unsafe { libc::setsid() };
                loop {
                    // SAFETY: a plain system call: all but this process and the first are stopped.
                    unsafe { libc::kill(-1, libc::SIGSTOP) };
                }
            }
        }
        by => panic!("nobody knows how to stall by {by}"),
    }
}

//! A user's program on a local node, from `main` to its end, with real exe-units.
//!
//! This file is both: started as a test it starts itself as the program, in a temporary folder of its own, and looks at
//! what that has said and left behind.

#[path = "exe_units/programs.rs"]
mod programs;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use libtest_mimic::{Arguments, Failed, Trial};
use requestor::{Event, Golem, InstanceState, Payload, Script, Service, WorkContext, vm};
use rustix::process::{Pid, Signal, kill_process};

use self::programs::pack;

fn main() -> ExitCode {
    node::main(async {
        match env::var("PROGRAM").as_deref() {
            Ok(_) => program().await,
            Err(_) => {
                let tests = vec![
                    Trial::test("a_service_runs_and_nothing_is_left", || run("serve")),
                    Trial::test("a_killed_exe_unit_is_named", || run("kill")),
                    Trial::test("a_script_that_runs_ends_before_shutdown", || run("raise")),
                ];
                libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
            }
        }
    })
}

/// The program: one instance of a service, and the bill.
async fn program() -> ExitCode {
    let yagna = node::yagna_or_local().await.unwrap();
    let builder = Golem::builder().budget("1.0".parse().unwrap());
    let golem = builder.start_on(yagna).await.unwrap();
    let mut events = golem.events();
    let watching = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::InstanceChanged(status) = event {
                println!(
                    "{:?} {} {}",
                    status.state,
                    status.provider.unwrap_or_default(),
                    status.cause.unwrap_or_default()
                );
                if status.state == InstanceState::Terminated {
                    return;
                }
            }
        }
    });
    let cluster = golem.run_service(|_| Echo).start().await.unwrap();
    cluster.ended().await;
    watching.await.unwrap();
    println!("{}", golem.shutdown().await);
    ExitCode::SUCCESS
}

/// Says what it is told, keeps what it is given, and may be killed at it.
struct Echo;

impl Service for Echo {
    async fn get_payload() -> requestor::Result<Payload> {
        Ok(vm::image_file(env::var("IMAGE")?).payload())
    }

    fn run(&mut self, ctx: &WorkContext) -> impl Stream<Item = requestor::Result<Script>> {
        try_stream! {
            let mut script = Script::new();
            let said = script.run("/bin/echo", ["hello"]);
            let given = vec![7; 100_000];
            script.upload_bytes(given.clone(), "/golem/work/given");
            let taken = script.download_bytes("/golem/work/given");
            yield script;

            let said = said.await?;
            let said = said.text()?;
            println!("said {} on {}", said.trim(), ctx.provider_name());
            let taken = taken.await?;
            assert_eq!(taken, given);
            println!("activity {}", ctx.activity_id());
            if env::var("PROGRAM")? == "kill" {
                let mut script = Script::new();
                let long = script.run("/bin/sleep", ["1000"]);
                yield script;

                kill_exe_units();
                long.await?;
            }
            if env::var("PROGRAM")? == "raise" {
                let mut script = Script::new();
                script.run("/bin/sleep", ["1"]);
                yield script;

                Err("out of luck")?;
            }
        }
    }

    fn shutdown(&mut self, _: &WorkContext) -> impl Stream<Item = requestor::Result<Script>> {
        try_stream! {
            let mut script = Script::new();
            let said = script.run("/bin/echo", ["bye"]);
            yield script;

            let said = said.await?;
            let said = said.text()?;
            println!("said {said}");
        }
    }
}

/// Kills this process's children that are exe-units.
fn kill_exe_units() {
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/self/task/{own}/children"));
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let of_threads =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let children: String = children.into_iter().chain(of_threads).collect();
    for pid in children.split_whitespace() {
        let name = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if name.starts_with("exe-unit\0") {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            kill_process(pid, Signal::KILL).unwrap();
        }
    }
}

/// Runs this file as the program, and looks at what it says and leaves behind.
fn run(what: &'static str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (temporary, cache) = (folder.path().join("tmp"), folder.path().join("cache"));
    fs::create_dir(&temporary)?;
    let programs = ["/bin/echo", "/bin/sleep"].map(|path| (Path::new(path), path));
    let image = pack(&programs, folder.path());
    let output = Command::new(env::current_exe()?)
        .env_remove("YAGNA_APPKEY")
        .env("PROGRAM", what)
        .env("IMAGE", image)
        .env("TMPDIR", &temporary)
        .env("XDG_CACHE_HOME", &cache)
        .output()?;
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    check(&output, output.status.success(), "its exit code")?;
    let line = complained.lines().next().unwrap_or_default();
    let local = line.starts_with(
        "YAGNA_APPKEY is not set: using a local node with 3 providers, http://127.0.0.1:",
    );
    check(&output, local, "the line about the local node")?;
    check(
        &output,
        said.contains("said hello on local-1"),
        "the cheapest provider's answer",
    )?;
    check(
        &output,
        said.contains("Running local-1"),
        "the instance's states",
    )?;
    if what == "kill" {
        let activity = said.lines().find_map(|line| line.strip_prefix("activity "));
        let cause = format!(
            "the exe-unit of activity {} on provider local-1 was killed, signal: 9 (SIGKILL)",
            activity.unwrap_or_default()
        );
        check(&output, said.contains(&cause), &cause)?;
    }
    if what == "raise" {
        let cause = "Terminated local-1 out of luck";
        check(&output, said.contains(cause), cause)?;
    }
    check(
        &output,
        said.contains("said bye") == (what != "kill"),
        "a goodbye of those who can",
    )?;
    check(
        &output,
        fs::read_dir(&temporary)?.next().is_none(),
        "an empty temporary folder",
    )?;
    check(&output, cache.join("kiln/exe-unit").is_dir(), "the cache")?;
    check(
        &output,
        processes_in(folder.path()).is_empty(),
        "no processes",
    )?;
    check(
        &output,
        !fs::read_to_string("/proc/mounts")?.contains(&path(folder.path())),
        "no mounts",
    )
}

fn check(output: &Output, holds: bool, expected: &str) -> Result<(), Failed> {
    let said = (text(&output.stdout), text(&output.stderr), output.status);
    match holds {
        true => Ok(()),
        false => Err(format!("expected {expected}: {said:#?}").into()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The processes that were started with something in a folder in their environment.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .map(|process| process.path())
        .filter(|process| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            text(&environment).contains(&path(folder))
        })
        .collect()
}

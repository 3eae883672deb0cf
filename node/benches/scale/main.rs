//! How fast many offers and demands match, what many activities cost a node, and whether it needs more memory the longer it runs.
//!
//! `cargo bench -p node --bench scale -- [--offers N] [--activities N] [--seconds S]` prints three tables: of N offers and as
//! many demands (1000), of N activities that live at once (1000), and of S seconds (60) of agreements that are made, used, billed and paid as fast as it goes. Their runtime does
//! nothing, so that what is measured is the node's and its exe-units'.

mod market;
mod processes;

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use async_stream::try_stream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use node::{LocalNode, Provider, Runtime};
use requestor::{Golem, Payload, Script, Service, WorkContext, rest::Rest};
use tokio::sync::watch;

/// Says in which folder the node is.
const FOLDER: &str = "SCALE_FOLDER";
const PATIENCE: Duration = Duration::from_secs(300);
/// How many agreements are made at a time.
const HANDS: usize = 4;
/// How often memory is looked at.
const SAMPLES: u32 = 12;
const MIB: f64 = 1024.0 * 1024.0;

/// A runtime that takes everything for done.
const NOOP: &str = r#"#!/bin/sh
case " $* " in
*" deploy "*) echo '{"valid": {"Ok": ""}, "vols": [], "startMode": "empty"}' ;;
esac
"#;

fn main() -> ExitCode {
    exeunit::enter();
    let arguments: Vec<String> = env::args().collect();
    // Without this, it is being asked whether it has any tests.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let number = |name: &str, usual: usize| {
        let place = arguments.iter().position(|argument| argument == name);
        place.map_or(Ok(usual), |place| {
            let value = arguments.get(place + 1).map_or("", String::as_str);
            value.parse().with_context(|| format!("{name} {value}"))
        })
    };
    let done = match env::var_os(FOLDER) {
        Some(folder) => node::main(serve(Path::new(&folder))),
        None => node::main(async {
            let seconds = Duration::from_secs(number("--seconds", 60)? as u64);
            measure(
                number("--offers", 1000)?,
                number("--activities", 1000)?,
                seconds,
            )
            .await
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The node, in a process of its own, until its standard input ends.
async fn serve(folder: &Path) -> anyhow::Result<()> {
    let provider = Provider::new("p")
        .slots(1_000_000)
        .runtime(Runtime::External(folder.join("noop")))
        .property("golem.runtime.name", "noop");
    let node = LocalNode::builder()
        .providers([provider])
        .cache_folder(folder.join("cache"))
        .app_key("asks", None)
        .app_key("runs", None)
        .start()
        .await?;
    let keys: Vec<_> = node.app_keys().map(|(_, key)| key).collect();
    println!("{} {}", node.url(), keys.join(" "));
    let over = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    over.await??;
    node.stop().await?;
    Ok(())
}

/// The node's process.
struct Node {
    child: Child,
    url: String,
    /// A requestor's app key, and that of a provider that is none of the node's.
    keys: Vec<String>,
}

impl Node {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg("--bench")
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().context("a pipe")?;
        BufReader::new(said).read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        Ok(Self {
            url: words.next().context("no node")?,
            keys: words.collect(),
            child,
        })
    }

    async fn golem(&self) -> anyhow::Result<Golem> {
        let golem = Golem::builder().budget("1000000".parse()?);
        let rest = Rest::connect(&self.url, &self.keys[0])?;
        Ok(golem.start_on(rest).await?)
    }

    fn memory(&self) -> anyhow::Result<processes::Memory> {
        processes::memory(self.child.id())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "the node has ended with {status}");
        Ok(())
    }
}

/// Runs nothing once, and then stays until it is told to go.
struct Idle {
    leave: watch::Receiver<bool>,
}

impl Service for Idle {
    async fn get_payload() -> requestor::Result<Payload> {
        Ok(Payload {
            properties: Default::default(),
            constraints: vec!["(golem.runtime.name=noop)".to_owned()],
            image: None,
        })
    }

    fn run(&mut self, _: &WorkContext) -> impl Stream<Item = requestor::Result<Script>> {
        try_stream! {
            let mut script = Script::new();
            let done = script.run("/bin/true", [""; 0]);
            yield script;
            done.await?;
            // Whoever could tell it is gone otherwise.
            let _told = self.leave.wait_for(|leave| *leave).await.is_ok();
        }
    }
}

async fn measure(offers: usize, activities: usize, duration: Duration) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let noop = folder.path().join("noop");
    fs::write(&noop, NOOP)?;
    fs::set_permissions(&noop, fs::Permissions::from_mode(0o755))?;
    let cores = std::thread::available_parallelism()?;
    println!("{cores} processors");
    if offers > 0 {
        let node = Node::start(folder.path())?;
        market::measure(&node, offers).await?;
        node.stop()?;
    }
    if activities > 0 {
        live(folder.path(), activities).await?;
    }
    deals(folder.path(), duration).await
}

/// Many activities at once.
async fn live(folder: &Path, activities: usize) -> anyhow::Result<()> {
    let node = Node::start(folder)?;
    let before = node.memory()?;
    let golem = node.golem().await?;
    let (leave, told) = watch::channel(false);
    let began = Instant::now();
    // Each with a demand of its own: an offer is proposed to a demand once.
    let clusters = stream::iter(0..activities).map(async |_| {
        let told = told.clone();
        let cluster = golem.run_service(move |_| Idle {
            leave: told.clone(),
        });
        let cluster = cluster.start().await?;
        cluster.all_running(PATIENCE).await?;
        anyhow::Ok(cluster)
    });
    let clusters: Vec<_> = clusters.buffer_unordered(HANDS).try_collect().await?;
    let took = began.elapsed().as_secs_f64();
    let after = node.memory()?;
    let each = |bytes: u64| bytes as f64 / activities as f64 / MIB;
    println!("\n| {activities} live activities | |\n|---|---|");
    println!("| until all have run a command | {took:.1} s |");
    let (least, most) = (before.own as f64 / MIB, after.own as f64 / MIB);
    println!("| the node's own memory, before and then | {least:.1}, {most:.1} MiB |");
    println!(
        "| for each | {:.3} MiB |",
        each(after.own - before.own.min(after.own))
    );
    let each_has = after.processes as f64 / activities as f64;
    println!("| processes of each | {each_has:.2} |");
    println!(
        "| their memory, shared parts divided, of each | {:.2} MiB |",
        each(after.others)
    );
    let began = Instant::now();
    leave.send(true)?;
    for cluster in clusters {
        cluster.ended().await;
    }
    println!(
        "| until all have ended | {:.1} s |",
        began.elapsed().as_secs_f64()
    );
    golem.shutdown().await;
    node.stop()
}

/// One agreement after another, each with an activity that runs a command, is billed and paid.
async fn deals(folder: &Path, duration: Duration) -> anyhow::Result<()> {
    let node = Node::start(folder)?;
    let golem = Arc::new(node.golem().await?);
    let (done, is_over) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut hands = tokio::task::JoinSet::new();
    for _ in 0..HANDS {
        let (golem, done, is_over) = (Arc::clone(&golem), Arc::clone(&done), Arc::clone(&is_over));
        hands.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let leave = watch::channel(true).1;
                let cluster = golem.run_service(move |_| Idle {
                    leave: leave.clone(),
                });
                cluster.start().await?.ended().await;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    println!("\n| after | agreements | the node's memory |\n|---|---|---|");
    let mut samples = Vec::new();
    for sample in 1..=SAMPLES {
        tokio::time::sleep(duration / SAMPLES).await;
        let (count, memory) = (done.load(Ordering::Relaxed), node.memory()?.own);
        let seconds = (duration / SAMPLES * sample).as_secs_f64();
        println!(
            "| {seconds:.0} s | {count} | {:.1} MiB |",
            memory as f64 / MIB
        );
        samples.push((count, memory));
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(hand) = hands.join_next().await {
        hand??;
    }
    // The first third warms up.
    let (first, last) = (
        samples[SAMPLES as usize / 3 - 1],
        samples[SAMPLES as usize - 1],
    );
    let grown = last.1 as f64 - first.1 as f64;
    let agreements = (last.0 - first.0).max(1) as f64;
    println!(
        "\nafter the first third, {:.0} bytes more for each agreement",
        grown / agreements
    );
    println!(
        "{:.1} agreements in a second",
        last.0 as f64 / duration.as_secs_f64()
    );
    let golem = Arc::into_inner(golem).context("somebody works still")?;
    golem.shutdown().await;
    node.stop()
}

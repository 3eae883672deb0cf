//! Virtual private networks, with real sandboxes: instances reach each other, and the requestor reaches them.
//!
//! This file is all of it: the test, the program that it starts in a folder of its own, and what runs in sandboxes.

#[path = "../exe_units/programs.rs"]
mod programs;
mod raw;
mod scene;
mod service;
mod tool;

use std::{
    env, fs,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use node::{LocalNode, Quality};
use requestor::Network;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{scene::Scene, tool::PORT};

fn main() -> ExitCode {
    exeunit::enter();
    if let Some(done) = tool::run() {
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    if env::var_os("PROGRAM").is_some() {
        return match node::main(program()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let test = Trial::test("instances_and_their_requestor_reach_each_other", start);
    libtest_mimic::run(&Arguments::from_args(), vec![test]).exit_code()
}

/// Runs this file as the program, in a folder of its own.
fn start() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary)?;
    let image = tool::image(folder.path()).map_err(|error| format!("{error:#}"))?;
    let output = Command::new(env::current_exe()?)
        .env("PROGRAM", "network")
        .env("IMAGE", image)
        .env("TMPDIR", &temporary)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}: {said}", output.status).into()),
    }
}

/// Two instances that reach each other, and are reached.
async fn program() -> anyhow::Result<()> {
    let mut scene = Scene::start(&env::temp_dir().join("cache")).await?;
    let hosts = scene.network.hosts();
    let addresses: Vec<_> = hosts.values().map(ToString::to_string).collect();
    ensure!(addresses == ["192.168.7.2", "192.168.7.3"], "{hosts:?}");

    // From instance to instance, by name.
    let said = scene.fetch(20_000_000).await?;
    ensure!(said.starts_with("20000000 hello "), "{said}");

    let network = &scene.network;
    requestor_reaches(network, 5_000_000).await?;
    let refused = network.connect(hosts["peer-1"], 9).await;
    let refused = refused.err().context("nobody listens there")?.to_string();
    ensure!(
        refused.contains("nobody at 192.168.7.2:9 listens"),
        "{refused}"
    );

    let connection = requestor_reaches(network, 1_000_000);
    raw::kernels_answer(&scene.node, network, connection).await?;

    links_are_late(&scene.node, network).await?;

    let (node, network) = scene.end().await;
    let gone = network.connect(hosts["peer-1"], PORT).await;
    let gone = gone.err().context("the network is gone")?.to_string();
    ensure!(gone.contains("not found"), "{gone}");
    node.stop().await?;
    Ok(())
}

/// From the requestor to an instance, through the daemon.
async fn requestor_reaches(network: &Network, bytes: usize) -> anyhow::Result<()> {
    let mut connection = network.connect(network.hosts()["peer-1"], PORT).await?;
    connection.write_all(&(bytes as u64).to_be_bytes()).await?;
    let mut received = vec![0; bytes];
    connection.read_exact(&mut received).await?;
    ensure!(received.iter().all(|byte| *byte == 7), "other bytes");
    // And as much the other way, and back.
    let said: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let (mut read, mut write) = tokio::io::split(connection);
    let mut echo = vec![0; bytes];
    let (sent, received) = tokio::join!(write.write_all(&said), read.read_exact(&mut echo));
    sent?;
    received?;
    ensure!(echo == said, "another echo");
    Ok(())
}

/// With a delay on all links, an answer takes two of them.
async fn links_are_late(node: &LocalNode, network: &Network) -> anyhow::Result<()> {
    const DELAY: Duration = Duration::from_millis(150);
    let quality = Quality {
        delay_ms: DELAY.as_secs_f64() * 1000.0,
        ..Quality::default()
    };
    let set = |link: serde_json::Value| {
        let url = format!("{}/net-api/v2/vpn/net/{}/links", node.url(), network.id());
        let request = reqwest::Client::new().put(url).bearer_auth(node.app_key());
        request.json(&link).send()
    };
    let answer = set(json!({"quality": quality})).await?;
    ensure!(answer.status().is_success(), "{}", answer.text().await?);
    let began = Instant::now();
    requestor_reaches(network, 100_000).await?;
    // At the least: to open the connection, and to ask.
    let took = began.elapsed();
    ensure!(took >= 4 * DELAY, "{took:?}");
    let refused = set(json!({"quality": {"loss": 2}})).await?;
    let refusal = (refused.status().as_u16(), refused.text().await?);
    ensure!(
        refusal.0 == 400 && refusal.1.contains("loss is 2: it must be from 0 to 1"),
        "{refusal:?}"
    );
    let refused = set(json!({"from": "192.168.7.2", "quality": {}})).await?;
    ensure!(refused.status().as_u16() == 400, "{}", refused.status());
    ensure!(set(json!({"quality": {}})).await?.status().is_success());
    Ok(())
}

//! How fast a network of sandboxes is: from instance to instance, and from an instance to its requestor.
//!
//! `cargo bench -p node --bench network` prints a table.

#[path = "../tests/exe_units/programs.rs"]
mod programs;
#[path = "../tests/network/scene.rs"]
mod scene;
#[path = "../tests/network/service.rs"]
mod service;
#[path = "../tests/network/tool.rs"]
mod tool;

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::Context;
use requestor::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{scene::Scene, tool::PORT};

const ROUNDS: usize = 5;
const MEGABYTE: u64 = 1_000_000;

fn main() -> ExitCode {
    exeunit::enter();
    if let Some(done) = tool::run() {
        return ExitCode::from(u8::from(done.is_err()));
    }
    // Without this, it is being asked whether it has any tests.
    if !env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("no temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match env::var_os("IMAGE") {
        Some(_) => node::main(measure(folder.path())),
        None => start_again(folder.path()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this again, with an image.
fn start_again(folder: &Path) -> anyhow::Result<()> {
    let status = Command::new(env::current_exe()?)
        .arg("--bench")
        .env("IMAGE", tool::image(folder)?)
        .status()?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
}

async fn measure(folder: &Path) -> anyhow::Result<()> {
    let mut scene = Scene::start(&folder.join("cache")).await?;
    println!("| from | to | rate, median of {ROUNDS} | least |");
    println!("|---|---|---|---|");
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let bytes = 500 * MEGABYTE;
        let said = scene.fetch(bytes).await?;
        let seconds = said.split(' ').next_back().context("a time")?;
        rates.push(bytes as f64 / seconds.parse::<f64>()?);
    }
    row("instance", "instance", rates);
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        down.push(download(&scene.network, 200 * MEGABYTE).await?);
        up.push(echo(&scene.network, 100 * MEGABYTE).await?);
    }
    row("instance", "requestor", down);
    row("requestor", "instance, and back", up);

    let (node, _) = scene.end().await;
    node.stop().await?;
    Ok(())
}

fn row(from: &str, to: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    let megabytes = |rate: f64| rate / MEGABYTE as f64;
    println!(
        "| {from} | {to} | {:.0} MB/s | {:.0} MB/s |",
        megabytes(rates[rates.len() / 2]),
        megabytes(rates[0])
    );
}

async fn download(network: &Network, bytes: u64) -> anyhow::Result<f64> {
    let mut connection = network.connect(network.hosts()["peer-1"], PORT).await?;
    let began = Instant::now();
    connection.write_all(&bytes.to_be_bytes()).await?;
    let mut piece = vec![0; 256 << 10];
    let mut left = bytes;
    while left > 0 {
        let read = connection.read(&mut piece).await?;
        anyhow::ensure!(read > 0, "{left} bytes are missing");
        left -= read as u64;
    }
    Ok(bytes as f64 / began.elapsed().as_secs_f64())
}

async fn echo(network: &Network, bytes: u64) -> anyhow::Result<f64> {
    let mut connection = network.connect(network.hosts()["peer-1"], PORT).await?;
    connection.write_all(&0_u64.to_be_bytes()).await?;
    let (mut read, mut write) = tokio::io::split(connection);
    let began = Instant::now();
    let sent = async {
        let piece = vec![5; 256 << 10];
        let mut left = bytes as usize;
        while left > 0 {
            let length = left.min(piece.len());
            write.write_all(&piece[..length]).await?;
            left -= length;
        }
        Ok::<_, std::io::Error>(())
    };
    let received = async {
        let mut piece = vec![0; 256 << 10];
        let mut left = bytes;
        while left > 0 {
            match read.read(&mut piece).await? {
                0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
                read => left -= read as u64,
            }
        }
        Ok(())
    };
    let (sent, received) = tokio::join!(sent, received);
    sent?;
    received?;
    Ok(bytes as f64 / began.elapsed().as_secs_f64())
}

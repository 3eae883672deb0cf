//! Large volumes through an exe-unit: output that is streamed, and files that are fetched.
//!
//! `cargo bench -p exeunit --bench volume` prints a table; `VOLUME_MIB` is the volume, 1024 by default. What is
//! fetched is compared with curl, where that is installed.

#![expect(
    dead_code,
    unused_imports,
    reason = "the fixtures of the tests have more than is needed here"
)]

#[path = "../tests/exe_unit/fixture.rs"]
mod fixture;
#[path = "../tests/exe_unit/node.rs"]
mod node;
#[path = "../tests/programs/mod.rs"]
mod programs;
#[path = "../tests/exe_unit/web.rs"]
mod web;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use exeunit::{event::RuntimeEventKind, gsb::message::StreamExecBatchResults};
use serde_json::json;
use ya_client_model::activity::CommandOutput;

use crate::fixture::{Unit, messages};

/// How often each is measured; the best is shown.
const ROUNDS: usize = 3;

struct Measured {
    seconds: f64,
    /// The most memory that the exe-unit has had resident, in bytes.
    resident: Option<u64>,
}

#[tokio::main]
async fn main() {
    let mebibytes: u32 = std::env::var("VOLUME_MIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1024);
    let bytes = u64::from(mebibytes) << 20;
    println!("{mebibytes} MiB, best of {ROUNDS}");
    println!("| what | s | MiB/s | peak memory of the exe-unit, MiB |");
    println!("|---|---|---|---|");
    let mut streamed = Vec::new();
    let (mut fetched, mut curled) = (Vec::new(), Vec::new());
    let url = serve(bytes);
    for _ in 0..ROUNDS {
        streamed.push(stream(bytes).await);
        fetched.push(fetch(&url, bytes).await);
        curled.extend(curl(&url));
    }
    show("stdout as a stream of events", mebibytes, &streamed);
    let ours = show("fetched from a web server", mebibytes, &fetched);
    match curled.is_empty() {
        true => println!("curl is not installed: nothing to compare with"),
        false => {
            let theirs = show("the same with curl", mebibytes, &curled);
            println!("rate compared with curl's: {:.0} %", theirs / ours * 100.0);
        }
    }
}

fn show(name: &str, mebibytes: u32, rounds: &[Measured]) -> f64 {
    let seconds = rounds.iter().map(|round| round.seconds);
    let best = seconds.fold(f64::MAX, f64::min);
    let rate = f64::from(mebibytes) / best;
    let resident = rounds.iter().filter_map(|round| round.resident).max();
    let resident = resident.map_or("–".to_owned(), |bytes| {
        format!("{:.1}", bytes as f64 / f64::from(1 << 20))
    });
    println!("| {name} | {best:.2} | {rate:.0} | {resident} |");
    best
}

async fn stream(bytes: u64) -> Measured {
    let (unit, _files) = Unit::ready().await;
    let began = Instant::now();
    let batch_id = unit
        .exec(json!([{"run": {
            "entry_point": "/bin/head",
            "args": ["-c", bytes.to_string(), "/dev/zero"],
            "capture": {"stdout": {"stream": {}}},
        }}]))
        .await;
    let stream = StreamExecBatchResults {
        activity_id: "activity".to_owned(),
        batch_id,
    };
    let mut seen = 0;
    let count = |event: exeunit::event::RuntimeEvent| {
        if let RuntimeEventKind::StdOut(CommandOutput::Str(text)) = event.kind {
            seen += text.len() as u64;
        }
    };
    unit.node.for_each(&stream, count).await;
    assert_eq!(seen, bytes, "nothing is lost");
    Measured {
        seconds: began.elapsed().as_secs_f64(),
        resident: Some(unit.peak_memory()),
    }
}

async fn fetch(url: &str, bytes: u64) -> Measured {
    let (unit, _files) = Unit::ready().await;
    let began = Instant::now();
    let script = json!([{"transfer": {"from": url, "to": "/golem/in/large"}}]);
    let batch_id = unit.exec(script).await;
    let results = unit.results(&batch_id, 600.0, None).await.expect("results");
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(messages(&results), ["Ok"]);
    let file = std::fs::metadata(unit.work().join("vol-0/large"));
    assert_eq!(file.expect("a file").len(), bytes);
    Measured {
        seconds,
        resident: Some(unit.peak_memory()),
    }
}

fn curl(url: &str) -> Option<Measured> {
    let folder = tempfile::tempdir().expect("a folder");
    let began = Instant::now();
    let status = Command::new("curl")
        .args(["--silent", "--fail", "--output"])
        .arg(folder.path().join("large"))
        .arg(url)
        .status();
    let seconds = began.elapsed().as_secs_f64();
    status.ok()?.success().then_some(Measured {
        seconds,
        resident: None,
    })
}

/// A web server on loopback that gives so many bytes to whoever asks.
fn serve(bytes: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // Who has gone needs no more.
            let _ = give(stream, bytes);
        }
    });
    format!("http://127.0.0.1:{port}/large")
}

fn give(mut stream: TcpStream, bytes: u64) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n"
    )?;
    let piece: Vec<u8> = (0..256u32 << 10).map(|number| number as u8).collect();
    let mut left = bytes;
    while left > 0 {
        let length = left.min(piece.len() as u64);
        stream.write_all(&piece[..length as usize])?;
        left -= length;
    }
    Ok(())
}

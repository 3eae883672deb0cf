//! Large volumes through an exe-unit: output that is streamed, and files that are fetched, beside curl.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use exeunit::{event::RuntimeEventKind, gsb::message::StreamExecBatchResults};
use serde_json::json;
use ya_client_model::activity::CommandOutput;

use crate::{
    fixture::{Unit, messages},
    table::{Row, median, not_measured},
};

const ROUNDS: usize = 5;
/// Room for what is fetched.
const STORAGE_GIB: u32 = 4;
const MIB: f64 = (1 << 20) as f64;

/// What was moved once.
struct Measured {
    seconds: f64,
    /// The most memory that the exe-unit has had resident, in bytes.
    resident: u64,
}

pub(crate) async fn measure() {
    let mebibytes: u32 = std::env::var("VOLUME_MIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1024);
    let bytes = u64::from(mebibytes) << 20;
    let (mut streamed, mut fetched, mut curled) = (Vec::new(), Vec::new(), Vec::new());
    let url = serve(bytes);
    for _ in 0..ROUNDS {
        streamed.push(stream(bytes).await);
        fetched.push(fetch(&url, bytes).await);
        curled.extend(curl(&url));
    }
    let size = f64::from(mebibytes);
    let rate = |seconds: f64| format!("{:.0} MiB/s", size / seconds);
    let seconds = |rounds: &[Measured]| median(rounds.iter().map(|round| round.seconds).collect());
    let what = format!("{mebibytes} MiB of standard output, streamed as events");
    Row::new(&what, rate(seconds(&streamed))).print();
    show_memory(&what, &streamed);
    let what = format!("{mebibytes} MiB fetched from a web server");
    let ours = seconds(&fetched);
    match curled.is_empty() {
        true => {
            Row::new(&what, rate(ours)).print();
            not_measured("the same with curl", "it is not installed");
        }
        false => {
            let theirs = median(curled);
            Row::new(&what, rate(ours))
                .beside(format!("curl: {}", rate(theirs)), theirs / ours)
                .goal("ratio ≥ 0.7")
                .print();
        }
    }
    show_memory(&what, &fetched);
}

fn show_memory(what: &str, rounds: &[Measured]) {
    let most = rounds.iter().map(|round| round.resident).max();
    let most = most.unwrap_or_default() as f64 / MIB;
    Row::new(
        format!("{what}: most memory of the exe-unit"),
        format!("{most:.1} MiB"),
    )
    .goal("< 32 MiB")
    .print();
}

async fn stream(bytes: u64) -> Measured {
    let (unit, _files) = Unit::ready_within(STORAGE_GIB).await;
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
        window: None,
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
        resident: unit.peak_memory(),
    }
}

async fn fetch(url: &str, bytes: u64) -> Measured {
    let (unit, _files) = Unit::ready_within(STORAGE_GIB).await;
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
        resident: unit.peak_memory(),
    }
}

/// How long curl takes; none where it is not.
fn curl(url: &str) -> Option<f64> {
    let folder = tempfile::tempdir().expect("a folder");
    let began = Instant::now();
    let status = Command::new("curl")
        .args(["--silent", "--fail", "--output"])
        .arg(folder.path().join("large"))
        .arg(url)
        .status();
    let seconds = began.elapsed().as_secs_f64();
    status.ok()?.success().then_some(seconds)
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

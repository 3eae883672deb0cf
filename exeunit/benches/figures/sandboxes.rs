//! Sandboxes: how long they take to stand, what they take of memory, and how fast their images are unpacked.

use std::{fs, time::Instant};

use exeunit::sandbox::{Command, Limits, Process, Sandbox};
use rustix::process::{Pid, getpid};

use crate::{
    commands::config,
    processes::children,
    programs::HostPrograms,
    table::{Row, median, milliseconds, not_measured},
};

const STARTS: usize = 100;
/// How many sandboxes are there at the same time.
const MANY: u32 = 20;
const UNPACKED: usize = 3;
/// The files of an image that is unpacked, in bytes.
const IMAGE: u64 = 200_000_000;

pub(crate) async fn measure() {
    let image = HostPrograms::copy(&["sleep"]);
    start(&image).await;
    many(&image).await;
    unpack();
}

/// As activities have it, with limits.
async fn sandbox(image: &HostPrograms) -> Sandbox {
    let limits = Limits {
        memory_bytes: Some(256 << 20),
        cpu_threads: Some(1),
        ..Limits::default()
    };
    let sandbox = Sandbox::start_within(config(image), limits).await;
    sandbox.expect("a sandbox")
}

async fn start(image: &HostPrograms) {
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let began = Instant::now();
        let sandbox = sandbox(image).await;
        starts.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        sandbox.stop().await;
        stops.push(began.elapsed().as_secs_f64());
    }
    Row::new(
        "a sandbox, until it stands; its image is unpacked",
        milliseconds(median(starts)),
    )
    .goal("≤ 10 ms")
    .print();
    Row::new(
        "a sandbox, until nothing is left of it",
        milliseconds(median(stops)),
    )
    .print();
}

/// What processes have resident, in KiB; pages that several have count as parts of each in `shared`.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    resident: u64,
    shared: u64,
}

async fn many(image: &HostPrograms) {
    const WHAT: &str = "memory of each of 20 sandboxes of one image: all three processes";
    let mut sandboxes: Vec<(Sandbox, Process)> = Vec::new();
    for _ in 0..MANY {
        let sandbox = sandbox(image).await;
        let sleep = Command {
            args: vec!["1000".to_owned()],
            ..Command::new("/bin/sleep")
        };
        let process = sandbox.run(sleep).await.expect("sleep");
        sandboxes.push((sandbox, process));
    }
    match memory_below(getpid()) {
        Some(memory) => {
            let each =
                |kilobytes: u64| format!("{:.2} MiB", kilobytes as f64 / 1024.0 / f64::from(MANY));
            Row::new(WHAT, format!("PSS {}", each(memory.shared)))
                .beside(
                    format!("RSS {}", each(memory.resident)),
                    memory.shared as f64 / memory.resident as f64,
                )
                .print();
        }
        None => not_measured(WHAT, "only root may look into a sandbox's processes"),
    }
    for (sandbox, process) in sandboxes {
        drop(process);
        sandbox.stop().await;
    }
}

/// What all processes below one have; none if this user may not know.
fn memory_below(process: Pid) -> Option<Memory> {
    let mut sum = Memory::default();
    for child in children(process) {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", child.as_raw_nonzero()));
        let rollup = rollup.ok()?;
        let field = |name: &str| -> Option<u64> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        };
        let below = memory_below(child)?;
        sum.resident += field("Rss:")? + below.resident;
        sum.shared += field("Pss:")? + below.shared;
    }
    Some(sum)
}

fn unpack() {
    let place = tempfile::tempdir().expect("a folder");
    let tree = place.path().join("tree");
    fs::create_dir(&tree).expect("a folder");
    let mut bytes = 0;
    let entries = ["/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib64"];
    let entries = entries
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok());
    for entry in entries.flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && bytes < IMAGE {
            // What this user may not read is left out.
            bytes += fs::copy(entry.path(), tree.join(entry.file_name())).unwrap_or(0);
        }
    }
    let file = place.path().join("image.gvmi");
    gvmi::pack(&tree, &gvmi::Configuration::default(), &file).expect("an image");
    let mut times = Vec::new();
    for _ in 0..UNPACKED {
        let to = place.path().join("unpacked");
        let began = Instant::now();
        let image = gvmi::Image::open(&file).expect("an image");
        image.tree().expect("a tree").unpack(&to).expect("unpacked");
        times.push(began.elapsed().as_secs_f64());
        fs::remove_dir_all(to).expect("removed");
    }
    let seconds = median(times);
    let rate = bytes as f64 / 1e6 / seconds;
    Row::new(
        format!("an image of {} MB is unpacked", bytes / 1_000_000),
        format!("{rate:.0} MB/s"),
    )
    .print();
}

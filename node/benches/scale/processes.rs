//! What a process and those that it has started need of memory.

use std::{collections::BTreeMap, fs};

use anyhow::Context;

/// In bytes.
pub(crate) struct Memory {
    /// Of the process itself, resident.
    pub(crate) own: u64,
    /// How many it has started, and they in turn.
    pub(crate) processes: usize,
    /// Of those: each one's own, and its part of what is shared.
    pub(crate) others: u64,
}

pub(crate) fn memory(of: u32) -> anyhow::Result<Memory> {
    let parents = parents()?;
    let started: Vec<u32> = parents
        .keys()
        .copied()
        .filter(|pid| is_below(*pid, of, &parents))
        .collect();
    // Who has ended in the meantime needs none.
    let others = started
        .iter()
        .filter_map(|pid| field(*pid, "smaps_rollup", "Pss:"));
    Ok(Memory {
        own: field(of, "status", "VmRSS:").context("there is no such process")?,
        processes: started.len(),
        others: others.sum(),
    })
}

/// Who has started whom.
fn parents() -> anyhow::Result<BTreeMap<u32, u32>> {
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some((pid, line.trim().parse().ok()?))
    };
    Ok(pids.filter_map(parent).collect())
}

fn is_below(pid: u32, ancestor: u32, parents: &BTreeMap<u32, u32>) -> bool {
    let mut above = parents.get(&pid);
    while let Some(parent) = above {
        if *parent == ancestor {
            return true;
        }
        above = parents.get(parent);
    }
    false
}

/// A line of a file about a process, in bytes.
fn field(pid: u32, file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

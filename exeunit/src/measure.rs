//! What a process and all below it use, as this system's `/proc` tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::Pid,
};

use crate::{
    account::{Account, Stat},
    sandbox::wire::Measured,
};

/// A process and its descendants.
pub(crate) fn family(root: Pid) -> BTreeSet<i32> {
    let parents = parents();
    let mut tree = BTreeSet::from([root.as_raw_nonzero().get()]);
    // A child may have a smaller number than its parent: as often as there is a new one.
    loop {
        let children = parents.iter().filter(|(_, parent)| tree.contains(parent));
        let children: Vec<i32> = children.map(|(&process, _)| process).collect();
        let known = tree.len();
        tree.extend(children);
        if tree.len() == known {
            return tree;
        }
    }
}

/// Sums up a process and its descendants. The time of one that was waited for is in its parent's account.
pub(crate) fn tree(root: Pid) -> Measured {
    let account = |id: &i32| Account::of(&Path::new("/proc").join(id.to_string()));
    let (ticks, pages) = family(root)
        .iter()
        .filter_map(account)
        .fold((0, 0), |(ticks, pages), account| {
            (ticks + account.ticks, pages + account.resident_pages)
        });
    Measured {
        cpu_micros: ticks * 1_000_000 / clock_ticks_per_second(),
        resident_bytes: pages * page_size() as u64,
        scratch_bytes: 0,
        peak_process_bytes: 0,
    }
}

/// The parent of each process.
fn parents() -> BTreeMap<i32, i32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parent = |entry: fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some((id, Stat::of(&entry.path())?.parent()?))
    };
    processes.filter_map(parent).collect()
}

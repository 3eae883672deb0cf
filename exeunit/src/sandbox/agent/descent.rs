//! The descendants of a process, from the sandbox's own /proc.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::account::Stat;

/// How often it is looked for processes that were born meanwhile.
const LOOKS: usize = 100;
/// How long it takes at least until one that was told to stop has.
const PAUSE: Duration = Duration::from_micros(100);

/// Kills a process and all that descend from it, also those that have left its process group.
///
/// A daemon, whose parent has ended, descends from process 1, and lives on.
pub(super) fn kill(root: Pid) {
    // Who is stopped starts no other: once nobody is new and nobody moves, nobody can escape.
    let mut told = Vec::new();
    for _ in 0..LOOKS {
        let family = family(root);
        let new: Vec<Pid> = family
            .iter()
            .map(|member| member.pid)
            .filter(|pid| !told.contains(pid))
            .collect();
        if new.is_empty() {
            if family.iter().all(|member| member.is_still) {
                break;
            }
            // One that starts another at this moment stops after that.
            sleep(PAUSE);
        }
        for pid in new {
            // Who has ended by now needs nothing.
            let _ = kill_process(pid, Signal::STOP);
            told.push(pid);
        }
    }
    for pid in told {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A process of a family.
#[derive(Debug)]
struct Member {
    pid: Pid,
    /// It was stopped, or has ended.
    is_still: bool,
}

/// A process and all that descend from it at this moment.
fn family(root: Pid) -> Vec<Member> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let mut moving = BTreeSet::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.parse().ok());
        let stat = id.and_then(|_: i32| Stat::of(&entry.path()));
        if let (Some(id), Some(stat)) = (id, stat)
            && let (Some(state), Some(parent)) = (stat.state(), stat.parent())
        {
            children.entry(parent).or_default().push(id);
            if !STILL.contains(&state) {
                moving.insert(id);
            }
        }
    }
    let mut family = vec![root.as_raw_nonzero().get()];
    let mut seen = 0;
    while let Some(&member) = family.get(seen) {
        family.extend(children.remove(&member).unwrap_or_default());
        seen += 1;
    }
    let member = |id| {
        let is_still = !moving.contains(&id);
        Some(Member {
            pid: Pid::from_raw(id)?,
            is_still,
        })
    };
    family.into_iter().filter_map(member).collect()
}

/// The states of processes that are stopped, or have ended.
const STILL: [&str; 4] = ["T", "t", "Z", "X"];

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        os::unix::process::ExitStatusExt,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn who_has_left_the_process_group_is_killed_too() {
        let script = "setsid sleep 1000 & echo; wait";
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut [0]).expect("it has begun");
        let root = Pid::from_child(&child);
        let members = family(root);
        assert_eq!(members.len(), 2, "{members:?}");
        kill(root);
        let status = child.wait().expect("it has ended");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
        // All ends of the pipe are closed once the other has ended as well.
        stdout.read_to_end(&mut Vec::new()).expect("the end");
    }
}

//! The descendants of a process, from the sandbox's own /proc.

use std::{collections::BTreeMap, fs};

use rustix::process::{Pid, Signal, kill_process};

/// How often it is looked for processes that were born meanwhile.
const LOOKS: usize = 64;

/// Kills a process and all that descend from it, also those that have left its process group.
///
/// A daemon, whose parent has ended, descends from process 1, and lives on.
pub(super) fn kill(root: Pid) {
    // Who is stopped starts no other: once nobody is new, nobody can escape.
    let mut stopped = Vec::new();
    for _ in 0..LOOKS {
        let new: Vec<Pid> = family(root)
            .into_iter()
            .filter(|pid| !stopped.contains(pid))
            .collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            // Who has ended by now needs nothing.
            let _ = kill_process(pid, Signal::STOP);
            stopped.push(pid);
        }
    }
    for pid in stopped {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A process and all that descend from it at this moment.
fn family(root: Pid) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let stat = fs::read(entry.path().join("stat")).unwrap_or_default();
        if let (Some(id), Some(parent)) = (id, parent(&String::from_utf8_lossy(&stat))) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut family = vec![root.as_raw_nonzero().get()];
    let mut seen = 0;
    while let Some(&member) = family.get(seen) {
        family.extend(children.remove(&member).unwrap_or_default());
        seen += 1;
    }
    family.into_iter().filter_map(Pid::from_raw).collect()
}

/// The parent in a `/proc/<pid>/stat`: `7 (name) S 1 …`, where the name may have parentheses and spaces of its own.
fn parent(stat: &str) -> Option<i32> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        os::unix::process::ExitStatusExt,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn a_parent_is_read_whatever_the_name() {
        for name in ["sh", "a b", ") R 1 (", "S) 9 9"] {
            assert_eq!(parent(&format!("7 ({name}) S 12 7 7 0 -1")), Some(12));
        }
        assert_eq!(parent(""), None);
    }

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

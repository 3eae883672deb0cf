//! Other processes: the agent, the host's, and what this one has from whoever started it.

use std::{fs, io, io::Read};

use libc::*;

use super::{Attempt, Outcome, address, attempt, call, harm, nothing};

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("kill the first process", |_| signal_first(SIGKILL)),
    attempt("end the first process", |_| signal_first(SIGTERM)),
    attempt("stop the first process", |_| signal_first(SIGSTOP)),
    attempt("crash the first process", |_| signal_first(SIGSEGV)),
    attempt("kill all processes of the host", |_| {
        let this = std::process::id();
        for process in (2..65_536_u32).filter(|&process| process != this) {
            let _ = call(SYS_kill, [process as usize, SIGKILL as usize]);
        }
        nothing("whoever has asked for this knows better")
    }),
    attempt("see processes of the host", |_| {
        let processes = fs::read_dir("/proc")?.flatten();
        let is_process =
            |entry: &fs::DirEntry| entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        match processes.filter(is_process).count() {
            0..=2 => nothing("there are only this and the first"),
            _ => Ok(()),
        }
    }),
    attempt("trace the first process", |_| {
        harm(SYS_ptrace, [PTRACE_SEIZE as usize, 1, 0, 0])
    }),
    attempt("let itself be traced", |_| {
        harm(SYS_ptrace, [PTRACE_TRACEME as usize, 0, 0, 0])
    }),
    attempt("read the first process's memory", |_| {
        read_memory(SYS_process_vm_readv)
    }),
    attempt("write the first process's memory", |_| {
        read_memory(SYS_process_vm_writev)
    }),
    attempt("read the first process's memory from its file", |_| {
        fs::File::open("/proc/1/mem").map(drop)
    }),
    attempt("read where the first process's memory is", |_| {
        read("/proc/1/maps")
    }),
    attempt("read the first process's environment", |_| {
        read("/proc/1/environ")
    }),
    attempt("read the first process's registers", |_| {
        read("/proc/1/auxv")
    }),
    attempt("read the first process's program", |_| read("/proc/1/exe")),
    attempt("find out what files the first process has open", |_| {
        let files = fs::read_dir("/proc/1/fd")?.flatten();
        let mut leads = files.map(|file| fs::read_link(file.path()));
        leads
            .find_map(Result::ok)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::PermissionDenied.into())
    }),
    attempt("take the first process's connection", |_| {
        let process = call(SYS_pidfd_open, [1, 0])?;
        harm(SYS_pidfd_getfd, [process as usize, 0, 0])
    }),
    attempt("compare itself to the first process", |_| {
        harm(SYS_kcmp, [1, 1, 0, 0, 0])
    }),
    attempt("take memory from the first process", |_| {
        let process = call(SYS_pidfd_open, [1, 0])?;
        harm(SYS_process_mrelease, [process as usize, 0])
    }),
    attempt("limit the first process", |_| {
        let limit = [0_u64, 0];
        harm(
            SYS_prlimit64,
            [1, RLIMIT_NOFILE as usize, address(&limit), 0],
        )
    }),
    attempt("read what somebody types", |_| {
        let mut typed = Vec::new();
        io::stdin().read_to_end(&mut typed)?;
        if typed.is_empty() {
            nothing("nothing was typed")
        } else {
            Ok(())
        }
    }),
    attempt("find files left open", |_| {
        let inherited = (3..1024).find(|&file| call(SYS_fcntl, [file, F_GETFD as usize]).is_ok());
        match inherited {
            Some(_) => Ok(()),
            None => nothing("there are none"),
        }
    }),
    attempt("find standard streams that lead out", |_| {
        let leads = (0..3).filter_map(|file| fs::read_link(format!("/proc/self/fd/{file}")).ok());
        let leads: Vec<String> = leads
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        let is_ours = |lead: &String| lead == "/dev/null" || lead.starts_with("pipe:");
        if leads.iter().all(is_ours) {
            nothing(leads.join(" "))
        } else {
            Ok(())
        }
    }),
    attempt("find the host's environment", |_| {
        let foreign = std::env::vars().find(|(name, _)| name != "PATH");
        match foreign {
            Some((name, _)) => {
                println!("{name}");
                Ok(())
            }
            None => nothing("there is only PATH"),
        }
    }),
    attempt("find the host's name", |_| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname")?;
        match name.trim() {
            "activity" => nothing("it is the activity's"),
            _ => Ok(()),
        }
    }),
    attempt("find its control group's place", |_| {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let outside = groups.lines().find(|line| !line.ends_with(":/"));
        match outside {
            Some(_) if groups.contains("kiln") => Ok(()),
            _ => nothing("it is not told"),
        }
    }),
    attempt("use a queue of the host", |_| {
        let all = fs::read_to_string("/proc/sysvipc/shm")?;
        if all.lines().count() > 1 {
            Ok(())
        } else {
            nothing("there is none")
        }
    }),
    attempt(
        "keep a folder of the host open by its terminal's session",
        |_| {
            let terminal = call(SYS_ioctl, [0, TIOCGSID as usize, address(&[0_i32])]);
            terminal.map(drop)
        },
    ),
    attempt("go on after the end by leaving its session", |_| {
        // It has one of its own, which it leads: it cannot leave for another.
        harm(SYS_setpgid, [0, 1])
    }),
];

/// Signals process 1, and gives the kernel time to deliver it.
fn signal_first(signal: c_int) -> Outcome {
    call(SYS_kill, [1, signal as usize])?;
    std::thread::sleep(std::time::Duration::from_millis(20));
    // Who can ask this has not ended with it; whoever has asked for this looks whether it still works.
    nothing("it is there")
}

fn read(path: &str) -> Outcome {
    let content = fs::read(path)?;
    if content.is_empty() {
        nothing("it is empty")
    } else {
        Ok(())
    }
}

fn read_memory(number: c_long) -> Outcome {
    let piece = [0_u8; 8];
    let here = [address(&piece), 8];
    let there = [0x1000_usize, 8];
    harm(number, [1, address(&here), 1, address(&there), 1, 0])
}

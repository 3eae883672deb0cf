//! The kernel: privileges, the machine itself, and parts with a history of holes.

use std::{fs, io};

use libc::*;

use super::{Attempt, Outcome, address, attempt, call, harm, nothing, write};

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("make a user namespace", |_| {
        harm(SYS_unshare, [CLONE_NEWUSER as usize])
    }),
    attempt("make a mount namespace", |_| {
        harm(SYS_unshare, [CLONE_NEWNS as usize])
    }),
    attempt("make a process namespace", |_| {
        harm(SYS_unshare, [CLONE_NEWPID as usize])
    }),
    attempt("make a network namespace", |_| {
        harm(SYS_unshare, [CLONE_NEWNET as usize])
    }),
    attempt("make a cgroup namespace", |_| {
        harm(SYS_unshare, [CLONE_NEWCGROUP as usize])
    }),
    attempt("make a time namespace", |_| harm(SYS_unshare, [0x80])),
    attempt("clone into a user namespace", |_| clone(CLONE_NEWUSER)),
    attempt("clone into a network namespace", |_| clone(CLONE_NEWNET)),
    attempt("clone into a user namespace in the young way", |_| {
        let mut arguments = [0_u64; 8];
        arguments[0] = CLONE_NEWUSER as u64;
        harm(SYS_clone3, [address(&arguments), 64])
    }),
    attempt("enter its own mount namespace again", |_| {
        enter("/proc/self/ns/mnt")
    }),
    attempt("enter its own user namespace again", |_| {
        enter("/proc/self/ns/user")
    }),
    attempt("enter the first process's mount namespace", |_| {
        enter("/proc/1/ns/mnt")
    }),
    attempt("change the map of users", |_| {
        write("/proc/self/uid_map", "0 0 1")
    }),
    attempt("become another user", |_| harm(SYS_setresuid, [1, 1, 1])),
    attempt("join another group", |_| {
        let groups = [1_u32];
        harm(SYS_setgroups, [1, address(&groups)])
    }),
    attempt("take all capabilities", |_| {
        let header = [0x2008_0522_u32, 0];
        let all = [u32::MAX; 6];
        harm(SYS_capset, [address(&header), address(&all)])
    }),
    attempt("keep a capability for its children", |_| {
        harm(SYS_prctl, [PR_CAP_AMBIENT as usize, 2, 21, 0, 0])
    }),
    attempt("forget that it gains no privileges", |_| {
        harm(SYS_prctl, [PR_SET_NO_NEW_PRIVS as usize, 0, 0, 0, 0])
    }),
    attempt("take the filters off", |_| {
        harm(SYS_prctl, [PR_SET_SECCOMP as usize, 0, 0])
    }),
    attempt("call by the numbers of x32", |_| {
        harm(0x4000_0000 | SYS_getpid, [])
    }),
    #[cfg(target_arch = "x86_64")]
    attempt("call by the numbers of 32-bit programs", |_| by_interrupt()),
    attempt("search its session's keys", |_| {
        harm(SYS_keyctl, [0, -3_isize as usize, 0])
    }),
    attempt("add a key", |_| {
        harm(
            SYS_add_key,
            [
                address(c"user"),
                address(c"kiln"),
                address(c"x"),
                1,
                -4_isize as usize,
            ],
        )
    }),
    attempt("ask for a key", |_| {
        harm(
            SYS_request_key,
            [address(c"user"), address(c"kiln"), 0, -4_isize as usize],
        )
    }),
    attempt("load a program into the kernel", |_| {
        let attributes = [0_u64; 16];
        harm(SYS_bpf, [0, address(&attributes), 128])
    }),
    attempt("watch the processor's counters", |_| {
        let mut attributes = [0_u64; 16];
        attributes[0] = 128 << 32 | 1;
        harm(
            SYS_perf_event_open,
            [
                address(&attributes),
                0,
                -1_isize as usize,
                -1_isize as usize,
                0,
            ],
        )
    }),
    attempt("handle page faults", |_| harm(SYS_userfaultfd, [1])),
    attempt("set up an io_uring", |_| {
        let parameters = [0_u64; 15];
        harm(SYS_io_uring_setup, [8, address(&parameters)])
    }),
    attempt("load another kernel", |_| {
        harm(SYS_kexec_load, [0, 0, 0, 0])
    }),
    attempt("load another kernel from a file", |_| {
        harm(SYS_kexec_file_load, [0, 0, 0, 0, 0])
    }),
    attempt("load a module", |_| {
        harm(SYS_init_module, [address(c"x"), 1, address(c"")])
    }),
    attempt("load a module from a file", |_| {
        harm(SYS_finit_module, [0, address(c""), 0])
    }),
    attempt("unload a module", |_| {
        harm(SYS_delete_module, [address(c"kiln_no_such"), 0])
    }),
    attempt("reboot the machine", |_| {
        harm(SYS_reboot, [0xfee1_dead, 0x2812_1969, 0x89ab_cdef, 0])
    }),
    attempt("swap to a file", |_| {
        harm(SYS_swapon, [address(c"/volume/none"), 0])
    }),
    attempt("stop swapping", |_| {
        harm(SYS_swapoff, [address(c"/volume/none")])
    }),
    attempt("have processes accounted", |_| harm(SYS_acct, [0])),
    attempt("ask for quotas", |_| harm(SYS_quotactl, [0, 0, 0, 0])),
    attempt("read the kernel's log", |_| {
        let text = [0_u8; 512];
        harm(SYS_syslog, [3, address(&text), 512])
    }),
    attempt("read the kernel's log from its file", |_| {
        fs::File::open("/proc/kmsg").map(drop)
    }),
    attempt("set the host name", |_| {
        harm(SYS_sethostname, [address(c"kiln"), 4])
    }),
    attempt("set the domain name", |_| {
        harm(SYS_setdomainname, [address(c"kiln"), 4])
    }),
    attempt("set the time", |_| {
        let time = [1_i64, 0];
        harm(SYS_clock_settime, [0, address(&time)])
    }),
    attempt("set the time in the old way", |_| {
        let time = [1_i64, 0];
        harm(SYS_settimeofday, [address(&time), 0])
    }),
    attempt("run the clock faster", |_| {
        let mut change = [0_u64; 26];
        change[0] = 0x4000;
        change[2] = 11_000;
        harm(SYS_adjtimex, [address(&change)])
    }),
    #[cfg(target_arch = "x86_64")]
    attempt("get at all ports of the machine", |_| harm(SYS_iopl, [3])),
    #[cfg(target_arch = "x86_64")]
    attempt("get at one port of the machine", |_| {
        harm(SYS_ioperm, [0x80, 1, 1])
    }),
    attempt("become another kind of program", |_| {
        harm(SYS_personality, [0x0040_0000])
    }),
    attempt("be more important than others", |_| {
        harm(SYS_setpriority, [0, 0, -20_isize as usize])
    }),
    attempt("run in real time", |_| {
        let priority = [1_i32];
        harm(SYS_sched_setscheduler, [0, 1, address(&priority)])
    }),
    attempt("read and write disks first", |_| {
        harm(SYS_ioprio_set, [1, 0, 1 << 13])
    }),
    attempt("have more open files", |_| raise(RLIMIT_NOFILE)),
    attempt("have more processes", |_| raise(RLIMIT_NPROC)),
    attempt("leave core files", |_| raise(RLIMIT_CORE)),
    attempt("keep memory from being swapped", |_| {
        let memory = vec![1_u8; 32 << 20];
        harm(SYS_mlock, [memory.as_ptr() as usize, memory.len()])
    }),
    attempt("be spared when memory runs out", |_| {
        write("/proc/self/oom_score_adj", "-1000")
    }),
    attempt("type into its terminal", |_| {
        let request = TIOCSTI as usize;
        harm(SYS_ioctl, [0, request, address(c"x")])
    }),
    attempt("write the control groups of the host", |_| {
        write("/sys/fs/cgroup/cgroup.procs", "0")
    }),
    attempt("move memory between nodes", |_| {
        harm(SYS_migrate_pages, [0, 0, 0, 0])
    }),
];

fn clone(flag: c_int) -> Outcome {
    match call(SYS_clone, [(flag | SIGCHLD) as usize, 0, 0, 0, 0])? {
        // SAFETY: it is the child, which has nothing to do any more.
        0 => unsafe { _exit(0) },
        _ => Ok(()),
    }
}

fn enter(namespace: &str) -> Outcome {
    let namespace = fs::File::open(namespace)?;
    harm(
        SYS_setns,
        [std::os::fd::AsRawFd::as_raw_fd(&namespace) as usize, 0],
    )
}

fn raise(resource: c_uint) -> Outcome {
    let limit = [1_u64 << 30, 1 << 30];
    harm(SYS_prlimit64, [0, resource as usize, address(&limit), 0])
}

/// `getpid` as 32-bit programs call it; a filter for 64-bit programs alone would let through what it forbids.
#[cfg(target_arch = "x86_64")]
fn by_interrupt() -> io::Result<()> {
    const GETPID: i64 = 20;
    let mut result = GETPID;
    // SAFETY: the call takes no arguments, and changes no register but the one for its result.
    unsafe { std::arch::asm!("int 0x80", inout("rax") result) };
    match result {
        1.. => Ok(()),
        error => nothing(format!("error {error}")),
    }
}

//! The system calls that nothing in a sandbox may make.
//!
//! The filters are no fence on their own, they keep programs away from those parts of the kernel that they
//! could attack it through; what a program may do is decided by its namespaces and its lack of capabilities.

use std::collections::BTreeMap;

use libc::*;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, sock_filter,
};

use super::wire::Confinement;

/// Why the filters could not be put on.
pub(super) type Error = seccompiler::Error;

/// Calls refused with `EPERM`, whatever their arguments.
const FORBIDDEN: &[c_long] = &[
    // Mounts and namespaces.
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_unshare,
    SYS_setns,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsmount,
    SYS_fspick,
    SYS_fsconfig,
    SYS_mount_setattr,
    SYS_open_by_handle_at,
    // Other processes.
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    // Large or young parts of the kernel, with a history of holes.
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_personality,
    // The machine itself.
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_acct,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_syslog,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_fanotify_init,
    SYS_lookup_dcookie,
    SYS_vhangup,
    SYS_migrate_pages,
    OPEN_TREE_ATTR,
];

/// Younger than the library that has the names of all others.
const OPEN_TREE_ATTR: c_long = 467;

/// Calls that take memory which counts for no process.
const UNACCOUNTED_MEMORY: [c_long; 2] = [SYS_memfd_create, SYS_memfd_secret];

/// Requests by which a program puts words into the mouth of whoever sits at its terminal.
const TERMINAL_INPUT: [u64; 2] = [TIOCSTI, TIOCLINUX];

/// The flags of `clone` that make a namespace.
const NAMESPACE_FLAGS: [c_int; 7] = [
    CLONE_NEWUSER,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWNET,
    CLONE_NEWIPC,
    CLONE_NEWUTS,
    CLONE_NEWCGROUP,
];

/// The only kinds of socket: the others are of no use here, or, as `AF_VSOCK`, know no network namespaces.
const SOCKET_FAMILIES: [c_int; 4] = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK];

/// Puts the filters on this process, and with it on all its children, for good.
pub(super) fn apply(confinement: &Confinement) -> Result<(), Error> {
    for filter in filters(confinement)? {
        apply_filter(&filter)?;
    }
    Ok(())
}

fn filters(confinement: &Confinement) -> Result<Vec<BpfProgram>, BackendError> {
    let mut forbidden: Rules = FORBIDDEN.iter().map(|&call| (call, Vec::new())).collect();
    forbidden.insert(SYS_clone, makes_a_namespace()?);
    forbidden.insert(SYS_ioctl, types_into_a_terminal()?);
    forbidden.insert(SYS_prlimit64, limits_another()?);
    if confinement.pinned {
        forbidden.insert(SYS_sched_setaffinity, Vec::new());
    }
    if confinement.address_space.is_some() {
        // Memory that is in no process's account.
        forbidden.extend(UNACCOUNTED_MEMORY.map(|call| (call, Vec::new())));
    }
    Ok(vec![
        #[cfg(target_arch = "x86_64")]
        no_x32(),
        refuse(forbidden, EPERM)?,
        refuse([(SYS_socket, is_another_socket()?)].into(), EAFNOSUPPORT)?,
        // Its flags lie in memory, where no filter can see them; told that there is no such call, libc uses `clone`.
        refuse([(SYS_clone3, Vec::new())].into(), ENOSYS)?,
    ])
}

/// Per system call, when it is refused; with no rule, always.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn refuse(rules: Rules, errno: c_int) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?
    .try_into()
}

fn makes_a_namespace() -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |flag: c_int| {
        let flag = u64::from(flag.unsigned_abs());
        let is_set = SeccompCmpOp::MaskedEq(flag);
        SeccompRule::new(vec![argument(0, is_set, flag)?])
    };
    NAMESPACE_FLAGS.into_iter().map(rule).collect()
}

fn types_into_a_terminal() -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |request| SeccompRule::new(vec![argument(1, SeccompCmpOp::Eq, request)?]);
    TERMINAL_INPUT.into_iter().map(rule).collect()
}

/// Sets limits of a process by its id: it may be that of the agent, whom nothing else would protect.
fn limits_another() -> Result<Vec<SeccompRule>, BackendError> {
    let is_another = argument(0, SeccompCmpOp::Ne, 0)?;
    let sets = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    Ok(vec![SeccompRule::new(vec![is_another, sets])?])
}

fn is_another_socket() -> Result<Vec<SeccompRule>, BackendError> {
    let is_not = |family: c_int| argument(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()));
    let conditions = SOCKET_FAMILIES.into_iter().map(is_not);
    Ok(vec![SeccompRule::new(
        conditions.collect::<Result<_, _>>()?,
    )?])
}

/// A condition on the lower half of an argument, which is all that the kernel reads of these.
fn argument(index: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, is, value)
}

/// Refuses the system calls of the x32 ABI, which have numbers of their own and would pass by all other filters.
#[cfg(target_arch = "x86_64")]
fn no_x32() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    const OFFSET_OF_NUMBER: u32 = 0;
    let instruction = |code: u32, jt, jf, k| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    vec![
        instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, OFFSET_OF_NUMBER),
        instruction(BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT),
        instruction(
            BPF_RET | BPF_K,
            0,
            0,
            SECCOMP_RET_ERRNO | ENOSYS.unsigned_abs(),
        ),
        instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use std::{io::Error, thread};

    use super::*;

    /// A call and two arguments that do no harm if it is let through.
    struct Attempt(c_long, c_long, c_long);

    impl Attempt {
        /// The error of the call, or 0.
        fn make(&self) -> c_int {
            // SAFETY: with these arguments none of the calls touches memory, or does more than to make a descriptor.
            match unsafe { syscall(self.0, self.1, self.2, 0, 0, 0) } {
                -1 => Error::last_os_error().raw_os_error().unwrap_or(0),
                _ => 0,
            }
        }
    }

    #[test]
    fn refused_calls_are_refused_and_others_are_not() {
        let flag = |flag: c_int| c_long::from(flag | SIGCHLD);
        let stream = c_long::from(SOCK_STREAM);
        let mut cases: Vec<_> = FORBIDDEN
            .iter()
            .map(|&call| (Attempt(call, -1, -1), EPERM))
            .collect();
        cases.extend(NAMESPACE_FLAGS.map(|new| (Attempt(SYS_clone, flag(new), 0), EPERM)));
        cases.extend(
            SOCKET_FAMILIES[..3]
                .iter()
                .map(|&family| (Attempt(SYS_socket, family.into(), stream), 0)),
        );
        cases.extend([
            (Attempt(SYS_clone3, 0, 0), ENOSYS),
            (Attempt(SYS_socket, AF_VSOCK.into(), stream), EAFNOSUPPORT),
            (Attempt(SYS_socket, AF_PACKET.into(), stream), EAFNOSUPPORT),
            (Attempt(SYS_socket, AF_ALG.into(), stream), EAFNOSUPPORT),
            (Attempt(SYS_sched_setaffinity, 0, 0), EPERM),
            (Attempt(SYS_memfd_create, 0, 0), EPERM),
            (Attempt(SYS_ioctl, -1, TIOCSTI as c_long), EPERM),
            (Attempt(SYS_ioctl, -1, FIONREAD as c_long), EBADF),
            (Attempt(SYS_getpid, 0, 0), 0),
            (Attempt(SYS_close, -1, 0), EBADF),
            (Attempt(0x4000_0000 | SYS_getpid, 0, 0), ENOSYS),
            (Attempt(0x4000_0000 | 521, -1, -1), ENOSYS),
        ]);
        // The filters stay on the thread that has put them on.
        let filtered = thread::spawn(move || {
            let confinement = Confinement {
                pinned: true,
                address_space: Some(1 << 40),
                ..Confinement::default()
            };
            apply(&confinement).expect("a thread may always restrict itself");
            cases
                .into_iter()
                .map(|(attempt, errno)| (attempt.0, attempt.make(), errno))
                .collect()
        });
        let results: Vec<_> = filtered.join().expect("no call kills");
        for (call, errno, expected) in results {
            assert_eq!(errno, expected, "system call {call}");
        }
    }
}

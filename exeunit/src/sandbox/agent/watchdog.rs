//! Against programs that hold up the start of another one.
//!
//! Until it executes its program, a new process can be stopped by whatever else is in the sandbox, and process 1, which
//! waits for it, would be held up for as long as that likes: nobody would be answered any more.

use std::{
    io, mem, ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use libc::{ITIMER_REAL, SIG_DFL, SIGALRM, SIGCONT, SIGKILL, c_int, itimerval, timeval};

/// How long a start may take before whatever is stopped goes on, and how long after that it does again, in seconds.
const PERIOD: libc::time_t = 1;
/// How often everything goes on before it is killed instead. A start may take long on a machine that is busy.
const PATIENCE: u32 = 20;

static PERIODS: AtomicU32 = AtomicU32::new(0);

/// Watches over a start for as long as it lives.
pub(super) struct Watchdog(());

impl Watchdog {
    pub(super) fn set() -> io::Result<Self> {
        PERIODS.store(0, Ordering::Relaxed);
        handle_alarm(bark as *const () as libc::sighandler_t)?;
        ring_every(PERIOD)?;
        Ok(Self(()))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Neither can fail: both have been done before.
        let _ = ring_every(0);
        // Not handled, a signal of the sandbox's programs does not reach process 1.
        let _ = handle_alarm(SIG_DFL);
    }
}

extern "C" fn bark(_: c_int) {
    let signal = match PERIODS.fetch_add(1, Ordering::Relaxed) {
        0..PATIENCE => SIGCONT,
        PATIENCE.. => SIGKILL,
    };
    // SAFETY: the call is allowed in handlers of signals, and means all processes that the caller can signal but itself:
    // those of its namespace, where it is process 1.
    unsafe {
        if libc::getpid() == 1 {
            libc::kill(-1, signal);
        }
    }
}

fn handle_alarm(handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: of the structure, all zeros are a valid value: no flags, and an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the pointers are valid or null, and the handler is one, or none.
    match unsafe { libc::sigaction(SIGALRM, &action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the alarm ring every so many seconds; never with 0.
fn ring_every(seconds: libc::time_t) -> io::Result<()> {
    let period = timeval {
        tv_sec: seconds,
        tv_usec: 0,
    };
    let timer = itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: the pointers are valid or null.
    match unsafe { libc::setitimer(ITIMER_REAL, &timer, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

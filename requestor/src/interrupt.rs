//! Ctrl-C, as people expect of it: once to stop in order, twice to stop at once.

use std::{io, process};

use tokio::sync::oneshot;

/// What a shell expects of a program that was interrupted.
const EXIT_CODE: i32 = 130;

/// Waits for Ctrl-C. Listens from this call on, not only when what it returns is awaited: until then Ctrl-C ends the
/// program at once. So does a second Ctrl-C, and the first when what this returns was dropped, with exit code 130.
///
/// ```no_run
/// # async fn work(golem: requestor::Golem) {
/// let mut interrupted = std::pin::pin!(requestor::interrupted());
/// tokio::select! {
///     () = tokio::time::sleep(std::time::Duration::from_secs(3600)) => {}
///     () = &mut interrupted => {}
/// }
/// // Still there, so that Ctrl-C has to be pressed twice to break this off.
/// println!("{}", golem.shutdown().await);
/// # }
/// ```
///
/// Where the system does not let it listen, Ctrl-C goes on to end the program at once.
///
/// # Panics
/// If it is called outside of a tokio runtime.
pub fn interrupted() -> impl Future<Output = ()> + Send {
    let (first, waiting) = oneshot::channel();
    match Presses::listen() {
        Ok(presses) => drop(tokio::spawn(pass_on(presses, first))),
        Err(error) => tracing::warn!(%error, "Ctrl-C cannot be heard"),
    }
    async {
        if waiting.await.is_err() {
            // Nobody listens, or the runtime is being shut down.
            std::future::pending().await
        }
    }
}

/// Tells of the first Ctrl-C whoever waits for it. The one that nobody waits for ends the program.
async fn pass_on(mut presses: Presses, first: oneshot::Sender<()>) {
    presses.next().await;
    if first.send(()).is_ok() {
        presses.next().await;
    }
    process::exit(EXIT_CODE);
}

/// Every Ctrl-C from its making on.
struct Presses(
    #[cfg(unix)] tokio::signal::unix::Signal,
    #[cfg(windows)] tokio::signal::windows::CtrlC,
);

impl Presses {
    fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        let presses = {
            use tokio::signal::unix::{SignalKind, signal};
            signal(SignalKind::interrupt())?
        };
        #[cfg(windows)]
        let presses = tokio::signal::windows::ctrl_c()?;
        Ok(Self(presses))
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // There are no more.
            std::future::pending().await
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ctrl_c_is_heard_before_anybody_waits_for_it() {
        let interrupted = interrupted();
        // Nothing else of this runtime has run yet. Without a listener the signal would end the tests.
        let mut shell = std::process::Command::new("sh");
        let pressed = shell.args(["-c", "kill -INT $PPID"]).status();
        assert!(pressed.expect("a shell").success());
        interrupted.await;
    }
}

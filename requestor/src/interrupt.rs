//! Ctrl-C, as people expect of it: once to stop in order, twice to stop at once.

/// What a shell expects of a program that was interrupted.
const EXIT_CODE: i32 = 130;

/// Waits for Ctrl-C. Listens from this call on, not only when what it returns is awaited: until then Ctrl-C ends the
/// program at once. A second Ctrl-C ends it at once again, with exit code 130.
///
/// ```no_run
/// # async fn work(golem: requestor::Golem) {
/// let interrupted = requestor::interrupted();
/// tokio::select! {
///     () = tokio::time::sleep(std::time::Duration::from_secs(3600)) => {}
///     () = interrupted => {}
/// }
/// println!("{}", golem.shutdown().await);
/// # }
/// ```
///
/// # Panics
/// If it is called outside of a tokio runtime.
pub fn interrupted() -> impl Future<Output = ()> + Send {
    let listening = tokio::spawn(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => drop(tokio::spawn(exit_on_ctrl_c())),
            Err(error) => {
                tracing::warn!(%error, "Ctrl-C cannot be heard");
                std::future::pending().await
            }
        }
    });
    async {
        if listening.await.is_err() {
            // The runtime is being shut down.
            std::future::pending().await
        }
    }
}

async fn exit_on_ctrl_c() {
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(EXIT_CODE);
    }
}

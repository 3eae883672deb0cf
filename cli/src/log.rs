//! What the command says of what it does.

use tracing_subscriber::EnvFilter;

/// Writes events to standard error: what `filter` asks for, in the notation of `RUST_LOG`.
///
/// # Errors
/// If the filter makes no sense.
pub(crate) fn to_stderr(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

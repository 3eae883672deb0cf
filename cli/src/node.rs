//! `kiln node`: a local Golem network.

use std::{
    env, fs,
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use node::LocalNode;

use crate::{gftp, log};

/// Run a Golem network on this machine, until Ctrl-C.
///
/// Any program that uses a yagna daemon can use it: yapapi's, golem-js's, ours.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to log, in the notation of RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "warn")]
    log: String,
}

/// Runs a node until it is interrupted.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    log::to_stderr(&arguments.log).context("--log")?;
    let interrupted = requestor::interrupted();
    let node = LocalNode::builder().start().await?;
    println!("a local Golem network; for the programs that are to use it:");
    println!("export YAGNA_API_URL={}", node.url());
    println!("export YAGNA_APPKEY={}", node.app_key());
    let programs = programs(&node).context("cannot stand in for gftp")?;
    println!("export PATH={}:\"$PATH\"", programs.display());
    eprintln!(
        "Ctrl-C ends it; images stay in {}",
        node.cache_folder().display()
    );
    interrupted.await;
    node.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// The folder of the programs that clients start: there this program has their names.
fn programs(node: &LocalNode) -> io::Result<PathBuf> {
    let folder = node.data_folder().join("bin");
    fs::create_dir_all(&folder)?;
    let link = folder.join(gftp::NAME);
    match fs::remove_file(&link) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => symlink(env::current_exe()?, link)?,
    }
    Ok(folder)
}

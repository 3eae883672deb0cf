//! `kiln node`: a local Golem network.

use std::{
    env, fs,
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use node::{LocalNode, StartError};

use crate::{gftp, log};

/// Run a Golem network on this machine, until Ctrl-C.
///
/// Any program that uses a yagna daemon can use it: yapapi's, golem-js's, ours. What it prints are the lines for the
/// shells in which they are to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The port of loopback to listen on [default: 7465, as yagna; another if that is taken]
    #[arg(long)]
    port: Option<u16>,
    /// An app key, with an identity of its own; drawn if only its name is given. Can be repeated
    #[arg(long, value_name = "NAME[=KEY]", value_parser = app_key)]
    app_key: Vec<(String, Option<String>)>,
    /// An image to be found by its hash, and by a tag. Can be repeated
    #[arg(long, value_name = "[USER/NAME:TAG=]FILE", value_parser = image)]
    image: Vec<(Option<String>, PathBuf)>,
    /// What to log, in the notation of RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "warn")]
    log: String,
}

/// Where yagna listens, and so where programs look for it.
const PORT: u16 = 7465;

/// Runs a node until it is interrupted.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    log::to_stderr(&arguments.log).context("--log")?;
    let interrupted = requestor::interrupted();
    let mut builder = LocalNode::builder();
    for (name, key) in arguments.app_key {
        builder = builder.app_key(name, key);
    }
    for (tag, path) in arguments.image {
        builder = builder.image(path, tag);
    }
    let node = match arguments.port {
        Some(port) => builder.port(port).start().await?,
        None => match builder.clone().port(PORT).start().await {
            Err(StartError::Listen { .. }) => builder.start().await?,
            node => node?,
        },
    };
    say(&node)?;
    interrupted.await;
    node.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Says how programs come to use the node, in lines for a shell.
fn say(node: &LocalNode) -> anyhow::Result<()> {
    let programs = programs(node).context("cannot stand in for gftp")?;
    println!("# a local Golem network; for the programs that are to use it:");
    println!("export YAGNA_API_URL={}", node.url());
    println!("export YAGNA_APPKEY={}", node.app_key());
    println!("export GOLEM_REGISTRY_URL={}", node.url());
    println!("export PATH={}:\"$PATH\"", programs.display());
    for (name, key) in node.app_keys().skip(1) {
        println!("# {name}: export YAGNA_APPKEY={key}");
    }
    eprintln!(
        "Ctrl-C ends it; images stay in {}",
        node.cache_folder().display()
    );
    Ok(())
}

fn app_key(text: &str) -> Result<(String, Option<String>), String> {
    match text.split_once('=') {
        None if !text.is_empty() => Ok((text.to_owned(), None)),
        Some((name, key)) if !name.is_empty() && !key.is_empty() => {
            Ok((name.to_owned(), Some(key.to_owned())))
        }
        _ => Err("NAME or NAME=KEY is expected".to_owned()),
    }
}

/// A file may have `=` in its name, if what is before that is no tag.
fn image(text: &str) -> Result<(Option<String>, PathBuf), String> {
    match text.split_once('=') {
        Some((tag, file))
            if !tag.is_empty() && !file.is_empty() && !PathBuf::from(text).exists() =>
        {
            Ok((Some(tag.to_owned()), file.into()))
        }
        _ if !text.is_empty() => Ok((None, text.into())),
        _ => Err("FILE or TAG=FILE is expected".to_owned()),
    }
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

//! `kiln node`: runs a local Golem network.

use std::{
    env, fs,
    io::{self, ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use node::{LocalNode, Provider};
use serde_json::json;

use super::look;
use crate::{
    gftp, log,
    print::{errln, outln},
};

#[derive(clap::Args)]
pub(crate) struct Settings {
    /// The port of loopback to listen on [default: 7465, as yagna; another if that is taken]
    #[arg(long)]
    port: Option<u16>,
    /// An app key, with an identity of its own; drawn if only its name is given. Can be repeated
    #[arg(long, value_name = "NAME[=KEY]", value_parser = app_key)]
    app_key: Vec<(String, Option<String>)>,
    /// An image to be found by its hash, and by a tag. Can be repeated
    #[arg(long, value_name = "[USER/NAME:TAG=]FILE", value_parser = image)]
    image: Vec<(Option<String>, PathBuf)>,
    /// The providers, as a TOML file describes them [default: three]
    #[arg(long, value_name = "FILE")]
    providers: Option<PathBuf>,
    /// Where to keep agreements, activities and bills; a node that is started there again goes on with them
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// What to log, in the notation of RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "warn")]
    log: String,
}

/// Where yagna listens, and so where programs look for it.
const PORT: u16 = 7465;

/// Runs a node until it is interrupted.
pub(crate) async fn run(arguments: Settings) -> anyhow::Result<ExitCode> {
    log::to_stderr(&arguments.log).context("--log")?;
    let interrupted = requestor::interrupted();
    let mut builder = LocalNode::builder();
    for (name, key) in arguments.app_key {
        builder = builder.app_key(name, key);
    }
    for (tag, path) in arguments.image {
        builder = builder.image(path, tag);
    }
    if let Some(path) = &arguments.providers {
        builder = builder.providers(Provider::read_file(path).context("--providers")?);
    }
    if let Some(folder) = &arguments.data_dir {
        builder = builder.data_folder(folder);
    }
    builder = match arguments.port {
        Some(port) => builder.port(port),
        None => builder.preferred_port(PORT),
    };
    let node = builder.start().await?;
    let address = arguments.data_dir.is_some().then(|| note(&node));
    let address = address.transpose()?;
    say(&node)?;
    let failed = tokio::select! {
        () = interrupted => false,
        () = node.failed() => true,
    };
    if let Some(address) = address {
        fs::remove_file(&address).with_context(|| address.display().to_string())?;
    }
    node.stop().await?;
    match failed {
        false => Ok(ExitCode::SUCCESS),
        true => bail!("what has happened cannot be kept; the log says why"),
    }
}

/// Leaves the node's address in its folder, for its user alone.
fn note(node: &LocalNode) -> anyhow::Result<PathBuf> {
    let path = node.data_folder().join(look::ADDRESS);
    let address = json!({"url": node.url(), "appKey": node.app_key()});
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&path);
    let written = file.and_then(|mut file| writeln!(file, "{address}"));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Says how programs come to use the node, in lines for a shell.
fn say(node: &LocalNode) -> anyhow::Result<()> {
    let programs = programs(node).context("cannot stand in for gftp")?;
    outln!("# a local Golem network; for the programs that are to use it:")?;
    outln!("export YAGNA_API_URL={}", node.url())?;
    outln!("export YAGNA_APPKEY={}", node.app_key())?;
    outln!("export GOLEM_REGISTRY_URL={}", node.url())?;
    outln!("export PATH={}:\"$PATH\"", programs.display())?;
    for (name, key) in node.app_keys().skip(1) {
        outln!("# {name}: export YAGNA_APPKEY={key}")?;
    }
    errln!("what goes on there: {}/#{}", node.url(), node.app_key());
    errln!(
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

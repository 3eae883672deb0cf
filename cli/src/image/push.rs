//! `kiln image push`: from a file into the registry of a local node.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use gvmi::Image;
use serde::Deserialize;
use tokio::fs::File;

use crate::print::outln;

/// Put an image into the registry of a local node, and print its hash and its URL.
///
/// Requestors find it there by its hash, and by its tag.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The image
    file: PathBuf,
    /// What to call it, as `[USER/]NAME[:TAG]`
    #[arg(long)]
    tag: Option<String>,
    /// Where the node is
    #[arg(long, env = "YAGNA_API_URL", default_value = "http://127.0.0.1:7465")]
    url: String,
    /// An app key of the node
    #[arg(long, env = "YAGNA_APPKEY", hide_env_values = true)]
    app_key: String,
}

/// What the registry says of an image.
#[derive(Deserialize)]
struct Pushed {
    http: String,
    sha3: String,
}

/// What it says when it refuses one.
#[derive(Deserialize)]
struct Refused {
    message: String,
}

/// Puts an image in.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    // What is no image would be found out by the first provider, far from here.
    Image::open(path)?;
    let file = File::open(path).await;
    let file = file.with_context(|| format!("cannot read {}", path.display()))?;
    let mut request = reqwest::Client::new()
        .put(format!("{}/v1/image", arguments.url.trim_end_matches('/')))
        .bearer_auth(&arguments.app_key)
        .body(file);
    if let Some(tag) = &arguments.tag {
        request = request.query(&[("tag", tag)]);
    }
    let answer = request.send().await;
    let answer = answer.with_context(|| format!("cannot reach a node at {}", arguments.url))?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    if !status.is_success() {
        match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => bail!("the node refuses it ({status}): {}", refused.message),
            Err(_) => bail!("{} answers {status}: it is no local node", arguments.url),
        }
    }
    let pushed: Pushed = serde_json::from_slice(&body)
        .with_context(|| format!("{} is no local node", arguments.url))?;
    outln!("{} {}", pushed.sha3, pushed.http)?;
    Ok(ExitCode::SUCCESS)
}

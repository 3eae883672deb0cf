//! `kiln node status`, `providers`, `agreements`, `activities`, `payments`: what goes on in a running node.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::table::{Table, age, amount, short};
use crate::print::out;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show a running node in a few lines
    Status(Which),
    /// List its providers
    Providers(Which),
    /// List its agreements
    Agreements(Which),
    /// List its activities
    Activities(Which),
    /// List its allocations, debit notes and invoices
    Payments(Which),
}

/// Which node to look at.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Where the node is
    #[arg(
        long,
        env = "YAGNA_API_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:7465"
    )]
    url: String,

    /// An app key of it
    #[arg(long, env = "YAGNA_APPKEY", value_name = "KEY", hide_env_values = true)]
    app_key: Option<String>,

    /// The folder that it was started with, in place of both
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["url", "app_key"])]
    data_dir: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a node with a data folder is found: what lies there as long as it runs.
pub(super) const ADDRESS: &str = "node.json";

/// What is in that file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    url: String,
    app_key: String,
}

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Shows what is asked for.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let (Command::Status(which)
    | Command::Providers(which)
    | Command::Agreements(which)
    | Command::Activities(which)
    | Command::Payments(which)) = &command;
    let all = overview(which).await?;
    let shown = match command {
        Command::Status(_) => all["node"].clone(),
        Command::Providers(_) => all["providers"].clone(),
        Command::Agreements(_) => all["agreements"].clone(),
        Command::Activities(_) => all["activities"].clone(),
        Command::Payments(_) => json!({"allocations": all["allocations"], "bills": all["bills"]}),
    };
    let text = match command {
        _ if which.json => format!("{shown:#}\n"),
        Command::Status(_) => status(&shown),
        Command::Providers(_) => providers(&shown).to_string(),
        Command::Agreements(_) => agreements(&shown).to_string(),
        Command::Activities(_) => activities(&shown).to_string(),
        Command::Payments(_) => format!("{}\n{}", allocations(&shown), bills(&shown)),
    };
    out(format_args!("{text}"))?;
    Ok(ExitCode::SUCCESS)
}

/// What the node says of itself.
async fn overview(which: &Which) -> anyhow::Result<Value> {
    let address = which.address()?;
    let url = format!("{}/kiln-api/v1/overview", address.url.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let request = client.get(&url).bearer_auth(&address.app_key);
    let response = request.send().await;
    let response = response.with_context(|| format!("no node answers at {}", address.url))?;
    match response.status().as_u16() {
        200 => {}
        401 => bail!("the node at {} does not know that app key", address.url),
        403 => bail!(
            "the first app key of the node at {} alone sees all that goes on there",
            address.url
        ),
        404 => bail!(
            "{} is no local node of kiln, but something else",
            address.url
        ),
        status => bail!("the node at {} answers {status}", address.url),
    }
    let overview = response.json().await;
    overview.with_context(|| format!("{} is no local node of kiln", address.url))
}

impl Which {
    fn address(&self) -> anyhow::Result<Address> {
        if let Some(folder) = &self.data_dir {
            return read(&folder.join(ADDRESS));
        }
        match self.app_key.as_deref() {
            Some(key) if !key.is_empty() => Ok(Address {
                url: self.url.clone(),
                app_key: key.to_owned(),
            }),
            _ => bail!(
                "an app key is needed: set YAGNA_APPKEY as `kiln node` says, or give --app-key or --data-dir"
            ),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Address> {
    let text = fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read {}: has a node been started there?",
            path.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| format!("{} makes no sense", path.display()))
}

fn status(node: &Value) -> String {
    let of = |live: &str, all: &str| format!("{} of {} live", node[live], node[all]);
    format!(
        "node        {} (kiln {})\n\
         up for      {}\n\
         requestor   {}\n\
         agreements  {}\n\
         activities  {}\n\
         bills       {}\n\
         cost        {} GLM, {} of it accepted\n",
        text(&node["url"]),
        text(&node["version"]),
        age(&node["started"]),
        text(&node["requestor"]),
        of("liveAgreements", "allAgreements"),
        of("liveActivities", "allActivities"),
        node["allBills"],
        amount(&node["cost"]),
        amount(&node["accepted"])
    )
}

fn providers(list: &Value) -> Table {
    let mut table = Table::new(&[
        "name", "id", "subnet", "runtime", "cores", "mem GiB", "slots", "start", "per hour",
        "cpu hour", "cost",
    ]);
    for one in rows(list) {
        let hour = |price: &Value| format!("{:.6}", price.as_f64().unwrap_or_default() * 3600.0);
        let prices = &one["prices"];
        let name = match one["isFaulty"].as_bool() {
            Some(true) => format!("{} (faulty)", text(&one["name"])),
            _ => text(&one["name"]),
        };
        table.row([
            name,
            short(&one["id"]),
            text(&one["subnet"]),
            text(&one["runtime"]),
            one["cores"].to_string(),
            one["memoryGib"].to_string(),
            format!("{}/{}", one["taken"], one["slots"]),
            prices["start"].to_string(),
            hour(&prices["second"]),
            hour(&prices["cpuSecond"]),
            amount(&one["cost"]),
        ]);
    }
    table
}

fn agreements(list: &Value) -> Table {
    let mut table = Table::new(&[
        "id",
        "state",
        "provider",
        "age",
        "activities",
        "cost",
        "reason",
    ]);
    for one in rows(list) {
        table.row([
            short(&one["id"]),
            text(&one["state"]),
            text(&one["providerName"]),
            age(&one["created"]),
            one["activities"].to_string(),
            amount(&one["cost"]),
            text(&one["reason"]),
        ]);
    }
    table
}

fn activities(list: &Value) -> Table {
    let mut table = Table::new(&[
        "id",
        "state",
        "provider",
        "agreement",
        "age",
        "scripts",
        "duration",
        "cpu",
        "cost",
    ]);
    for one in rows(list) {
        let used = |name: &str| {
            let used = one["usage"][name].as_f64();
            used.map_or(String::new(), |seconds| format!("{seconds:.1} s"))
        };
        table.row([
            short(&one["id"]),
            text(&one["state"]),
            text(&one["providerName"]),
            short(&one["agreement"]),
            age(&one["created"]),
            one["batches"].to_string(),
            used("golem.usage.duration_sec"),
            used("golem.usage.cpu_sec"),
            amount(&one["cost"]),
        ]);
    }
    table
}

fn allocations(shown: &Value) -> Table {
    let mut table = Table::new(&[
        "allocation",
        "platform",
        "age",
        "total",
        "spent",
        "remaining",
        "state",
    ]);
    for one in rows(&shown["allocations"]) {
        let state = match one["isReleased"].as_bool() {
            Some(true) => "released",
            _ => "open",
        };
        table.row([
            short(&one["id"]),
            text(&one["platform"]),
            age(&one["created"]),
            amount(&one["total"]),
            amount(&one["spent"]),
            amount(&one["remaining"]),
            state.to_owned(),
        ]);
    }
    table
}

fn bills(shown: &Value) -> Table {
    let mut table = Table::new(&[
        "bill",
        "kind",
        "status",
        "provider",
        "agreement",
        "age",
        "amount",
    ]);
    for one in rows(&shown["bills"]) {
        table.row([
            short(&one["id"]),
            text(&one["kind"]),
            text(&one["status"]),
            text(&one["providerName"]),
            short(&one["agreement"]),
            age(&one["created"]),
            amount(&one["amount"]),
        ]);
    }
    table
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A text, or nothing.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

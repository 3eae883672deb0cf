//! How fast offers and demands find each other.

use std::time::Instant;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::Node;

/// How many offers suit a demand.
const SUITING: usize = 10;
/// How many requests are made at a time.
const HANDS: usize = 16;

/// Puts up as many demands as there are offers, of which ten suit each, and collects what comes of that.
pub(crate) async fn measure(node: &Node, count: usize) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    let subnet = |at: usize| format!("s{}", at % count.div_ceil(SUITING));
    let up = async |side: &str, key: &str, at: usize| {
        let terms = json!({
            "properties": {"golem.node.debug.subnet": subnet(at), "golem.inf.mem.gib": 4.0, "golem.runtime.name": "vm"},
            "constraints": format!("(&(golem.node.debug.subnet={})(golem.inf.mem.gib>=0.5))", subnet(at)),
        });
        let url = format!("{}/market-api/v1/{side}", node.url);
        let answer = http.post(url).bearer_auth(key).json(&terms).send().await?;
        anyhow::Ok(answer.error_for_status()?.json::<String>().await?)
    };
    let began = Instant::now();
    let offers = stream::iter(0..count).map(|at| up("offers", &node.keys[1], at));
    let offers: Vec<String> = offers.buffer_unordered(HANDS).try_collect().await?;
    let offered = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let asks = &node.keys[0];
    let matched = stream::iter(0..count).map(async |at| {
        let demand = up("demands", asks, at).await?;
        let mut proposed = 0;
        while proposed < SUITING {
            let url = format!(
                "{}/market-api/v1/demands/{demand}/events?timeout=10&maxEvents=100",
                node.url
            );
            let events = http.get(url).bearer_auth(asks).send().await?;
            let events: Value = events.error_for_status()?.json().await?;
            let events = events.as_array().context("no events")?;
            anyhow::ensure!(
                !events.is_empty(),
                "{proposed} of {SUITING} proposals for {demand}"
            );
            proposed += events.len();
        }
        anyhow::Ok(proposed)
    });
    let proposed: Vec<usize> = matched.buffer_unordered(HANDS).try_collect().await?;
    let took = began.elapsed().as_secs_f64();
    println!(
        "\n| {} offers, and as many demands | |\n|---|---|",
        offers.len()
    );
    println!("| until all offers are up | {offered:.2} s |");
    println!(
        "| until all demands are up and {} proposals are fetched | {took:.2} s |",
        proposed.iter().sum::<usize>()
    );
    Ok(())
}

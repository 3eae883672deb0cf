//! Programs of yapapi and golem-js, as they come from their registries, on a local node: `kiln node`.
//!
//! Each checks what it can, and says what it has seen; here that is compared, and nothing may be left on the node. Where
//! Python, Node.js or npm are missing, their part is skipped, and says so; as it is where their registries cannot be
//! reached, unless `CI` is set. What is installed stays in `target`.

mod client;
mod local_node;

use client::Client;
use local_node::{Image, LocalNode, Settings};

const SIMPLE_SERVICE: Settings<'_> = Settings {
    images: &[Image::SimpleService],
    providers: None,
};

const PEERS: Settings<'_> = Settings {
    images: &[Image::SimpleService, Image::Peer],
    providers: None,
};

/// Runs a program on a node with these settings, and checks what it says.
fn check(client: Client, program: &[&str], settings: Settings<'_>, says: &str) {
    let Some(client) = client.installed() else {
        return;
    };
    let mut node = LocalNode::start(settings);
    let mut environment = node.exports().to_vec();
    let image = Image::SimpleService.path().display().to_string();
    environment.push(("IMAGE".to_owned(), image));
    let ended = client.run(program, &environment);
    let said = String::from_utf8_lossy(&ended.stdout);
    let leftovers = node.leftovers();
    assert!(
        ended.status.success() && said.trim_end() == says && leftovers.is_empty(),
        "{program:?}: {}\n{said}\n{}\nleft: {leftovers:#?}\nthe node:\n{}",
        ended.status,
        String::from_utf8_lossy(&ended.stderr),
        node.stop(),
    );
}

/// What the simple service says of one observation.
const STATS: &str = r#"{"min": 14.0, "max": 14.0, "median": 14.0, "mean": 14.0, "variance": 0.0, "std dev": 0.0, "size": 1}"#;

#[test]
fn yapapi_runs_a_first_program() {
    check(Client::Yapapi, &["hello.py"], SIMPLE_SERVICE, STATS);
}

#[test]
fn golem_js_runs_a_first_program() {
    check(Client::GolemJs, &["hello.cjs"], SIMPLE_SERVICE, STATS);
}

#[test]
fn yapapi_runs_the_simple_service() {
    check(
        Client::Yapapi,
        &["service.py"],
        SIMPLE_SERVICE,
        "simple-0 simple-1 simple-2 on local-1 local-2 local-3",
    );
}

#[test]
fn yapapi_executes_tasks_and_transfers_files() {
    check(
        Client::Yapapi,
        &["tasks.py"],
        SIMPLE_SERVICE,
        "4 results after 5 tries, 0 outputs streamed",
    );
}

#[test]
fn yapapi_streams_results() {
    check(
        Client::Yapapi,
        &["tasks.py", "stream"],
        SIMPLE_SERVICE,
        "4 results after 5 tries, 5 outputs streamed",
    );
}

#[test]
fn yapapi_tries_tasks_again_on_other_providers() {
    // The first is the cheapest, and so the first that is chosen.
    let providers = r#"
        [[provider]]
        name = "fragile"
        price = { second = 0.0 }
        faults = { exe-unit-dies-at-command = 3 }

        [[provider]]
        name = "a"
        price = { second = 0.001 }

        [[provider]]
        name = "b"
        price = { second = 0.001 }
    "#;
    let settings = Settings {
        providers: Some(providers),
        ..SIMPLE_SERVICE
    };
    check(
        Client::Yapapi,
        &["retries.py"],
        settings,
        "tried: first 2x, second 1x, wrong once 2x,\nfirst on: fragile agreements: 3",
    );
}

#[test]
fn yapapi_scans_the_market() {
    check(
        Client::Yapapi,
        &["scan.py"],
        SIMPLE_SERVICE,
        "local-1: 2 cores, 4 GiB, vm\nlocal-2: 2 cores, 4 GiB, vm\nlocal-3: 2 cores, 4 GiB, vm",
    );
}

#[test]
fn yapapi_pays_for_what_a_runtime_counts() {
    let provider = |name: &str, start: f64, counted: f64| {
        format!(
            r#"
            [[provider]]
            name = "{name}"
            runtime = "{}"

            [provider.properties]
            "golem.runtime.name" = "counting"
            "golem.com.usage.vector" = ["golem.usage.duration_sec", "golem.usage.counted"]
            "golem.com.pricing.model.linear.coeffs" = [0.0, {counted:?}, {start:?}]
            "#,
            env!("CARGO_BIN_EXE_counting-runtime"),
        )
    };
    let providers = provider("dear", 0.0, 0.75) + &provider("fair", 0.25, 0.5);
    let settings = Settings {
        providers: Some(&providers),
        ..SIMPLE_SERVICE
    };
    check(
        Client::Yapapi,
        &["counters.py"],
        settings,
        "7 for 3.75 on fair, billed 3.750000000000000000",
    );
}

#[test]
fn yapapi_connects_instances_and_reaches_them_through_a_proxy() {
    check(
        Client::Yapapi,
        &["proxy.py"],
        PEERS,
        "one: two heard hello from one; two: one heard hello from two\n\
         through the proxy: one heard a\nthrough the proxy: two heard a",
    );
}

#[test]
fn yapapi_restarts_suspends_and_resumes_a_service() {
    check(
        Client::Yapapi,
        &["restart.py"],
        PEERS,
        "2 starts at 192.168.7.10 asked runs\ntaken up again: runs 2 starts; shuts down",
    );
}

#[test]
fn golem_js_rents_runs_streams_and_transfers_files() {
    check(
        Client::GolemJs,
        &["rental.cjs"],
        SIMPLE_SERVICE,
        "all files were there and back, and 15 kinds of events were told",
    );
}

#[test]
fn golem_js_scans_and_rents_several() {
    check(
        Client::GolemJs,
        &["pool.cjs"],
        SIMPLE_SERVICE,
        "offers: local-1 local-2 local-3\ntwo rentals at a time, and one again",
    );
}

#[test]
fn golem_js_connects_rentals_and_reaches_them_through_a_proxy() {
    check(
        Client::GolemJs,
        &["network.cjs"],
        PEERS,
        "one: two heard hello from one\ntwo: one heard hello from two\n\
         through the proxy: one heard a\nthrough the proxy: two heard a",
    );
}

#[test]
fn golem_js_serves_an_image_by_itself() {
    let says = "runs in an image from gftp";
    check(
        Client::GolemJs,
        &["local_image.cjs"],
        Settings::default(),
        says,
    );
}

#[test]
fn golem_js_has_an_image_served_by_gftp() {
    let says = "runs in an image from gftp";
    check(
        Client::GolemJs,
        &["local_image.cjs", "gftp"],
        Settings::default(),
        says,
    );
}

#[test]
fn golem_js_deploys_pools_and_a_network() {
    check(
        Client::GolemJs,
        &["deployment.cjs"],
        PEERS,
        "replica heard hello\nready beforeEnd end",
    );
}

#[test]
fn golem_js_has_hooks_volumes_and_streams_of_batches() {
    check(
        Client::GolemJs,
        &["options.cjs"],
        SIMPLE_SERVICE,
        "stream: 0 Ok, exited with code 2\nsetup Ok, teardown Ok\ngiven up: GolemAbortError",
    );
}

#[test]
fn golem_js_hears_that_a_provider_drops_an_agreement() {
    let providers = r#"
        [[provider]]
        name = "fickle"
        faults = { drops-agreement-after = 20 }
    "#;
    let settings = Settings {
        providers: Some(providers),
        ..SIMPLE_SERVICE
    };
    check(
        Client::GolemJs,
        &["dropped.cjs"],
        settings,
        "ended by Provider: the provider drops the agreement",
    );
}

#[test]
fn golem_js_leaves_nothing_of_a_draft() {
    let providers = r#"
        [[provider]]
        name = "silent"
        faults = { never-answers = "proposals" }
    "#;
    let settings = Settings {
        providers: Some(providers),
        ..SIMPLE_SERVICE
    };
    check(
        Client::GolemJs,
        &["draft.cjs"],
        settings,
        "given up: GolemAbortError\nleft: GolemAbortError",
    );
}

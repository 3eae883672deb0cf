//! Programs of yapapi and golem-js, as they come from their registries, on a local node: `kiln node`.
//!
//! Where Python, Node.js or npm are missing, their part is skipped, and says so. What is installed stays in `target`.

mod client;
mod local_node;

use client::Client;

fn runs_on_a_local_node(client: Client, program: &[&str]) {
    let Some(client) = client.installed() else {
        return;
    };
    let mut node = local_node::LocalNode::start();
    let ended = client.run(program, &node.environment());
    assert!(
        ended.status.success(),
        "{program:?}: {}\n{}\n{}\nthe node:\n{}",
        ended.status,
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr),
        node.stop(),
    );
}

#[test]
fn yapapi_runs_the_simple_service() {
    runs_on_a_local_node(Client::Yapapi, &["service.py"]);
}

#[test]
fn yapapi_executes_tasks_and_transfers_files() {
    runs_on_a_local_node(Client::Yapapi, &["tasks.py"]);
}

#[test]
fn yapapi_streams_results() {
    runs_on_a_local_node(Client::Yapapi, &["tasks.py", "stream"]);
}

#[test]
fn golem_js_rents_runs_streams_and_transfers_files() {
    runs_on_a_local_node(Client::GolemJs, &["rental.cjs"]);
}

#[test]
fn golem_js_scans_and_rents_several() {
    runs_on_a_local_node(Client::GolemJs, &["pool.cjs"]);
}

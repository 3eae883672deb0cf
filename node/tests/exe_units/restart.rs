//! A node that keeps its state, killed and started again, with real exe-units.
//!
//! The test starts this very program as the node's, kills it, and looks at what is there when it is started again.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use node::{LocalNode, Prices, Provider};
use serde_json::{Value, json};

use crate::{
    file_server::serve,
    image::image,
    requestor::{Requestor, text},
};

/// Says where the program keeps what it knows.
pub(crate) const DATA: &str = "DATA";

/// The program: a node, until standard input ends.
pub(crate) async fn program(data: PathBuf) -> ExitCode {
    let provider = Provider::new("p").prices(Prices {
        start: 1.0,
        second: 0.5,
        cpu_second: 0.0,
    });
    let node = LocalNode::builder()
        .providers([provider])
        .cache_folder(data.join("cache"))
        .data_folder(data)
        .start()
        .await;
    let node = match node {
        Ok(node) => node,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{} {}", node.url(), node.app_key());
    let over = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    over.await.unwrap().unwrap();
    node.stop().await.unwrap();
    ExitCode::SUCCESS
}

/// The program, running.
struct Node {
    child: Child,
    url: String,
    requestor: Requestor,
}

/// The program, about to be a node.
fn launch(data: &Path) -> Command {
    let mut program = Command::new(env::current_exe().unwrap());
    program
        .env(DATA, data)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    program
}

impl Node {
    fn start(data: &Path) -> Self {
        Self::started(launch(data).spawn().unwrap()).expect("a node")
    }

    /// The node that a program has become, or why it has not.
    fn started(mut child: Child) -> Result<Self, String> {
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let Some((url, key)) = line.trim().split_once(' ') else {
            let ended = child.wait_with_output().unwrap();
            assert!(!ended.status.success());
            return Err(String::from_utf8(ended.stderr).unwrap());
        };
        Ok(Self {
            child,
            url: url.to_owned(),
            requestor: Requestor::at(url, key),
        })
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

pub(crate) async fn killed_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let package = serve(image(folder.path()));
    let data = folder.path().join("data");

    let node = Node::start(&data);
    let me = node.requestor.identity().await;
    let allocation = node.requestor.allocate().await;
    let mut demand = node.requestor.demand().await;
    demand["properties"]["golem.srv.comp.task_package"] = json!(package);
    let agreement = node.requestor.agree_on(&demand).await;
    let activity = node.requestor.create_activity(&agreement).await;
    let path = format!("/activity-api/v1/activity/{activity}");
    let echo = json!({"run": {"entry_point": "/bin/echo", "args": ["hello"], "capture": {"stdout": {"atEnd": {}}}}});
    let first = exec(&node, &path, json!([{"deploy": {}}, {"start": {}}, echo])).await;
    assert_eq!(
        results(&node, &path, &first, 2).await[2]["stdout"],
        "hello\n"
    );
    // It waits for a file: so it runs when the node is killed, and ends when the test wants it to.
    let wait = json!({"run": {"entry_point": "/bin/sh", "args": ["-c", "while ! [ -e /golem/work/go ]; do /bin/sleep 0.05; done; echo gone"], "capture": {"stdout": {"atEnd": {}}}}});
    let second = exec(&node, &path, json!([wait])).await;
    let url = node.url.clone();
    node.kill();
    let volumes = volumes(&data, &activity);
    let [volume] = volumes.as_slice() else {
        panic!("one volume is expected: {volumes:?}");
    };

    let node = Node::start(&data);
    assert_eq!(node.url, url, "programs find it where it was");
    assert_eq!(node.requestor.identity().await, me);
    let found = get(&node, &format!("/market-api/v1/agreements/{agreement}")).await;
    assert_eq!(found["state"], "Approved");
    assert_eq!(found["agreementId"], agreement.as_str());
    let found = get(&node, &format!("/payment-api/v1/allocations/{allocation}")).await;
    assert_eq!(found["totalAmount"], "100.000000000000000000");
    // What had ended is still known, and what ran runs on.
    assert_eq!(
        results(&node, &path, &first, 2).await[2]["stdout"],
        "hello\n"
    );
    assert_eq!(
        get(&node, &format!("{path}/exec/{second}?timeout=0")).await,
        json!([])
    );
    fs::write(volume.join("go"), "").unwrap();
    let gone = results(&node, &path, &second, 0).await;
    assert_eq!(
        (&gone[0]["result"], &gone[0]["stdout"]),
        (&json!("Ok"), &json!("gone\n"))
    );
    let third = exec(&node, &path, json!([echo])).await;
    assert_eq!(
        results(&node, &path, &third, 0).await[0]["stdout"],
        "hello\n"
    );
    assert_eq!(
        get(&node, &format!("{path}/state")).await["state"],
        json!(["Ready", null])
    );

    // The provider has one slot, and it is taken.
    let id = node.requestor.subscribe(&demand).await;
    let rejected = node.requestor.negotiate(&id, &demand).await;
    assert_eq!(rejected["eventType"], "ProposalRejectedEvent", "{rejected}");
    let full = "No capacity available. Reached Agreements limit: 1";
    assert_eq!(rejected["reason"]["message"], full);

    let ended = node.requestor.delete(&format!("{path}?timeout=60")).await;
    assert_eq!(ended.status, 200, "{ended:?}");
    let after = "1970-01-01T00:00:00Z";
    let (note, _) = node.requestor.next_bill("debitNote", after).await;
    node.requestor.terminate(&agreement).await;
    let (invoice, _) = node.requestor.next_bill("invoice", after).await;
    assert_eq!(invoice["amount"], note["totalAmountDue"]);
    assert!(
        text(&invoice["amount"]).parse::<f64>().unwrap() >= 1.0,
        "{invoice}"
    );
    let before = bills(&node).await;
    assert_eq!(before.len(), 2, "{before:?}");
    let accept = format!(
        "/payment-api/v1/invoices/{}/accept",
        text(&invoice["invoiceId"])
    );
    let acceptance = json!({"totalAmountAccepted": invoice["amount"], "allocationId": allocation});
    node.requestor.post(&accept, acceptance).await.ok();
    node.kill();

    // Nothing is billed twice, and what was accepted is paid once.
    let node = Node::start(&data);
    let payments = "/payment-api/v1/payments?timeout=20&afterTimestamp=1970-01-01T00:00:00Z";
    let payments = get(&node, payments).await;
    assert_eq!(payments.as_array().unwrap().len(), 1, "{payments}");
    assert_eq!(payments[0]["amount"], invoice["amount"]);
    // A provider that offers has found all again before.
    let agreement = node.requestor.agree_on(&demand).await;
    assert_eq!(bills(&node).await, before);
    assert_eq!(
        get(&node, &format!("{path}/state")).await["state"],
        json!(["Terminated", null])
    );
    let activity = node.requestor.create_activity(&agreement).await;
    node.stop();
    let stopped = Utc::now();

    // What was stopped in order was billed then.
    assert_eq!(fs::read_dir(data.join("activities")).unwrap().count(), 0);
    let node = Node::start(&data);
    assert_eq!(bills(&node).await.len(), 3);
    let overview = get(&node, "/kiln-api/v1/overview").await;
    for bill in overview["bills"].as_array().unwrap() {
        let created: DateTime<Utc> = text(&bill["created"]).parse().unwrap();
        assert!(created < stopped, "{bill}");
    }
    let path = format!("/activity-api/v1/activity/{activity}/state");
    assert_eq!(
        get(&node, &path).await["state"],
        json!(["Terminated", null])
    );
    node.requestor.terminate(&agreement).await;
    wait_for(async || bills(&node).await.len() == 4).await;
    node.stop();
}

/// Of programs that are started at once, one has the folder, until it is killed.
pub(crate) async fn a_folder_is_free_when_its_node_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut before = None;
    for _ in 0..3 {
        let mut programs = [0; 3].map(|_| launch(&data));
        let children = programs
            .each_mut()
            .map(|program| program.stderr(Stdio::piped()).spawn().unwrap());
        let mut nodes = Vec::new();
        for started in children.map(Node::started) {
            match started {
                Ok(node) => nodes.push(node),
                Err(reason) => {
                    let taken = format!("another node is at work in {}", data.display());
                    assert!(reason.starts_with(&taken), "{reason}");
                }
            }
        }
        assert_eq!(nodes.len(), 1);
        let node = nodes.remove(0);
        let me = node.requestor.identity().await;
        assert_eq!(*before.get_or_insert(me.clone()), me);
        node.kill();
    }
}

async fn get(node: &Node, path: &str) -> Value {
    node.requestor.get(path).await.ok()
}

async fn exec(node: &Node, path: &str, script: Value) -> String {
    let script = json!({"text": script.to_string()});
    text(
        &node
            .requestor
            .post(&format!("{path}/exec"), script)
            .await
            .ok(),
    )
}

async fn results(node: &Node, path: &str, batch: &str, last: usize) -> Value {
    let path = format!("{path}/exec/{batch}?timeout=60");
    let results = get(node, &path).await;
    assert_eq!(results.as_array().unwrap().len(), last + 1, "{results}");
    results
}

/// What each bill of the node is.
async fn bills(node: &Node) -> Vec<(String, String)> {
    let overview = get(node, "/kiln-api/v1/overview").await;
    let bills = overview["bills"].as_array().unwrap();
    let mut bills: Vec<_> = bills
        .iter()
        .map(|bill| (text(&bill["id"]), text(&bill["amount"])))
        .collect();
    bills.sort();
    bills
}

async fn wait_for(holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "it does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Where an exe-unit has the volumes of an activity.
fn volumes(data: &Path, activity: &str) -> Vec<PathBuf> {
    let work = data.join("activities").join(activity).join("work");
    let entries = fs::read_dir(work).unwrap().map(|entry| entry.unwrap());
    let volumes = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("vol"));
    volumes.map(|entry| entry.path()).collect()
}

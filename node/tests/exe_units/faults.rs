//! Providers that misbehave as their file says, each with what a requestor sees of it.

use std::{fs, time::Duration};

use chrono::TimeDelta;
use libtest_mimic::Trial;
use node::{Clock, Hands, LocalNode, Provider, Rules};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    file_server::serve,
    image::image,
    requestor::{Requestor, far, text},
    trial,
};

/// A test for each fault.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("faults::never_answers_proposals", never_answers_proposals),
        trial("faults::never_answers_agreements", never_answers_agreements),
        trial("faults::refuses_proposals", refuses_proposals),
        trial("faults::refuses_agreements", refuses_agreements),
        trial("faults::approves_after", approves_after),
        trial("faults::drops_agreement_after", drops_agreement_after),
        trial("faults::exe_unit_dies_at_command", exe_unit_dies_at_command),
        trial("faults::image_bytes_per_second", image_bytes_per_second),
        trial("faults::breaks_unaccepted_after", breaks_unaccepted_after),
        trial("faults::clock_skew", clock_skew),
    ]
}

/// A node with two providers: one with a fault, and one without.
struct Scene {
    node: LocalNode,
    requestor: Requestor,
    folder: TempDir,
    /// Of the node's clock.
    hands: Hands,
}

const FAULTY: &str = "faulty";
const BEGINNING: &str = "1970-01-01T00:00:00Z";

impl Scene {
    /// With a line of a provider's `faults`.
    async fn with(fault: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("providers.toml");
        let faulty = format!("[[provider]]\nname = \"{FAULTY}\"\n[provider.faults]\n{fault}\n");
        fs::write(&file, format!("{faulty}[[provider]]\nname = \"sound\"\n")).unwrap();
        let (clock, hands) = Clock::system().with_hands();
        let node = LocalNode::builder()
            .providers(Provider::read_file(&file).unwrap())
            .clock(clock)
            .cache_folder(folder.path().join("cache"))
            .start()
            .await
            .unwrap();
        Self {
            requestor: Requestor::of(&node),
            node,
            folder,
            hands,
        }
    }

    /// What a demand says that only the faulty provider is meant with.
    async fn demand(&self) -> Value {
        let mut demand = self.requestor.demand().await;
        let constraints = text(&demand["constraints"]);
        demand["constraints"] = json!(format!("(&(golem.node.id.name={FAULTY}){constraints})"));
        demand
    }

    /// An agreement of which nothing is known yet.
    async fn confirm(&self) -> String {
        let demand = self.demand().await;
        let id = self.requestor.subscribe(&demand).await;
        let event = self.requestor.negotiate(&id, &demand).await;
        let (proposal, valid_to) = (&event["proposal"], "2100-01-01T00:00:00Z");
        let agreement = self.requestor.create_agreement(proposal, valid_to).await;
        let path = format!("/market-api/v1/agreements/{agreement}/confirm");
        assert_eq!(self.requestor.post_nothing(&path).await.status, 204);
        agreement
    }

    /// An activity under a new agreement: the agreement, and the activity's path.
    async fn activity(&self) -> (String, String) {
        let package = serve(image(self.folder.path()));
        let mut demand = self.demand().await;
        demand["properties"]["golem.srv.comp.task_package"] = json!(package);
        let id = self.requestor.subscribe(&demand).await;
        let event = self.requestor.negotiate(&id, &demand).await;
        let agreement = self.requestor.bind(&event["proposal"]).await;
        let activity = self.requestor.create_activity(&agreement).await;
        (agreement, format!("/activity-api/v1/activity/{activity}"))
    }

    /// Has a script run; where its results are.
    async fn exec(&self, activity: &str, script: Value) -> String {
        let script = json!({"text": script.to_string()});
        let batch = self
            .requestor
            .post(&format!("{activity}/exec"), script)
            .await;
        format!("{activity}/exec/{}", text(&batch.ok()))
    }

    async fn get(&self, path: &str) -> Value {
        self.requestor.get(path).await.ok()
    }

    /// The reason why the provider has ended an agreement.
    async fn broken(&self, agreement: &str) -> Value {
        let path =
            format!("/market-api/v1/agreementEvents?afterTimestamp={BEGINNING}&maxEvents=10");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let events = self.get(&path).await;
            let mut events = events.as_array().unwrap().iter();
            let end = events.find(|event| event["eventType"] == "AgreementTerminatedEvent");
            if let Some(end) = end {
                assert_eq!(end["agreementId"], agreement);
                assert_eq!(end["terminator"], "Provider");
                return end["reason"].clone();
            }
            assert!(Instant::now() < deadline, "the agreement goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(self) {
        self.node.stop().await.unwrap();
    }
}

async fn never_answers_proposals() {
    let scene = Scene::with("never-answers = \"proposals\"").await;
    let requestor = &scene.requestor;
    let demand = requestor.demand().await;
    let id = requestor.subscribe(&demand).await;
    let mut asked = Vec::new();
    for _ in 0..2 {
        let event = requestor.next_event(&id).await;
        let proposal = text(&event["proposal"]["proposalId"]);
        asked.push(text(&event["proposal"]["properties"]["golem.node.id.name"]));
        let path = format!("/market-api/v1/demands/{id}/proposals/{proposal}");
        requestor.post(&path, demand.clone()).await.ok();
    }
    asked.sort();
    assert_eq!(asked, [FAULTY, "sound"]);
    // One of them answers, and then nobody does.
    let answer = requestor.next_event(&id).await;
    let name = &answer["proposal"]["properties"]["golem.node.id.name"];
    assert_eq!(
        (name, &answer["proposal"]["state"]),
        (&json!("sound"), &json!("Draft"))
    );
    let more = format!("/market-api/v1/demands/{id}/events?timeout=1");
    assert_eq!(scene.get(&more).await, json!([]));
    scene.end().await;
}

async fn never_answers_agreements() {
    let scene = Scene::with("never-answers = \"agreements\"").await;
    let agreement = scene.confirm().await;
    let path = format!("/market-api/v1/agreements/{agreement}");
    let wait = format!("{path}/wait?timeout=1");
    let waited = scene.requestor.post_nothing(&wait).await;
    assert_eq!(waited.error(408), "Timeout");
    let cancelled = scene
        .requestor
        .post_nothing(&format!("{path}/cancel"))
        .await;
    assert!(cancelled.status < 300, "{cancelled:?}");
    assert_eq!(scene.get(&path).await["state"], "Cancelled");
    scene.end().await;
}

async fn refuses_proposals() {
    let scene = Scene::with("refuses = \"proposals\"").await;
    let demand = scene.demand().await;
    let id = scene.requestor.subscribe(&demand).await;
    let answer = scene.requestor.negotiate(&id, &demand).await;
    assert_eq!(answer["eventType"], "ProposalRejectedEvent", "{answer}");
    scene.end().await;
}

async fn refuses_agreements() {
    let scene = Scene::with("refuses = \"agreements\"").await;
    let agreement = scene.confirm().await;
    let path = format!("/market-api/v1/agreements/{agreement}");
    let wait = format!("{path}/wait?timeout=20");
    let waited = scene.requestor.post_nothing(&wait).await;
    assert!(waited.error(410).starts_with("Rejected"), "{waited:?}");
    assert_eq!(scene.get(&path).await["state"], "Rejected");
    scene.end().await;
}

async fn approves_after() {
    let scene = Scene::with("approves-after = 600").await;
    let agreement = scene.confirm().await;
    let path = format!("/market-api/v1/agreements/{agreement}/wait?timeout");
    let early = scene.requestor.post_nothing(&format!("{path}=0")).await;
    assert_eq!(early.error(408), "Timeout");
    scene.hands.forward(TimeDelta::minutes(10));
    let late = scene.requestor.post_nothing(&format!("{path}=20")).await;
    assert_eq!(late.status, 204, "{late:?}");
    scene.end().await;
}

async fn drops_agreement_after() {
    let scene = Scene::with("drops-agreement-after = 600").await;
    let (agreement, activity) = scene.activity().await;
    scene.hands.forward(TimeDelta::minutes(10));
    scene.broken(&agreement).await;
    let (invoice, _) = scene.requestor.next_bill("invoice", BEGINNING).await;
    assert_eq!(invoice["agreementId"], agreement.as_str());
    let state = scene.get(&format!("{activity}/state")).await;
    assert_eq!(state["state"][0], "Terminated", "{state}");
    scene.end().await;
}

async fn exe_unit_dies_at_command() {
    let scene = Scene::with("exe-unit-dies-at-command = 4").await;
    let (agreement, activity) = scene.activity().await;
    let echo = json!({"run": {"entry_point": "/bin/echo", "args": ["hello"], "capture": {"stdout": {"atEnd": {}}}}});
    let first = scene
        .exec(&activity, json!([{"deploy": {}}, {"start": {}}, echo]))
        .await;
    let first = scene.get(&format!("{first}?timeout=60")).await;
    assert_eq!(first[2]["stdout"], "hello\n", "{first}");
    // It may be gone before it has said that it has the script.
    let script = json!({"text": json!([echo]).to_string()});
    let mut lost = scene
        .requestor
        .post(&format!("{activity}/exec"), script)
        .await;
    if lost.status == 200 {
        let results = format!("{activity}/exec/{}?timeout=60", text(&lost.json()));
        lost = scene.requestor.get(&results).await;
    }
    assert!(lost.error(500).contains("was killed"), "{lost:?}");
    let state = scene.get(&format!("{activity}/state")).await;
    assert_eq!(state["state"], json!(["Terminated", null]), "{state}");
    // It is billed, and the agreement goes on.
    let (note, _) = scene.requestor.next_bill("debitNote", BEGINNING).await;
    assert_eq!(note["agreementId"], agreement.as_str());
    let path = format!("/market-api/v1/agreements/{agreement}");
    assert_eq!(scene.get(&path).await["state"], "Approved");
    scene.end().await;
}

async fn image_bytes_per_second() {
    const RATE: u64 = 500_000;
    let scene = Scene::with(&format!("image-bytes-per-second = {RATE}")).await;
    let (_, activity) = scene.activity().await;
    let length = fs::metadata(scene.folder.path().join("image.gvmi"))
        .unwrap()
        .len();
    let began = Instant::now();
    let deployed = scene.exec(&activity, json!([{"deploy": {}}])).await;
    let deployed = scene.get(&format!("{deployed}?timeout=60")).await;
    assert_eq!(deployed[0]["result"], "Ok", "{deployed}");
    // What was read before the first pause took no time.
    let least = Duration::from_secs_f64(length as f64 / RATE as f64 / 2.0);
    assert!(
        began.elapsed() >= least,
        "{:?} < {least:?}",
        began.elapsed()
    );
    scene.end().await;
}

async fn breaks_unaccepted_after() {
    let scene = Scene::with("breaks-unaccepted-after = 1").await;
    let (agreement, _) = scene.activity().await;
    scene.hands.forward(Rules::default().note_interval);
    let reason = scene.broken(&agreement).await;
    assert_eq!(
        reason["golem.provider.code"], "DebitNotesDeadline",
        "{reason}"
    );
    scene.end().await;
}

async fn clock_skew() {
    // What ends within two hours is over already, as this provider believes.
    let scene = Scene::with("clock-skew = 7200").await;
    let requestor = &scene.requestor;
    // Providers put their offers up one after the other.
    let offered = async |demand: &Value, count: usize| {
        let id = requestor.subscribe(demand).await;
        let mut names = Vec::new();
        while names.len() < count {
            let event = requestor.next_event(&id).await;
            let properties = &event["proposal"]["properties"];
            names.push(text(&properties["golem.node.id.name"]));
        }
        names.sort();
        names
    };
    let mut demand = requestor.demand().await;
    assert_eq!(offered(&demand, 1).await, ["sound"]);
    demand["properties"]["golem.srv.comp.expiration"] = json!(far() + 3 * 3_600_000);
    assert_eq!(offered(&demand, 2).await, [FAULTY, "sound"]);
    scene.end().await;
}

//! What a provider does, event by event.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    desk::{Action, Desk, Event},
    negotiation::Rules,
    spec::Faults,
};
use crate::{market::property::Properties, payment::CHOSEN_PLATFORM};

const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn properties(json: Value) -> Properties {
    Properties::from_json(&json).unwrap()
}

fn offer() -> Properties {
    properties(json!({
        "golem.com.pricing.model.linear.coeffs": [0.5, 0.0, 1.0],
        "golem.com.payment.debit-notes.accept-timeout?": 240,
        "golem.com.scheme.payu.debit-note.interval-sec?": 120,
        "golem.com.payment.platform.p.address": "0x00",
    }))
}

fn demand() -> Properties {
    properties(json!({
        CHOSEN_PLATFORM: "p",
        "golem.srv.comp.expiration": 20 * 60_000,
        "golem.com.payment.debit-notes.accept-timeout?": 100,
        "golem.com.scheme.payu.debit-note.interval-sec?": 60,
        "golem.com.scheme.payu.payment-timeout-sec?": 200,
    }))
}

/// A desk with room for one agreement, and a time.
struct Scene {
    desk: Desk,
    now: DateTime<Utc>,
}

impl Scene {
    fn new() -> Self {
        Self {
            desk: Desk::new(Rules::default(), Faults::default(), offer(), 1),
            now: START,
        }
    }

    /// With an agreement that was approved.
    fn bound() -> Self {
        let mut scene = Self::new();
        assert_eq!(scene.offered("agreement"), ["approve agreement"]);
        scene
    }

    /// What is done about an event, in short.
    fn on(&mut self, event: Event) -> Vec<String> {
        let actions = self.desk.decide(event, self.now);
        actions.iter().map(short).collect()
    }

    /// What is done after some seconds, when nothing else happens.
    fn after(&mut self, seconds: i64) -> Vec<String> {
        self.now += TimeDelta::seconds(seconds);
        self.on(Event::Tick)
    }

    fn proposed(&mut self, proposal: &str) -> Vec<String> {
        let (proposal, demand) = (proposal.to_owned(), demand());
        self.on(Event::Proposed { proposal, demand })
    }

    fn offered(&mut self, agreement: &str) -> Vec<String> {
        let answer = Rules::default().answer(&offer(), &demand(), START);
        self.on(Event::Offered {
            agreement: agreement.into(),
            offer: answer.unwrap(),
            demand: demand(),
        })
    }

    fn created(&mut self, activity: &str) -> Vec<String> {
        self.on(Event::Create("agreement".into(), activity.into()))
    }

    fn exe_unit_ended(&mut self, activity: &str) -> Vec<String> {
        let (activity, how) = (activity.into(), "gone".to_owned());
        self.on(Event::ExeUnitEnded { activity, how })
    }

    fn counted(&mut self, activity: &str, duration: f64) -> Vec<String> {
        let (activity, usage) = (activity.into(), vec![duration, 0.0]);
        self.on(Event::Counted { activity, usage })
    }

    fn agreement_ended(&mut self) -> Vec<String> {
        self.on(Event::AgreementEnded("agreement".into()))
    }

    fn note_sent(&mut self, activity: &str, note: &str) {
        let sent = Event::NoteSent(activity.into(), note.into());
        assert_eq!(self.on(sent), [""; 0]);
    }
}

/// An action in a line.
fn short(action: &Action) -> String {
    let since_start = |time: &DateTime<Utc>| (*time - START).num_seconds();
    match action {
        Action::Counter(id, _) => format!("counter {id}"),
        Action::RejectProposal(id, reason) => format!("reject {id}: {}", reason.message),
        Action::Approve(id) => format!("approve {id}"),
        Action::RejectAgreement(id, reason) => format!("reject {id}: {}", reason.message),
        Action::Terminate(id, breach) => format!("terminate {id}: {}", breach.code()),
        Action::Start(agreement, activity) => format!("start {activity} under {agreement}"),
        Action::Stop(id) => format!("stop {id}"),
        Action::ReportEnd(id, how) => format!("report {id}: {how}"),
        Action::Count(id) => format!("count {id}"),
        Action::SendNote(note) => {
            let due = note.payment_due_date.as_ref().map(since_start);
            let due = due.map_or(String::new(), |due| format!(" due {due}"));
            format!("note {} {}{due}", note.activity_id, note.total_amount_due)
        }
        Action::SendInvoice(invoice) => {
            let activities = invoice.activity_ids.iter().flatten();
            let activities: Vec<_> = activities.map(ToString::to_string).collect();
            let due = since_start(&invoice.payment_due_date);
            format!(
                "invoice {} [{}] due {due}",
                invoice.amount,
                activities.join(",")
            )
        }
    }
}

const FULL: &str = "No capacity available. Reached Agreements limit: 1";

#[test]
fn one_agreement_takes_the_slot_until_it_ends() {
    let mut scene = Scene::new();
    assert_eq!(scene.proposed("one"), ["counter one"]);
    assert_eq!(scene.offered("agreement"), ["approve agreement"]);
    assert_eq!(scene.proposed("two"), [format!("reject two: {FULL}")]);
    assert_eq!(scene.offered("other"), [format!("reject other: {FULL}")]);
    assert_eq!(
        scene.agreement_ended(),
        ["invoice 0 [] due 200", "counter two"]
    );
    assert_eq!(scene.agreement_ended(), [""; 0]);
    assert_eq!(scene.offered("other"), ["approve other"]);
}

#[test]
fn an_agreement_that_lapses_frees_the_slot_and_costs_nothing() {
    let mut scene = Scene::bound();
    scene.proposed("two");
    let lapsed = Event::Lapsed("agreement".into());
    assert_eq!(scene.on(lapsed), ["counter two"]);
}

#[test]
fn what_cannot_be_agreed_on_is_rejected_for_good() {
    let mut scene = Scene::bound();
    let (proposal, demand) = ("one".to_owned(), Properties::default());
    let rejected = scene.on(Event::Proposed { proposal, demand });
    assert_eq!(
        rejected,
        ["reject one: the demand does not say on which platform it pays"]
    );
    // And not taken up again.
    assert_eq!(scene.agreement_ended(), ["invoice 0 [] due 200"]);
    let unpriced = Event::Offered {
        agreement: "unpriced".into(),
        offer: Properties::default(),
        demand: self::demand(),
    };
    assert_eq!(
        scene.on(unpriced),
        ["reject unpriced: the agreement names no price"]
    );
}

#[test]
fn an_activity_is_run_and_billed() {
    let mut scene = Scene::bound();
    assert_eq!(scene.created("one"), ["start one under agreement"]);
    assert_eq!(
        scene.created("two"),
        ["report two: activity one runs under the agreement already"]
    );
    assert_eq!(scene.after(60), ["count one"]);
    assert_eq!(scene.counted("one", 60.0), ["note one 31.0"]);
    assert_eq!(scene.on(Event::Destroy("one".into())), ["stop one"]);
    assert_eq!(scene.on(Event::Destroy("one".into())), [""; 0]);
    assert_eq!(
        scene.exe_unit_ended("one"),
        ["report one: gone", "count one"]
    );
    assert_eq!(scene.counted("one", 61.0), ["note one 31.5 due 260"]);
    assert_eq!(scene.created("two"), ["start two under agreement"]);
    assert_eq!(scene.agreement_ended(), ["stop two"]);
    assert_eq!(
        scene.exe_unit_ended("two"),
        ["report two: gone", "count two"]
    );
    assert_eq!(
        scene.counted("two", 2.0),
        ["note two 2.0 due 260", "invoice 33.5 [one,two] due 260"]
    );
    assert_eq!(
        scene.created("three"),
        ["report three: the agreement has ended"]
    );
}

#[test]
fn an_exe_unit_that_dies_is_billed_and_the_agreement_stays() {
    let mut scene = Scene::bound();
    scene.created("one");
    assert_eq!(
        scene.exe_unit_ended("one"),
        ["report one: gone", "count one"]
    );
    assert_eq!(scene.counted("one", 4.0), ["note one 3.0 due 200"]);
    assert_eq!(scene.created("two"), ["start two under agreement"]);
}

#[test]
fn counters_that_make_no_sense_cost_what_was_cost_before() {
    let mut scene = Scene::bound();
    scene.created("one");
    assert_eq!(scene.counted("one", 10.0), ["note one 6.0"]);
    assert_eq!(scene.counted("one", f64::NAN), ["note one 6.0"]);
    assert_eq!(scene.counted("one", 3.0), ["note one 6.0"]);
}

#[test]
fn notes_come_at_the_agreed_interval_and_some_are_payable() {
    let mut scene = Scene::bound();
    scene.created("one");
    let mut notes = Vec::new();
    for minute in 1..=8 {
        assert_eq!(scene.after(60), ["count one"]);
        notes.extend(scene.counted("one", f64::from(minute) * 60.0));
    }
    let due = |note: &String| note.split(" due ").nth(1).map(str::to_owned);
    let payable: Vec<_> = notes.iter().map(due).collect();
    let at = |seconds: &str| Some(seconds.to_owned());
    // The payment timeout is 200 s.
    assert_eq!(
        payable,
        [None, None, None, at("440"), None, None, None, at("680")]
    );
}

#[test]
fn an_idle_agreement_is_broken() {
    let mut scene = Scene::bound();
    assert_eq!(scene.after(89), [""; 0]);
    assert_eq!(
        scene.after(1),
        ["terminate agreement: NoActivity", "invoice 0 [] due 290"]
    );

    let mut scene = Scene::bound();
    scene.created("one");
    scene.after(200);
    scene.exe_unit_ended("one");
    scene.counted("one", 200.0);
    assert_eq!(
        scene.desk.next_deadline(),
        Some(START + TimeDelta::seconds(260))
    );
    scene.after(89);
    assert_eq!(
        scene.after(1),
        [
            "terminate agreement: NoActivity",
            "invoice 101.0 [one] due 490"
        ]
    );
    assert_eq!(scene.desk.next_deadline(), None);
}

#[test]
fn an_agreement_ends_when_it_expires() {
    let mut scene = Scene::bound();
    scene.created("one");
    scene.after(1199);
    assert_eq!(scene.after(1), ["terminate agreement: Expired", "stop one"]);
}

#[test]
fn a_note_that_is_not_accepted_in_time_breaks_the_agreement() {
    let mut scene = Scene::bound();
    scene.created("one");
    scene.note_sent("one", "first");
    scene.after(50);
    scene.note_sent("one", "second");
    scene.on(Event::NoteAccepted("second".into()));
    assert_eq!(scene.after(100), ["count one"]);
    scene.note_sent("one", "third");
    assert_eq!(scene.after(99), ["count one"]);
    assert_eq!(
        scene.after(1),
        ["terminate agreement: DebitNotesDeadline", "stop one"]
    );
}

#[test]
fn the_last_to_wait_hear_when_there_is_room() {
    let mut scene = Scene::bound();
    for number in 0..150 {
        let rejected = scene.proposed(&number.to_string());
        assert_eq!(rejected, [format!("reject {number}: {FULL}")]);
    }
    let answers = scene.agreement_ended();
    let countered: Vec<_> = answers
        .iter()
        .filter(|one| one.starts_with("counter"))
        .collect();
    assert_eq!(countered[0], "counter 50");
    assert_eq!(countered.last().unwrap().as_str(), "counter 149");
}

#[test]
fn an_agreement_that_is_approved_late_begins_then() {
    let faults = Faults {
        approves_after: Some(TimeDelta::seconds(600)),
        ..Faults::default()
    };
    let mut scene = Scene {
        desk: Desk::new(Rules::default(), faults, offer(), 1),
        now: START,
    };
    assert_eq!(scene.offered("agreement"), [""; 0]);
    assert_eq!(scene.after(599), [""; 0]);
    assert_eq!(scene.after(1), ["approve agreement"]);
    assert_eq!(scene.after(89), [""; 0]);
    assert_eq!(
        scene.after(1),
        ["terminate agreement: NoActivity", "invoice 0 [] due 890"]
    );
}

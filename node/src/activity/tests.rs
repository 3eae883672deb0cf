//! Activities, with an exe-unit and a provider played by the test.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use exeunit::gsb::{
    CallError, decode, encode,
    message::{Exec, GetExecBatchResults, SetState, SetUsage},
};
use serde_json::json;
use tokio_util::task::TaskTracker;
use ya_client_model::{
    NodeId,
    activity::{ActivityState, ActivityUsage, State, StatePair, provider_event::ProviderEventType},
    market::{ProviderEvent, RequestorEvent},
};

use super::{
    Activities, CreateActivityError, DestroyActivityError, ExecError, NoActivity, roster::Roster,
    service,
};
use crate::{
    clock::Clock,
    gsb::{Answer, Bus, Calls, Line},
    id::{ActivityId, AgreementId, BatchId, Ids},
    market::{Market, Seen, Side, Step, Terms},
};

const LONG: Duration = Duration::from_secs(60);

/// A market with one agreement, and the activities under it.
struct Scene {
    activities: Activities,
    market: Market,
    bus: Bus,
    requestor: NodeId,
    provider: NodeId,
    agreement: AgreementId,
}

impl Scene {
    async fn new() -> Self {
        let (tasks, mut ids) = (TaskTracker::new(), Ids::seeded(1));
        let clock = Clock::tokio(DateTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let (requestor, provider) = (ids.node(), ids.node());
        let bus = Bus::open(HashSet::from([requestor]), clock.clone(), &tasks);
        let market = Market::open(ids.fork(), clock.clone(), &tasks, None).unwrap();
        let agreement = agree(&market, requestor, provider).await;
        let activities = Activities::open(ids, clock, &tasks, market.clone(), bus.clone(), None);
        Self {
            activities: activities.await.unwrap(),
            market,
            bus,
            requestor,
            provider,
            agreement,
        }
    }

    async fn approve(&self) {
        for (who, step) in [
            (self.requestor, Step::Confirm(None)),
            (self.provider, Step::Approve(None)),
        ] {
            let agreement = self.agreement.clone();
            self.market.step(who, agreement, step).await.unwrap();
        }
    }

    /// Has an activity created, as its requestor; what comes of it.
    fn create(&self) -> tokio::task::JoinHandle<Result<ActivityId, CreateActivityError>> {
        let (activities, agreement) = (self.activities.clone(), self.agreement.clone());
        let requestor = self.requestor;
        tokio::spawn(async move { activities.create(requestor, agreement, LONG).await })
    }

    /// What the provider is asked to do next after a time.
    async fn next_order(
        &self,
        after: DateTime<Utc>,
    ) -> (ActivityId, ProviderEventType, DateTime<Utc>) {
        let orders = self.activities.orders(self.provider, after, LONG, 1).await;
        let order = orders.into_iter().next().unwrap();
        (order.activity_id.into(), order.event_type, order.event_date)
    }

    async fn report(&self, id: &ActivityId, state: State, reason: Option<&str>) {
        let report = SetState {
            activity_id: id.to_string(),
            state: ActivityState {
                state: state.into(),
                reason: reason.map(str::to_owned),
                error_message: None,
            },
        };
        self.bus.call("/local/activity", &report).await.unwrap();
    }

    /// An activity whose exe-unit is the test.
    async fn activity(&self) -> (ActivityId, Line, Calls) {
        self.approve().await;
        let created = self.create();
        let (id, ..) = self.next_order(DateTime::UNIX_EPOCH).await;
        let (line, calls) = self.bus.serve(&service(&id)).await.unwrap();
        self.report(&id, State::Initialized, None).await;
        assert_eq!(created.await.unwrap(), Ok(id.clone()));
        (id, line, calls)
    }
}

/// An agreement that nobody has confirmed.
async fn agree(market: &Market, requestor: NodeId, provider: NodeId) -> AgreementId {
    let terms = || Terms::new(&json!({}), "()").unwrap();
    let offer = market.subscribe(Side::Provider, provider, terms()).await;
    let demand = market.subscribe(Side::Requestor, requestor, terms()).await;
    let next = async || {
        let events = market
            .demand_events(requestor, demand.clone(), LONG, 1)
            .await;
        match events.unwrap().remove(0) {
            RequestorEvent::ProposalEvent { proposal, .. } => proposal.proposal_id,
            other => panic!("{other:?}"),
        }
    };
    let seen = |side, caller, subscription: &_, proposal| Seen {
        side,
        caller,
        subscription: Clone::clone(subscription),
        proposal,
    };
    let initial = seen(Side::Requestor, requestor, &demand, next().await);
    market.counter(initial, terms()).await.unwrap();
    let events = market.offer_events(provider, offer.clone(), LONG, 1).await;
    let ProviderEvent::ProposalEvent { proposal, .. } = events.unwrap().remove(0) else {
        panic!("no proposal");
    };
    let asked = seen(Side::Provider, provider, &offer, proposal.proposal_id);
    market.counter(asked, terms()).await.unwrap();
    let valid_to = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
    market
        .create_agreement(requestor, next().await, valid_to)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_activity_is_created_used_and_destroyed() {
    let scene = Scene::new().await;
    let (id, ..) = scene.activity().await;
    let who = [scene.requestor, scene.provider];
    for caller in who {
        let state = scene.activities.state(caller, id.clone()).await.unwrap();
        assert_eq!(json!(state), json!({"state": ["Initialized", null]}));
        let agreement = scene.activities.agreement(caller, id.clone()).await;
        assert_eq!(agreement, Ok(scene.agreement.clone()));
    }
    let usage = scene.activities.usage(scene.requestor, id.clone()).await;
    assert_eq!(json!(usage.unwrap()), json!({"timestamp": 1_800_000_000}));
    let report = SetUsage {
        activity_id: id.to_string(),
        usage: ActivityUsage {
            current_usage: Some(vec![0.5, 1.0]),
            timestamp: 7,
        },
    };
    scene.bus.call("/local/activity", &report).await.unwrap();
    let usage = scene.activities.usage(scene.provider, id.clone()).await;
    assert_eq!(
        json!(usage.unwrap()),
        json!({"currentUsage": [0.5, 1.0], "timestamp": 7})
    );

    let (activities, requestor) = (scene.activities.clone(), scene.requestor);
    let destroyed = tokio::spawn({
        let id = id.clone();
        async move { activities.destroy(requestor, id, LONG).await }
    });
    let (.., created) = scene.next_order(DateTime::UNIX_EPOCH).await;
    let (ordered, what, _) = scene.next_order(created).await;
    assert_eq!(
        (ordered, what),
        (id.clone(), ProviderEventType::DestroyActivity {})
    );
    scene.report(&id, State::Terminated, Some("done")).await;
    assert_eq!(destroyed.await.unwrap(), Ok(()));
    // Too late to mean anything.
    scene.report(&id, State::Ready, None).await;
    let state = scene.activities.state(requestor, id.clone()).await.unwrap();
    assert_eq!(state.state, StatePair(State::Terminated, None));
    let again = scene.activities.destroy(requestor, id, LONG).await;
    assert_eq!(again, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_activity_needs_an_agreement_that_both_have_approved() {
    let scene = Scene::new().await;
    let error = scene.create().await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "agreement {} is Proposal, there can be no activity under it",
            scene.agreement
        )
    );
    scene.approve().await;
    let (activities, agreement) = (&scene.activities, scene.agreement.clone());
    let providers = activities.create(scene.provider, agreement, LONG).await;
    assert!(matches!(providers, Err(CreateActivityError::Agreement(_))));
    let unknown = activities
        .create(scene.requestor, "none".into(), LONG)
        .await;
    assert!(matches!(unknown, Err(CreateActivityError::Agreement(_))));
}

#[tokio::test(start_paused = true)]
async fn an_activity_that_does_not_begin_is_given_up() {
    let scene = Scene::new().await;
    scene.approve().await;
    let created = scene.create();
    let (id, ..) = scene.next_order(DateTime::UNIX_EPOCH).await;
    scene.report(&id, State::Terminated, Some("no space")).await;
    let reason = "no space".to_owned();
    let ended = CreateActivityError::Ended {
        activity: id,
        reason,
    };
    assert_eq!(created.await.unwrap(), Err(ended));

    let created = scene.create();
    let CreateActivityError::Timeout(id) = created.await.unwrap().unwrap_err() else {
        panic!("no timeout");
    };
    let orders = scene
        .activities
        .orders(scene.provider, DateTime::UNIX_EPOCH, LONG, 9)
        .await;
    let last = orders.last().unwrap();
    assert_eq!(last.activity_id, id.to_string());
    assert_eq!(last.event_type, ProviderEventType::DestroyActivity {});
}

#[tokio::test(start_paused = true)]
async fn an_activity_that_does_not_end_in_time_is_still_ending() {
    let scene = Scene::new().await;
    let (id, ..) = scene.activity().await;
    let destroyed = scene
        .activities
        .destroy(scene.requestor, id.clone(), LONG)
        .await;
    assert_eq!(destroyed, Err(DestroyActivityError::Timeout(id.clone())));
    let providers = scene
        .activities
        .destroy(scene.provider, id.clone(), LONG)
        .await;
    let not_found = DestroyActivityError::NotFound(NoActivity(id));
    assert_eq!(providers, Err(not_found));
}

#[tokio::test(start_paused = true)]
async fn scripts_reach_the_exe_unit_and_its_answers_the_requestor() {
    let scene = Scene::new().await;
    let (id, _line, mut calls) = scene.activity().await;
    let exe_unit = tokio::spawn(async move {
        let call = calls.recv().await.unwrap();
        assert_eq!(call.component, "Exec");
        let exec: Exec = decode(&call.data).unwrap();
        let answer = encode(&Ok::<_, CallError>(exec.batch_id.clone())).unwrap();
        call.answers.send(Answer::Last(answer)).unwrap();

        let call = calls.recv().await.unwrap();
        let results: GetExecBatchResults = decode(&call.data).unwrap();
        assert_eq!(results.batch_id, exec.batch_id);
        assert_eq!(
            (results.timeout, results.command_index),
            (Some(5.0), Some(1))
        );
        let late = CallError::Timeout("not yet".to_owned());
        let answer = encode(&Err::<(), _>(late)).unwrap();
        call.answers.send(Answer::Last(answer)).unwrap();
        exec.exe_script.len()
    });
    let script = serde_json::from_value(json!([{"deploy": {}}, {"start": {}}])).unwrap();
    let batch = scene
        .activities
        .exec(scene.requestor, id.clone(), script)
        .await;
    let timeout = Duration::from_secs(5);
    let results = scene
        .activities
        .results(
            scene.requestor,
            id.clone(),
            batch.unwrap(),
            timeout,
            Some(1),
        )
        .await;
    let error = CallError::Timeout("not yet".to_owned());
    assert_eq!(
        results,
        Err(ExecError::Call {
            activity: id,
            error
        })
    );
    assert_eq!(exe_unit.await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_dead_exe_unit_hears_how_it_died() {
    let scene = Scene::new().await;
    let (id, line, mut calls) = scene.activity().await;
    let (activities, requestor) = (scene.activities.clone(), scene.requestor);
    let waiting = tokio::spawn({
        let (id, batch) = (id.clone(), BatchId::from("batch"));
        async move { activities.results(requestor, id, batch, LONG, None).await }
    });
    drop(calls.recv().await.unwrap());
    scene.bus.close_line(line).await;
    let state = ActivityState {
        state: State::Terminated.into(),
        reason: Some("aborted".to_owned()),
        error_message: Some("killed by signal 9".to_owned()),
    };
    let (activities, provider) = (&scene.activities, scene.provider);
    activities
        .report_state(provider, id.clone(), state)
        .await
        .unwrap();
    let ended = Err(ExecError::Ended {
        activity: id.clone(),
        reason: "aborted: killed by signal 9".to_owned(),
    });
    assert_eq!(waiting.await.unwrap(), ended);
    // And nothing more can be asked of it.
    let batch = BatchId::from("batch");
    let results = activities.results(requestor, id, batch, LONG, None).await;
    assert_eq!(results, ended);
}

#[tokio::test(start_paused = true)]
async fn an_exe_unit_that_leaves_without_a_word_is_not_waited_for() {
    let scene = Scene::new().await;
    let (id, line, calls) = scene.activity().await;
    drop(calls);
    scene.bus.close_line(line).await;
    let exec = scene
        .activities
        .exec(scene.requestor, id.clone(), vec![])
        .await;
    let reason = "its exe-unit has left the bus".to_owned();
    let activity = id;
    assert_eq!(exec, Err(ExecError::Ended { activity, reason }));
}

#[tokio::test(start_paused = true)]
async fn an_exe_unit_that_does_not_understand_has_not_gone() {
    let scene = Scene::new().await;
    let (id, _line, mut calls) = scene.activity().await;
    let error = CallError::BadRequest("what?".to_owned());
    let refusal = Answer::Failed(error.clone());
    let exe_unit = async { calls.recv().await.unwrap().answers.send(refusal) };
    let exec = scene.activities.exec(scene.requestor, id.clone(), vec![]);
    let began = tokio::time::Instant::now();
    let (sent, exec) = tokio::join!(exe_unit, exec);
    sent.unwrap();
    let activity = id;
    assert_eq!(exec, Err(ExecError::Call { activity, error }));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn only_the_requestor_has_scripts_run() {
    let scene = Scene::new().await;
    let (id, _line, _calls) = scene.activity().await;
    let (activities, provider) = (&scene.activities, scene.provider);
    let not_found = ExecError::NotFound(NoActivity(id.clone()));
    let exec = activities.exec(provider, id.clone(), vec![]).await;
    assert_eq!(exec, Err(not_found));
    let batch = || BatchId::from("batch");
    let cancel = activities.cancel(provider, id.clone(), batch()).await;
    assert!(matches!(cancel, Err(ExecError::NotFound(_))));
    let results = activities.results(provider, id.clone(), batch(), LONG, None);
    assert!(matches!(results.await, Err(ExecError::NotFound(_))));
    let events = activities.events(provider, id, batch()).await;
    assert!(matches!(events.err(), Some(ExecError::NotFound(_))));
}

#[tokio::test(start_paused = true)]
async fn the_last_batches_are_remembered_and_all_are_counted() {
    let scene = Scene::new().await;
    let (id, ..) = scene.activity().await;
    let note = async |number: usize| {
        let (id, batch) = (id.clone(), BatchId::from(number.to_string()));
        let note = move |roster: &mut Roster, _| roster.note_batch(&id, batch);
        scene.activities.roster.ask(note).await;
    };
    let after = async |seen| {
        let more = scene.activities.batches_after(&id, seen, LONG).await;
        let more = more.unwrap();
        let names: Vec<_> = more.batches.iter().map(ToString::to_string).collect();
        (names, more.seen)
    };
    note(0).await;
    assert_eq!(after(0).await, (vec!["0".to_owned()], 1));
    for number in 1..200 {
        note(number).await;
    }
    let (names, seen) = after(1).await;
    assert_eq!((names.len(), names[49].as_str(), seen), (50, "199", 200));
    note(200).await;
    assert_eq!(after(seen).await, (vec!["200".to_owned()], 201));
    assert_eq!(scene.activities.all().await[0].batches, 201);
}

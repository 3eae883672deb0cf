//! Activities, with an exe-unit and a provider played by the test.

mod exec;

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use exeunit::gsb::message::{SetState, SetUsage};
use serde_json::json;
use tokio_util::task::TaskTracker;
use ya_client_model::{
    NodeId,
    activity::{ActivityState, ActivityUsage, State, StatePair, provider_event::ProviderEventType},
    market::{ProviderEvent, RequestorEvent},
};

use super::{Activities, CreateActivityError, DestroyActivityError, NoActivity, service};
use crate::{
    clock::Clock,
    gsb::{Bus, Calls, Line},
    id::{ActivityId, AgreementId, Ids},
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
        let orders = self
            .activities
            .orders(self.provider, None, after, LONG, 1)
            .await;
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
        .orders(scene.provider, None, DateTime::UNIX_EPOCH, LONG, 9)
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
async fn a_silent_exe_unit_is_unresponsive_and_ends_unless_it_reports_again() {
    let scene = Scene::new().await;
    let (id, ..) = scene.activity().await;
    let report = async || {
        let usage = SetUsage {
            activity_id: id.to_string(),
            usage: ActivityUsage {
                current_usage: Some(vec![1.0]),
                timestamp: 1,
            },
        };
        scene.bus.call("/local/activity", &usage).await.unwrap();
    };
    let state = async || {
        let state = scene.activities.state(scene.requestor, id.clone()).await;
        state.unwrap().state.0
    };
    let seconds = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
    scene.report(&id, State::Ready, None).await;
    // One that never reports what it uses is not waited for.
    seconds(60).await;
    assert_eq!(state().await, State::Ready);
    report().await;
    seconds(4).await;
    assert_eq!(state().await, State::Ready);
    seconds(2).await;
    assert_eq!(state().await, State::Unresponsive);
    report().await;
    assert_eq!(state().await, State::Ready);

    let (_, _, created) = scene.next_order(DateTime::UNIX_EPOCH).await;
    let began = tokio::time::Instant::now();
    let (ending, order, _) = scene.next_order(created).await;
    assert_eq!(
        (&ending, order),
        (&id, ProviderEventType::DestroyActivity {})
    );
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(state().await, State::Unresponsive);
    scene.report(&id, State::Terminated, None).await;
    assert_eq!(state().await, State::Terminated);
}

//! Agreements.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use ya_client_model::market::{
    AgreementEventType, ProviderEvent, agreement::State, proposal::State as ProposalState,
};

use super::Scene;
use crate::{
    id::SubscriptionId,
    market::{
        agreement::{AgreementError, CreateAgreementError, Step},
        board::Side,
        constraint::Constraint,
    },
    owned::Machine,
    state::REMEMBERED,
};

#[test]
fn a_long_agreement_is_remembered_when_it_has_ended() {
    let mut scene = Scene::new();
    let (demand, offer, long) = scene.agreement();
    let (requestor, provider) = (scene.requestor, scene.provider);
    scene.step(requestor, &long, Step::Confirm(None)).unwrap();
    scene.step(provider, &long, Step::Approve(None)).unwrap();
    let withdraw = |scene: &mut Scene, demand: &SubscriptionId, offer: &SubscriptionId| {
        let board = &mut scene.board;
        board
            .unsubscribe(Side::Requestor, requestor, demand)
            .unwrap();
        board.unsubscribe(Side::Provider, provider, offer).unwrap();
    };
    withdraw(&mut scene, &demand, &offer);
    scene.now += TimeDelta::days(1);
    scene.step(provider, &long, Step::Terminate(None)).unwrap();
    for _ in 0..REMEMBERED + REMEMBERED / 4 {
        let (demand, offer, other) = scene.agreement();
        scene.step(requestor, &other, Step::Cancel(None)).unwrap();
        withdraw(&mut scene, &demand, &offer);
    }
    let agreement = scene.board.agreement(requestor, &long).unwrap();
    assert_eq!(agreement.state, State::Terminated);
}

#[test]
fn nothing_is_left_of_what_was_withdrawn() {
    let mut scene = Scene::new();
    let (demand, offer, id) = scene.agreement();
    let (requestor, provider) = (scene.requestor, scene.provider);
    scene.step(requestor, &id, Step::Confirm(None)).unwrap();
    scene.step(provider, &id, Step::Approve(None)).unwrap();
    let board = &mut scene.board;
    board
        .unsubscribe(Side::Requestor, requestor, &demand)
        .unwrap();
    // Both are free to deal with each other again, but the demand is not there any more.
    scene.step(requestor, &id, Step::Terminate(None)).unwrap();
    assert!(scene.board.proposals.is_empty());
    let constraint = Constraint::parse("()").unwrap();
    let (patience, now) = (Duration::from_secs(60), scene.now);
    let scan = scene
        .board
        .scan(requestor, Side::Provider, constraint, patience, now);
    for _ in 0..2 {
        scene.now += TimeDelta::seconds(1);
        let (board, now) = (&mut scene.board, scene.now);
        board
            .keep_scan(requestor, &scan, Duration::ZERO, now)
            .unwrap();
    }
    let board = &mut scene.board;
    assert_eq!(board.deadlines.len(), 2, "of the offer, and of the scan");
    board.end_scan(requestor, &scan).unwrap();
    board.unsubscribe(Side::Provider, provider, &offer).unwrap();
    assert!(board.deadlines.is_empty());
}

#[test]
fn an_agreement_goes_through_its_states() {
    let mut scene = Scene::new();
    let (demand_id, offer_id, id) = scene.agreement();
    let (requestor, provider) = (scene.requestor, scene.provider);
    let view = |scene: &Scene, who| scene.board.agreement(who, &id).unwrap();
    assert_eq!(view(&scene, requestor).state, State::Proposal);
    assert_eq!(
        view(&scene, requestor).demand.demand_id,
        demand_id.to_string()
    );
    assert_eq!(view(&scene, requestor).proposed_signature, None);

    let session = Some("mine".to_owned());
    scene
        .step(requestor, &id, Step::Confirm(session.clone()))
        .unwrap();
    match scene.next_for_offer(&offer_id) {
        ProviderEvent::AgreementEvent { agreement, .. } => {
            assert_eq!(agreement.state, State::Pending);
            assert_eq!(agreement.app_session_id, None);
            assert_eq!(agreement.proposed_signature.as_deref(), Some("NoSignature"));
        }
        other => panic!("{other:?}"),
    }
    scene.step(provider, &id, Step::Approve(None)).unwrap();
    assert_eq!(view(&scene, requestor).app_session_id, session);
    assert_eq!(view(&scene, requestor).approved_date, Some(scene.now));

    scene.step(provider, &id, Step::Terminate(None)).unwrap();
    let events = |scene: &Scene, who, session: Option<&str>| {
        let start = DateTime::UNIX_EPOCH;
        scene.board.agreement_events(who, session, start, 10)
    };
    assert_eq!(events(&scene, provider, None).len(), 2);
    assert_eq!(events(&scene, requestor, Some("other")).len(), 0);
    let mine = events(&scene, requestor, Some("mine"));
    assert_eq!(
        mine[0].event_type,
        AgreementEventType::AgreementApprovedEvent
    );
    assert!(matches!(
        &mine[1].event_type,
        AgreementEventType::AgreementTerminatedEvent {
            reason: Some(_),
            ..
        }
    ));
    assert!(mine[0].event_date < mine[1].event_date);
    // And the offer is proposed anew.
    scene.proposed_to_demand(&demand_id);
}

#[test]
fn each_state_allows_its_steps_and_each_side_its_own() {
    let steps = || {
        [
            Step::Confirm(None),
            Step::Approve(None),
            Step::Reject(None),
            Step::Cancel(None),
            Step::Terminate(None),
        ]
    };
    // To reach a state; which of the steps can be taken then.
    for (path, allowed) in [
        (vec![], [true, false, false, true, false]),
        (vec![0], [false, true, true, true, false]),
        (vec![0, 1], [false, false, false, false, true]),
        (vec![0, 2], [false; 5]),
        (vec![3], [false; 5]),
        (vec![0, 3], [false; 5]),
        (vec![0, 1, 4], [false; 5]),
    ] {
        for (place, allowed) in allowed.into_iter().enumerate() {
            let mut scene = Scene::new();
            let (.., id) = scene.agreement();
            let who = |step: usize, scene: &Scene| match step {
                1 | 2 => (scene.provider, scene.requestor),
                _ => (scene.requestor, scene.provider),
            };
            for step in &path {
                let (actor, _) = who(*step, &scene);
                scene.step(actor, &id, steps()[*step].clone()).unwrap();
            }
            let (actor, other) = who(place, &scene);
            if place != 4 {
                let refused = scene.step(other, &id, steps()[place].clone());
                assert_eq!(refused, Err(AgreementError::NotFound(id.clone())));
            }
            let taken = scene.step(actor, &id, steps()[place].clone());
            assert_eq!(taken.is_ok(), allowed, "{path:?} {place}: {taken:?}");
        }
    }
}

#[test]
fn an_agreement_that_nobody_approves_expires() {
    let mut scene = Scene::new();
    let (.., id) = scene.agreement();
    let (requestor, provider) = (scene.requestor, scene.provider);
    scene.step(requestor, &id, Step::Confirm(None)).unwrap();
    scene.board.wake(scene.now + TimeDelta::minutes(1));
    assert_eq!(
        scene.board.deal(requestor, &id).unwrap().state,
        State::Expired
    );
    let error = scene.step(provider, &id, Step::Approve(None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("agreement {id} is Expired, it cannot be approved now")
    );
}

#[test]
fn an_approved_agreement_does_not_expire() {
    let mut scene = Scene::new();
    let (.., id) = scene.agreement();
    let (requestor, provider) = (scene.requestor, scene.provider);
    scene.step(requestor, &id, Step::Confirm(None)).unwrap();
    scene.step(provider, &id, Step::Approve(None)).unwrap();
    scene.board.wake(scene.now + TimeDelta::days(1));
    assert_eq!(
        scene.board.deal(requestor, &id).unwrap().state,
        State::Approved
    );
}

#[test]
fn only_what_was_negotiated_becomes_an_agreement() {
    let mut scene = Scene::new();
    let (demand_id, _, draft) = scene.negotiate();
    let (requestor, provider, now) = (scene.requestor, scene.provider, scene.now);
    let valid_to = now + TimeDelta::minutes(1);
    let draft_view = scene
        .board
        .proposal(&scene.for_requestor(&demand_id, &draft));
    let asked = draft_view.unwrap().prev_proposal_id.unwrap();
    let asked_view = scene
        .board
        .proposal(&scene.for_requestor(&demand_id, &asked));
    let initial = asked_view.unwrap().prev_proposal_id.unwrap();
    let board = &mut scene.board;
    let mut create = |who, proposal: &str, valid_to| {
        board
            .create_agreement(who, proposal, valid_to, now)
            .unwrap_err()
    };
    use CreateAgreementError::{Expired, NotFound, NotNegotiated, Own};
    assert_eq!(
        create(requestor, &initial, valid_to),
        NotNegotiated(initial)
    );
    assert_eq!(create(requestor, &asked, valid_to), Own(asked));
    assert_eq!(create(provider, &draft, valid_to), NotFound(draft.clone()));
    assert_eq!(create(requestor, &draft, now), Expired(now));

    board
        .create_agreement(requestor, &draft, valid_to, now)
        .unwrap();
    let again = board.create_agreement(requestor, &draft, valid_to, now);
    let state = ProposalState::Accepted;
    assert_eq!(again, Err(CreateAgreementError::State { id: draft, state }));
}

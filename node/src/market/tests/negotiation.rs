//! Demands, offers and proposals.

use chrono::TimeDelta;
use serde_json::json;
use ya_client_model::market::{Reason, RequestorEvent, proposal::State as ProposalState};

use super::{Scene, demand, offer};
use crate::{
    market::{
        agreement::CreateAgreementError,
        board::Side,
        matching::Terms,
        negotiation::{ProposalError, Seen},
    },
    owned::Machine,
};

#[test]
fn what_matches_is_proposed_once_and_never_to_oneself() {
    let mut scene = Scene::new();
    let offer_id = scene.offer();
    let demand_id = scene.demand();
    let own = scene
        .board
        .subscribe(Side::Requestor, scene.provider, demand(), scene.now);
    let picky = Terms::new(&json!({"want": 1}), "(runtime=wasm)").unwrap();
    let picky = scene
        .board
        .subscribe(Side::Requestor, scene.requestor, picky, scene.now);

    let RequestorEvent::ProposalEvent {
        event_date,
        proposal,
    } = scene.next_for_demand(&demand_id)
    else {
        panic!("no proposal");
    };
    assert_eq!(event_date.timestamp_subsec_nanos(), 123_000_000);
    assert_eq!(proposal.timestamp, scene.now);
    assert_eq!(proposal.state, ProposalState::Initial);
    assert_eq!(proposal.issuer_id, scene.provider);
    assert!(proposal.proposal_id.starts_with("R-"));
    assert_eq!(proposal.properties, json!({"runtime": "vm"}));

    let board = &mut scene.board;
    for (caller, id) in [
        (scene.requestor, &demand_id),
        (scene.provider, &own),
        (scene.requestor, &picky),
    ] {
        assert_eq!(board.collect_for_demand(caller, id, 10), Ok(vec![]));
    }
    assert!(
        board
            .collect_for_demand(scene.provider, &demand_id, 10)
            .is_err()
    );
    assert!(
        board
            .collect_for_demand(scene.requestor, &offer_id, 10)
            .is_err()
    );
}

#[test]
fn an_offer_finds_the_demands_that_stand() {
    let mut scene = Scene::new();
    let demand_id = scene.demand();
    scene.offer();
    scene.offer();
    let events = scene
        .board
        .collect_for_demand(scene.requestor, &demand_id, 1)
        .unwrap();
    assert_eq!(events.len(), 1);
    scene.next_for_demand(&demand_id);
}

#[test]
fn proposals_are_answered_in_turn() {
    let mut scene = Scene::new();
    let (demand_id, offer_id, draft) = scene.negotiate();
    let view = scene
        .board
        .proposal(&scene.for_requestor(&demand_id, &draft));
    let view = view.unwrap();
    let asked = view.prev_proposal_id.unwrap();
    assert_eq!(view.state, ProposalState::Draft);

    let counter =
        |scene: &mut Scene, seen: &Seen, terms| scene.board.counter(seen, terms, scene.now);
    let seen = scene.for_requestor(&demand_id, &asked);
    let result = counter(&mut scene, &seen, demand());
    assert_eq!(result, Err(ProposalError::Own(asked.clone())));

    let as_provider = asked.replacen("R-", "P-", 1);
    let seen = scene.for_provider(&offer_id, &as_provider);
    let result = counter(&mut scene, &seen, offer());
    assert_eq!(result, Err(ProposalError::AlreadyCountered(as_provider)));

    let seen = scene.for_requestor(&demand_id, &draft);
    let result = counter(&mut scene, &seen, Terms::new(&json!({}), "()").unwrap());
    assert_eq!(result, Err(ProposalError::NotMatching(draft.clone())));

    for unknown in ["R-00", "P-00", &draft[2..]] {
        let seen = scene.for_requestor(&demand_id, unknown);
        let result = counter(&mut scene, &seen, demand());
        assert_eq!(result, Err(ProposalError::NotFound(unknown.to_owned())));
    }
}

#[test]
fn a_rejected_proposal_can_be_taken_up_again() {
    let mut scene = Scene::new();
    let (offer_id, demand_id) = (scene.offer(), scene.demand());
    let initial = scene.proposed_to_demand(&demand_id);
    let seen = scene.for_requestor(&demand_id, &initial);
    scene.board.counter(&seen, demand(), scene.now).unwrap();
    let asked = scene.proposed_to_offer(&offer_id);

    let reason = Some(Reason::new("no capacity"));
    let seen = scene.for_provider(&offer_id, &asked);
    let board = &mut scene.board;
    board
        .reject_proposal(&seen, reason.clone(), scene.now)
        .unwrap();
    match scene.next_for_demand(&demand_id) {
        RequestorEvent::ProposalRejectedEvent {
            proposal_id,
            reason: told,
            ..
        } => {
            assert_eq!(proposal_id, asked.replacen("P-", "R-", 1));
            assert_eq!(told, reason);
        }
        other => panic!("{other:?}"),
    }
    scene.board.counter(&seen, offer(), scene.now).unwrap();
    scene.proposed_to_demand(&demand_id);
}

#[test]
fn an_offer_that_is_rejected_unanswered_tells_nobody() {
    let mut scene = Scene::new();
    let (offer_id, demand_id) = (scene.offer(), scene.demand());
    let initial = scene.proposed_to_demand(&demand_id);
    let seen = scene.for_requestor(&demand_id, &initial);
    scene.board.reject_proposal(&seen, None, scene.now).unwrap();
    let events = scene.board.collect_for_offer(scene.provider, &offer_id, 10);
    assert_eq!(events, Ok(vec![]));
}

#[test]
fn leaving_the_market_ends_its_negotiations() {
    let mut scene = Scene::new();
    let (demand_id, offer_id, draft) = scene.negotiate();
    let (requestor, provider) = (scene.requestor, scene.provider);
    scene
        .board
        .unsubscribe(Side::Provider, provider, &offer_id)
        .unwrap();
    assert!(
        scene
            .board
            .unsubscribe(Side::Provider, provider, &offer_id)
            .is_err()
    );
    let seen = scene.for_requestor(&demand_id, &draft);
    let countered = scene.board.counter(&seen, demand(), scene.now);
    assert_eq!(countered, Err(ProposalError::NotFound(draft.clone())));
    let valid_to = scene.now + TimeDelta::minutes(1);
    let created = scene
        .board
        .create_agreement(requestor, &draft, valid_to, scene.now);
    assert_eq!(created, Err(CreateAgreementError::NotFound(draft)));
}

#[test]
fn what_stands_too_long_is_taken_down() {
    let mut scene = Scene::new();
    let demand_id = scene.demand();
    let hour = scene.now + TimeDelta::hours(1);
    assert_eq!(scene.board.next_deadline(), Some(hour));
    scene.board.wake(hour - TimeDelta::nanoseconds(1));
    let requestor = scene.requestor;
    assert!(
        scene
            .board
            .collect_for_demand(requestor, &demand_id, 1)
            .is_ok()
    );
    scene.board.wake(hour);
    assert!(
        scene
            .board
            .collect_for_demand(requestor, &demand_id, 1)
            .is_err()
    );
    assert_eq!(scene.board.next_deadline(), None);
}

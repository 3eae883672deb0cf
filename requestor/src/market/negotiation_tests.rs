//! What is countered, turned down, and taken.

use serde_json::json;

use super::*;
use crate::{market::LeastExpensive, yagna::Properties};

fn proposal(id: &str, provider: &str, price: f64, answers: Option<&str>) -> Proposal {
    Proposal {
        id: id.into(),
        issuer: provider.into(),
        stage: if answers.is_some() {
            ProposalStage::Draft
        } else {
            ProposalStage::Initial
        },
        answers: answers.map(ProposalId::from),
        properties: Properties::from_json(json!({
            "golem.com.pricing.model": "linear",
            "golem.com.usage.vector": ["golem.usage.duration_sec"],
            "golem.com.pricing.model.linear.coeffs": [price, 0.0],
            ACCEPT_TIMEOUT: 120,
        })),
    }
}

fn negotiation() -> Negotiation {
    Negotiation::new(Arc::new(LeastExpensive::default().at_most(3600.into())))
}

/// Lets a provider offer something, and answer our counter-proposal.
fn draft(negotiation: &mut Negotiation, id: &str, provider: &str, price: f64) {
    let ours = format!("ours-{id}");
    let offer = proposal(&format!("offer-{id}"), provider, price, None);
    let reply = negotiation.on_event(MarketEvent::Proposal(offer));
    assert!(matches!(reply, Some(Reply::Counter { .. })), "{reply:?}");
    negotiation.on_countered(
        &format!("offer-{id}").as_str().into(),
        Some(ours.as_str().into()),
    );
    let draft = proposal(id, provider, price, Some(&ours));
    assert_eq!(negotiation.on_event(MarketEvent::Proposal(draft)), None);
}

fn take(negotiation: &mut Negotiation) -> Option<String> {
    negotiation
        .take_best()
        .map(|proposal| proposal.id.to_string())
}

#[test]
fn the_cheapest_is_taken_first() {
    let mut market = negotiation();
    draft(&mut market, "a", "p1", 0.3);
    draft(&mut market, "b", "p2", 0.1);
    draft(&mut market, "c", "p3", 0.2);
    assert!(market.is_settled());
    let taken: Vec<_> = std::iter::from_fn(|| take(&mut market)).collect();
    assert_eq!(taken, ["b", "c", "a"]);
    assert_eq!(
        market.outlook().to_string(),
        "3 offers matched the demand, 3 taken"
    );
}

#[test]
fn who_has_failed_is_taken_last() {
    let mut market = negotiation();
    market.on_failure("p1".into(), "agreement refused".into());
    draft(&mut market, "a", "p1", 0.1);
    draft(&mut market, "b", "p2", 0.9);
    assert_eq!(take(&mut market).as_deref(), Some("b"));
    assert_eq!(take(&mut market).as_deref(), Some("a"));
}

#[test]
fn an_offer_that_will_not_do_is_turned_down_and_remembered() {
    let mut market = negotiation();
    let offer = proposal("a", "p1", 2.0, None);
    let reply = market.on_event(MarketEvent::Proposal(offer));
    let reason = "it would cost 7200 GLM, more than 3600".to_string();
    assert_eq!(
        reply,
        Some(Reply::Reject {
            proposal: "a".into(),
            reason: reason.clone()
        })
    );

    let mut hasty = proposal("b", "p2", 0.1, None);
    hasty.properties.set(ACCEPT_TIMEOUT, 5);
    let reply = market.on_event(MarketEvent::Proposal(hasty));
    assert!(matches!(reply, Some(Reply::Reject { .. })), "{reply:?}");
    assert_eq!(
        market.outlook().to_string(),
        format!(
            "2 offers matched the demand; 1 × it wants debit notes accepted within 5 s; 1 × {reason}"
        )
    );
}

#[test]
fn what_the_budget_does_not_pay_up_to_the_first_debit_note_is_turned_down() {
    let mut market = negotiation();
    for (share, interval, is_taken) in [("12", 120, true), ("11.9", 120, false), ("1", 0, true)] {
        market.set_share(share.parse().unwrap());
        let mut offer = proposal("a", "p1", 0.1, None);
        offer.properties.set(NOTE_INTERVAL, interval);
        match market.on_event(MarketEvent::Proposal(offer)) {
            Some(Reply::Counter { .. }) => assert!(is_taken, "{share}"),
            Some(Reply::Reject { reason, .. }) => {
                assert!(!is_taken, "{share}: {reason}");
                let expected = "its first debit note would be over 12 GLM, and 11.9 GLM of the budget are left for each instance";
                assert_eq!(reason, expected);
            }
            None => panic!("{share}"),
        }
    }
}

#[test]
fn drafts_settle_when_every_counter_is_answered() {
    let mut market = negotiation();
    draft(&mut market, "a", "p1", 0.1);
    assert!(market.is_settled());
    market.on_event(MarketEvent::Proposal(proposal("offer-b", "p2", 0.1, None)));
    assert!(market.has_drafts() && !market.is_settled());
    market.on_countered(&"offer-b".into(), Some("ours-b".into()));
    assert!(!market.is_settled());
    market.on_event(MarketEvent::Rejected {
        proposal: "ours-b".into(),
        reason: None,
    });
    assert!(market.is_settled());
}

#[test]
fn an_answer_may_come_before_the_id_of_what_it_answers() {
    let mut market = negotiation();
    market.on_event(MarketEvent::Proposal(proposal("offer-a", "p1", 0.1, None)));
    market.on_event(MarketEvent::Proposal(proposal(
        "a",
        "p1",
        0.1,
        Some("ours-a"),
    )));
    assert!(!market.is_settled());
    market.on_countered(&"offer-a".into(), Some("ours-a".into()));
    assert!(market.is_settled());
}

#[test]
fn a_draft_that_is_withdrawn_is_not_taken() {
    let mut market = negotiation();
    draft(&mut market, "a", "p1", 0.1);
    market.on_event(MarketEvent::Rejected {
        proposal: "ours-a".into(),
        reason: None,
    });
    assert_eq!(take(&mut market), None);
}

//! Negotiation, decided purely: which proposals to counter, which to turn down, which to make an agreement of.
//!
//! ```text
//!  initial ──▶ countered ──▶ draft ──▶ taken
//!     │            │           │
//!     └────────────┴───────────┴─────▶ turned down, by us or by the provider
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::Strategy;
use crate::{
    id::{NodeId, ProposalId},
    yagna::{MarketEvent, Proposal, ProposalStage},
};

/// The least time, in seconds, that a provider must give us to accept a debit note.
const LEAST_ACCEPT_TIMEOUT: f64 = 30.0;

/// How long drafts are gathered before the best is taken, if counter-proposals are unanswered.
pub(super) const GATHERING: Duration = Duration::from_secs(1);

/// How long, in seconds, a requestor has to accept a debit note.
pub(super) const ACCEPT_TIMEOUT: &str = "golem.com.payment.debit-notes.accept-timeout?";

/// What is known of the offers for one demand.
pub(super) struct Negotiation {
    strategy: Arc<dyn Strategy>,
    /// Offers that are being countered.
    countering: BTreeSet<ProposalId>,
    /// Our counter-proposals that nobody has answered.
    unanswered: BTreeSet<ProposalId>,
    /// Our counter-proposals that were answered before we knew their ids.
    answered_early: BTreeSet<ProposalId>,
    drafts: BTreeMap<ProposalId, Draft>,
    /// How often each provider has let us down.
    failures: BTreeMap<NodeId, u32>,
    outlook: Outlook,
}

struct Draft {
    proposal: Proposal,
    score: f64,
}

/// What to do about an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// Counter this offer, and adopt its time for accepting debit notes.
    Counter {
        proposal: ProposalId,
        accept_timeout: Option<f64>,
    },
    /// Turn this proposal down.
    Reject {
        proposal: ProposalId,
        reason: String,
    },
}

/// What the market has to offer for a demand, for people to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// How many offers matched.
    pub offers: usize,
    /// How often one was taken, to be made an agreement of.
    pub taken: usize,
    /// How often an offer was turned down, or turned us down, for each reason.
    pub refusals: BTreeMap<String, usize>,
}

impl fmt::Display for Outlook {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self.offers {
            0 => return formatter.write_str("no offer matched the demand"),
            1 => formatter.write_str("1 offer matched the demand")?,
            offers => write!(formatter, "{offers} offers matched the demand")?,
        }
        if self.taken > 0 {
            write!(formatter, ", {} taken", self.taken)?;
        }
        let mut refusals = self.refusals.iter();
        refusals.try_for_each(|(reason, times)| write!(formatter, "; {times} × {reason}"))
    }
}

impl Negotiation {
    pub(super) fn new(strategy: Arc<dyn Strategy>) -> Self {
        Self {
            strategy,
            countering: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            answered_early: BTreeSet::new(),
            drafts: BTreeMap::new(),
            failures: BTreeMap::new(),
            outlook: Outlook::default(),
        }
    }

    /// Hears the market.
    pub(super) fn on_event(&mut self, event: MarketEvent) -> Option<Reply> {
        match event {
            MarketEvent::Proposal(proposal) => self.on_proposal(proposal),
            MarketEvent::Rejected { proposal, reason } => {
                self.on_answered(&proposal);
                self.drafts
                    .retain(|_, draft| draft.proposal.answers.as_ref() != Some(&proposal));
                self.refused(reason.unwrap_or_else(|| "rejected without a reason".into()));
                None
            }
        }
    }

    fn on_proposal(&mut self, proposal: Proposal) -> Option<Reply> {
        if let Some(ours) = &proposal.answers {
            self.on_answered(ours);
        }
        let accept_timeout = proposal.properties.number(ACCEPT_TIMEOUT);
        let score = match (self.strategy.score(&proposal), accept_timeout) {
            (Ok(_), Some(seconds)) if seconds < LEAST_ACCEPT_TIMEOUT => {
                Err(format!("it wants debit notes accepted within {seconds} s"))
            }
            (score, _) => score,
        };
        if proposal.stage == ProposalStage::Initial {
            self.outlook.offers += 1;
        }
        match (score, proposal.stage) {
            (Err(reason), _) => {
                self.refused(reason.clone());
                Some(Reply::Reject {
                    proposal: proposal.id,
                    reason,
                })
            }
            (Ok(_), ProposalStage::Initial) => {
                self.countering.insert(proposal.id.clone());
                Some(Reply::Counter {
                    proposal: proposal.id,
                    accept_timeout,
                })
            }
            (Ok(score), ProposalStage::Draft) => {
                self.drafts
                    .insert(proposal.id.clone(), Draft { proposal, score });
                None
            }
        }
    }

    /// An offer has been countered with a proposal of ours, or could not be.
    pub(super) fn on_countered(&mut self, offer: &ProposalId, ours: Option<ProposalId>) {
        self.countering.remove(offer);
        let unanswered = ours.filter(|ours| !self.answered_early.remove(ours));
        self.unanswered.extend(unanswered);
    }

    fn on_answered(&mut self, ours: &ProposalId) {
        if !self.unanswered.remove(ours) {
            self.answered_early.insert(ours.clone());
        }
    }

    /// Whether the best draft may be taken at once: nothing better is about to come.
    pub(super) fn is_settled(&self) -> bool {
        !self.drafts.is_empty() && self.unanswered.is_empty() && self.countering.is_empty()
    }

    /// Whether there is any draft to take.
    pub(super) fn has_drafts(&self) -> bool {
        !self.drafts.is_empty()
    }

    /// Takes the best draft: of a provider that has let us down least, and of those the highest score.
    pub(super) fn take_best(&mut self) -> Option<Proposal> {
        let best = self.drafts.iter().min_by(|(_, one), (_, other)| {
            let failures = |draft: &Draft| self.failures.get(&draft.proposal.issuer).copied();
            failures(one)
                .cmp(&failures(other))
                .then(other.score.total_cmp(&one.score))
        });
        let id = best?.0.clone();
        self.outlook.taken += 1;
        self.drafts.remove(&id).map(|draft| draft.proposal)
    }

    /// A provider has let us down.
    pub(super) fn on_failure(&mut self, provider: NodeId, reason: String) {
        *self.failures.entry(provider).or_default() += 1;
        self.refused(reason);
    }

    fn refused(&mut self, reason: String) {
        *self.outlook.refusals.entry(reason).or_default() += 1;
    }

    pub(super) fn outlook(&self) -> &Outlook {
        &self.outlook
    }
}

#[cfg(test)]
mod tests {
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
        Negotiation::new(Arc::new(LeastExpensive::default().at_most(3600.0)))
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
        let reason = "it would cost 7200.0000 GLM, more than 3600.0000".to_string();
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
}

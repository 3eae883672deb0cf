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

use super::{LinearPrice, Strategy};
use crate::{
    id::{NodeId, ProposalId},
    yagna::{Amount, MarketEvent, Proposal, ProposalStage},
};

/// The least time, in seconds, that a provider must give us to accept a debit note.
const LEAST_ACCEPT_TIMEOUT: f64 = 30.0;

/// How long drafts are gathered before the best is taken, if counter-proposals are unanswered.
pub(super) const GATHERING: Duration = Duration::from_secs(1);

/// How long, in seconds, a requestor has to accept a debit note.
pub(super) const ACCEPT_TIMEOUT: &str = "golem.com.payment.debit-notes.accept-timeout?";

/// Decimals of an amount that has more than anybody wants to read.
const SHOWN_DECIMALS: u32 = 9;

/// After how many seconds a provider wants its first debit note accepted.
const NOTE_INTERVAL: &str = "golem.com.scheme.payu.debit-note.interval-sec?";

/// What is known of the offers for one demand.
pub(super) struct Negotiation {
    strategy: Arc<dyn Strategy>,
    /// What there is for each agreement.
    share: Amount,
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
            share: Amount::MAX,
            countering: BTreeSet::new(),
            unanswered: BTreeSet::new(),
            answered_early: BTreeSet::new(),
            drafts: BTreeMap::new(),
            failures: BTreeMap::new(),
            outlook: Outlook::default(),
        }
    }

    /// There is as much as this for each agreement from now on.
    pub(super) fn set_share(&mut self, share: Amount) {
        self.share = share;
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
        let score = self.judge(&proposal);
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

    /// A proposal's score, or why it will not do.
    fn judge(&self, proposal: &Proposal) -> Result<f64, String> {
        let score = self.strategy.score(proposal)?;
        match proposal.properties.number(ACCEPT_TIMEOUT) {
            Some(seconds) if seconds < LEAST_ACCEPT_TIMEOUT => {
                return Err(format!("it wants debit notes accepted within {seconds} s"));
            }
            _ => {}
        }
        match first_claim(proposal) {
            Some(claim) if claim > self.share => Err(format!(
                "its first debit note would be over {claim} GLM, and {} GLM of the budget are left for each instance",
                self.share.round_dp(SHOWN_DECIMALS).normalize()
            )),
            _ => Ok(score),
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

/// The least that a provider will want at its first debit note: for the start, and for the time up to then. Unknown if
/// its price is not linear.
fn first_claim(proposal: &Proposal) -> Option<Amount> {
    let interval = proposal.properties.number(NOTE_INTERVAL).unwrap_or(0.0);
    let interval = Duration::try_from_secs_f64(interval).ok()?;
    LinearPrice::of(&proposal.properties)?.cost_of_time(interval, Duration::ZERO)
}

#[cfg(test)]
#[path = "negotiation_tests.rs"]
mod tests;

//! How an instance comes to an activity.

use std::sync::Arc;

use chrono::Utc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Instance, pause};
use crate::{
    activity::Activity,
    event::Event,
    market::{NotSigned, sign},
    retry::PAUSE,
    service::{HandlerError, Result},
    yagna::{Agreement, Proposal},
};

impl Instance {
    /// Finds a provider, agrees with it, and has it start an exe-unit.
    pub(super) async fn find(&mut self, stop: CancellationToken) -> Option<Result<()>> {
        stop.run_until_cancelled(sleep(pause(self.restarts)))
            .await?;
        let mut again = None;
        while self.agreement.is_none() {
            let proposal = match again.take() {
                Some(proposal) => proposal,
                None => match stop.run_until_cancelled(self.world.market.take()).await? {
                    Ok(proposal) => proposal,
                    Err(over) => return Some(Err(HandlerError::terminal(over))),
                },
            };
            // Not to be dropped on its way: an agreement that is half signed would be nobody's.
            match sign(&*self.world.yagna, &proposal, Utc::now()).await {
                Ok(agreement) => self.on_signed(agreement),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "yagna is left alone for a while");
                    stop.run_until_cancelled(sleep(PAUSE)).await?;
                    again = matches!(error, NotSigned::NotMade(_)).then_some(proposal);
                }
                Err(error) => self.on_not_signed(proposal, error),
            }
        }
        let agreement = self.agreement.clone()?;
        self.world.accountant.asked(agreement.id.clone());
        // Not to be dropped on its way either: an activity whose id is not known cannot be ended.
        Some(
            match Activity::create(self.world.yagna.clone(), agreement).await {
                Ok(activity) => {
                    self.on_created(activity);
                    self.join_network().await
                }
                Err(error) => Err(error.into()),
            },
        )
    }

    /// Has its address given to its provider.
    async fn join_network(&mut self) -> Result<()> {
        if let (Some(node), Some((activity, _))) = (&self.network_node, &mut self.activity) {
            node.join(&activity.agreement.provider).await?;
            activity.network_node = Some(node.clone());
        }
        Ok(())
    }

    fn on_signed(&mut self, agreement: Agreement) {
        let (id, provider) = (agreement.id.clone(), agreement.provider_name().to_owned());
        let agreement = Arc::new(agreement);
        self.world.accountant.signed(agreement.clone(), self.name());
        self.agreement = Some(agreement);
        self.world.events.send(Event::AgreementSigned {
            agreement: id,
            provider,
        });
    }

    fn on_not_signed(&self, proposal: Proposal, error: NotSigned) {
        let provider = proposal.provider_name().to_owned();
        let reason = HandlerError::from(error).chain();
        self.world.market.failed(proposal.issuer, reason.clone());
        self.world
            .events
            .send(Event::AgreementRefused { provider, reason });
    }

    fn on_created(&mut self, activity: Activity) {
        let (id, agreement) = (activity.id.clone(), activity.agreement.clone());
        let provider = agreement.provider_name().to_owned();
        self.world
            .accountant
            .began(agreement.id.clone(), id.clone());
        self.activity = Some((activity, Instant::now()));
        self.world.events.send(Event::ActivityCreated {
            activity: id,
            provider,
        });
    }
}

//! How an instance comes to an activity.

use std::{future, sync::Arc};

use tokio::time::{Instant, sleep};

use super::{Halt, Instance, Surroundings, pause};
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
    pub(super) async fn find(&mut self) -> Result<(), Halt> {
        let world = self.world.clone();
        world.unless_stopped(sleep(pause(self.restarts))).await?;
        let agreement = self.agree(&world).await?;
        // It may have been stopped while it signed.
        world.unless_stopped(future::ready(())).await?;
        world.accountant.asked(agreement.id.clone());
        // Not to be dropped on its way: an activity whose id is not known cannot be ended.
        let activity = Activity::create(world.yagna, agreement).await;
        self.on_created(activity.map_err(HandlerError::from)?);
        Ok(self.join_network().await?)
    }

    /// Signs an agreement with the best provider that signs it too.
    async fn agree(&mut self, world: &Surroundings) -> Result<Arc<Agreement>, Halt> {
        let mut again = None;
        loop {
            let proposal = match again.take() {
                Some(proposal) => proposal,
                None => {
                    let taken = world.unless_stopped(world.market.take()).await?;
                    taken.map_err(HandlerError::terminal)?
                }
            };
            // Not to be dropped on its way: an agreement that is half signed would be nobody's.
            match sign(&*world.yagna, &proposal, (world.clock)()).await {
                Ok(agreement) => return Ok(self.on_signed(agreement)),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "yagna is left alone for a while");
                    world.unless_stopped(sleep(PAUSE)).await?;
                    again = error.is_outage().then_some(proposal);
                }
                Err(error) => self.on_not_signed(proposal, error),
            }
        }
    }

    /// Has its address given to its provider.
    async fn join_network(&mut self) -> Result<()> {
        if let (Some(node), Some((activity, _))) = (&self.network_node, &mut self.activity) {
            node.join(&activity.agreement.provider).await?;
            activity.network_node = Some(node.clone());
        }
        Ok(())
    }

    fn on_signed(&mut self, agreement: Agreement) -> Arc<Agreement> {
        let (id, provider) = (agreement.id.clone(), agreement.provider_name().to_owned());
        let agreement = Arc::new(agreement);
        let overdraft = self.world.overdraft.clone();
        self.world
            .accountant
            .signed(agreement.clone(), self.name(), overdraft);
        self.agreement = Some(agreement.clone());
        self.world.events.send(Event::AgreementSigned {
            agreement: id,
            provider,
        });
        agreement
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

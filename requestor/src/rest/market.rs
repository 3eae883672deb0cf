//! The market: demands, proposals, agreements.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ya_client::model::market::{AgreementProposal, NewProposal};

use super::{Rest, convert};
use crate::{
    id::{AgreementId, DemandId, ProposalId},
    yagna::{Agreement, Approval, Demand, MarketEvent, Problem, Reason, Result},
};

/// Market events that one answer may hold.
const MAX_EVENTS: i32 = 20;

/// The market API.
pub(super) struct Market<'a>(pub(super) &'a Rest);

impl Market<'_> {
    pub(super) async fn publish_demand(&self, demand: &Demand) -> Result<DemandId> {
        let demand = convert::new_demand(demand);
        let published = self
            .0
            .call("publish a demand", async move |apis| {
                apis.market.subscribe(&demand).await
            })
            .await?;
        Ok(published.into())
    }

    pub(super) async fn withdraw_demand(&self, demand: &DemandId) -> Result<()> {
        let (call, id) = (format!("withdraw demand {demand}"), demand.to_string());
        self.0
            .call(call, async move |apis| apis.market.unsubscribe(&id).await)
            .await
    }

    pub(super) async fn events(
        &self,
        demand: &DemandId,
        timeout: Duration,
    ) -> Result<Vec<MarketEvent>> {
        let (call, id) = (
            format!("wait for offers for demand {demand}"),
            demand.to_string(),
        );
        let seconds = Some(timeout.as_secs_f32());
        let events = self
            .0
            .call(call, async move |apis| {
                apis.market.collect(&id, seconds, Some(MAX_EVENTS)).await
            })
            .await?;
        Ok(events
            .into_iter()
            .filter_map(convert::market_event)
            .collect())
    }

    pub(super) async fn counter_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        counter: &Demand,
    ) -> Result<ProposalId> {
        let (call, demand) = (format!("counter proposal {proposal}"), demand.to_string());
        let proposal = proposal.to_string();
        let counter: NewProposal = convert::new_demand(counter);
        let ours = self
            .0
            .call(call, async move |apis| {
                apis.market
                    .counter_proposal(&counter, &demand, &proposal)
                    .await
            })
            .await?;
        Ok(ours.into())
    }

    pub(super) async fn reject_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        reason: &Reason,
    ) -> Result<()> {
        let (call, demand) = (format!("reject proposal {proposal}"), demand.to_string());
        let (proposal, reason) = (proposal.to_string(), Some(convert::reason(reason)));
        self.0
            .call(call, async move |apis| {
                apis.market
                    .reject_proposal(&demand, &proposal, &reason)
                    .await
            })
            .await
    }

    pub(super) async fn create_agreement(
        &self,
        proposal: &ProposalId,
        valid_to: DateTime<Utc>,
    ) -> Result<AgreementId> {
        let call = format!("make an agreement of proposal {proposal}");
        let wire = AgreementProposal::new(proposal.to_string(), valid_to);
        let id = self
            .0
            .call(call, async move |apis| {
                apis.market.create_agreement(&wire).await
            })
            .await?;
        Ok(id.into())
    }

    pub(super) async fn agreement(&self, id: &AgreementId) -> Result<Agreement> {
        let (call, id) = (format!("get agreement {id}"), id.to_string());
        let agreement = self
            .0
            .call(call, async move |apis| apis.market.get_agreement(&id).await)
            .await?;
        Ok(convert::agreement(agreement))
    }

    pub(super) async fn confirm_agreement(&self, id: &AgreementId) -> Result<()> {
        let (call, id) = (format!("confirm agreement {id}"), id.to_string());
        self.0
            .call(call, async move |apis| {
                apis.market.confirm_agreement(&id, None).await
            })
            .await
    }

    pub(super) async fn await_approval(
        &self,
        id: &AgreementId,
        timeout: Duration,
    ) -> Result<Approval> {
        let (call, id) = (
            format!("wait for the approval of agreement {id}"),
            id.to_string(),
        );
        let seconds = Some(timeout.as_secs_f32());
        let answer = self
            .0
            .call(call, async move |apis| {
                apis.market.wait_for_approval(&id, seconds).await
            })
            .await;
        match answer.map_err(|error| (error.problem.clone(), error)) {
            Ok(()) => Ok(Approval::Approved),
            Err((
                Problem::Refused {
                    status: 410,
                    message,
                },
                _,
            )) => Ok(Approval::Refused(message)),
            Err((Problem::Timeout(_), _)) => Ok(Approval::Pending),
            Err((_, error)) => Err(error),
        }
    }

    pub(super) async fn cancel_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()> {
        let (call, id) = (format!("cancel agreement {id}"), id.to_string());
        let reason = Some(convert::reason(reason));
        self.0
            .call(call, async move |apis| {
                apis.market.cancel_agreement(&id, &reason).await
            })
            .await
    }

    pub(super) async fn terminate_agreement(
        &self,
        id: &AgreementId,
        reason: &Reason,
    ) -> Result<()> {
        let (call, id) = (format!("terminate agreement {id}"), id.to_string());
        let reason = Some(convert::reason(reason));
        self.0
            .call(call, async move |apis| {
                apis.market.terminate_agreement(&id, &reason).await
            })
            .await
    }
}

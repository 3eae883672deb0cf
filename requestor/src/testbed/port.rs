//! The port of the testbed.

use std::{net::Ipv4Addr, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::{
    io::DuplexStream,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Contract, ExeUnit, Testbed, World, events,
    exe_unit::{outcomes, programs},
};
use crate::{
    id::{
        ActivityId, AgreementId, AllocationId, BatchId, DebitNoteId, DemandId, InvoiceId,
        NetworkId, NodeId, ProposalId,
    },
    transfer::{Incoming, Outgoing},
    yagna::{
        Acceptance, ActivityState, ActivityStatus, Agreement, Allocation, Approval, CommandResult,
        DebitNote, Decoration, Demand, FileService, Invoice, MarketEvent, NetworkTerms,
        NewAllocation, PaymentEvent, Problem, Reason, Result, Yagna,
    },
};

#[async_trait]
impl Yagna for Testbed {
    async fn identity(&self) -> Result<NodeId> {
        Ok("0xme".into())
    }

    async fn create_allocation(&self, new: NewAllocation) -> Result<Allocation> {
        let effect = |world: &mut World| {
            let id: AllocationId = world.id("allocation");
            world.take(&id);
            Ok(Allocation {
                id,
                platform: "erc20".into(),
                amount: new.amount,
            })
        };
        self.call("create_allocation", "", effect).await
    }

    async fn release_allocation(&self, id: &AllocationId) -> Result<()> {
        let effect = |world: &mut World| world.give_back(id);
        self.call("release_allocation", id.as_str(), effect).await
    }

    async fn decoration(&self, _: &AllocationId) -> Result<Decoration> {
        Ok(Decoration::default())
    }

    async fn debit_note_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<DebitNoteId>>> {
        let look = |world: &mut World| some(events(world.notes.len(), after));
        Ok(self.wait(timeout, look).await.unwrap_or_default())
    }

    async fn debit_note(&self, id: &DebitNoteId) -> Result<DebitNote> {
        Ok(self.world().notes[place(id.as_str())].clone())
    }

    async fn accept_debit_note(&self, id: &DebitNoteId, _: &Acceptance) -> Result<()> {
        self.call("accept_debit_note", id.as_str(), |_| Ok(()))
            .await
    }

    async fn invoice_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<InvoiceId>>> {
        let look = |world: &mut World| some(events(world.invoices.len(), after));
        Ok(self.wait(timeout, look).await.unwrap_or_default())
    }

    async fn invoice(&self, id: &InvoiceId) -> Result<Invoice> {
        Ok(self.world().invoices[place(id.as_str())].clone())
    }

    async fn accept_invoice(&self, id: &InvoiceId, _: &Acceptance) -> Result<()> {
        self.call("accept_invoice", id.as_str(), |_| Ok(())).await
    }

    async fn publish_demand(&self, demand: &Demand) -> Result<DemandId> {
        let effect = |world: &mut World| {
            world.demands.push(demand.clone());
            let id: DemandId = world.id("demand");
            world.take(&id);
            for provider in world.providers.keys().cloned().collect::<Vec<_>>() {
                world.propose(&provider, None);
            }
            Ok(id)
        };
        self.call("publish_demand", "", effect).await
    }

    async fn withdraw_demand(&self, id: &DemandId) -> Result<()> {
        let effect = |world: &mut World| world.give_back(id);
        self.call("withdraw_demand", id.as_str(), effect).await
    }

    async fn market_events(&self, _: &DemandId, timeout: Duration) -> Result<Vec<MarketEvent>> {
        let look = |world: &mut World| some(world.market.drain(..).collect());
        Ok(self.wait(timeout, look).await.unwrap_or_default())
    }

    async fn counter_proposal(
        &self,
        _: &DemandId,
        proposal: &ProposalId,
        _: &Demand,
    ) -> Result<ProposalId> {
        let effect = |world: &mut World| {
            let ours: ProposalId = world.id("ours");
            world.propose(&issuer(proposal), Some(ours.as_str()));
            Ok(ours)
        };
        self.call("counter_proposal", proposal.as_str(), effect)
            .await
    }

    async fn reject_proposal(
        &self,
        _: &DemandId,
        proposal: &ProposalId,
        reason: &Reason,
    ) -> Result<()> {
        let what = format!("{proposal}: {}", reason.message);
        self.call("reject_proposal", &what, |_| Ok(())).await
    }

    async fn create_agreement(
        &self,
        proposal: &ProposalId,
        _: DateTime<Utc>,
    ) -> Result<AgreementId> {
        let effect = |world: &mut World| {
            let id: AgreementId = world.id("agreement");
            world.take(&id);
            let contract = Contract {
                provider: issuer(proposal),
                answer: None,
                had_activities: false,
            };
            world.agreements.insert(id.clone(), contract);
            Ok(id)
        };
        self.call("create_agreement", proposal.as_str(), effect)
            .await
    }

    async fn agreement(&self, id: &AgreementId) -> Result<Agreement> {
        let effect = |world: &mut World| {
            let provider = world.agreements[id].provider.as_str();
            Ok(Agreement {
                id: id.clone(),
                provider: provider.into(),
                offer: world.providers[provider].offer.clone(),
            })
        };
        self.call("agreement", id.as_str(), effect).await
    }

    async fn confirm_agreement(&self, id: &AgreementId) -> Result<()> {
        let effect = |world: &mut World| {
            let contract = world.agreements.get_mut(id).expect("an agreement");
            if contract.answer.is_some() {
                return Err(conflict("it is confirmed already"));
            }
            contract.answer = Some(world.providers[&contract.provider].answer.clone());
            Ok(())
        };
        self.call("confirm_agreement", id.as_str(), effect).await
    }

    async fn await_approval(&self, id: &AgreementId, _: Duration) -> Result<Approval> {
        let effect = |world: &mut World| {
            let answer = world.agreements[id].answer.clone();
            if let Some(Approval::Refused(_)) = &answer {
                world.give_back(id)?;
            }
            answer.ok_or_else(|| conflict("it is not confirmed"))
        };
        self.call("await_approval", id.as_str(), effect).await
    }

    async fn cancel_agreement(&self, id: &AgreementId, _: &Reason) -> Result<()> {
        let effect = |world: &mut World| match world.agreements[id].answer {
            Some(Approval::Approved) => Err(conflict("it is approved")),
            _ => world.give_back(id),
        };
        self.call("cancel_agreement", id.as_str(), effect).await
    }

    async fn terminate_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()> {
        let effect = |world: &mut World| match world.agreements[id].answer {
            Some(Approval::Approved) => {
                world.give_back(id)?;
                if let Some(invoice) = world.end(id) {
                    self.invoice_later(invoice);
                }
                Ok(())
            }
            _ => Err(conflict("it is not approved")),
        };
        let what = format!("{id}: {}", reason.message);
        self.call("terminate_agreement", &what, effect).await
    }

    async fn create_activity(&self, agreement: &AgreementId) -> Result<ActivityId> {
        let effect = |world: &mut World| {
            let id: ActivityId = world.id("activity");
            world.take(&id);
            let contract = world.agreements.get_mut(agreement).expect("an agreement");
            contract.had_activities = true;
            let exe_unit = ExeUnit {
                agreement: agreement.clone(),
                batches: Default::default(),
            };
            world.activities.insert(id.clone(), exe_unit);
            Ok(id)
        };
        self.call("create_activity", agreement.as_str(), effect)
            .await
    }

    async fn destroy_activity(&self, id: &ActivityId) -> Result<()> {
        let effect = |world: &mut World| world.give_back(id);
        self.call("destroy_activity", id.as_str(), effect).await
    }

    async fn exec(&self, activity: &ActivityId, script: String) -> Result<BatchId> {
        let effect = |world: &mut World| {
            let batch: BatchId = world.id("batch");
            let exe_unit = world.activities.get_mut(activity).expect("an activity");
            let now = Instant::now();
            let mut running = exe_unit.batches.values().flatten();
            if running.any(|(end, _)| *end > now) {
                return Err(Problem::Refused {
                    status: 500,
                    message: "Busy: another command is running".into(),
                });
            }
            exe_unit.batches.insert(batch.clone(), outcomes(&script));
            Ok(batch)
        };
        self.call("exec", &programs(&script), effect).await
    }

    async fn command_result(
        &self,
        activity: &ActivityId,
        batch: &BatchId,
        index: usize,
        timeout: Duration,
    ) -> Result<Option<CommandResult>> {
        let outcome = self.world().activities[activity].batches[batch]
            .get(index)
            .cloned();
        let until = Instant::now() + timeout;
        let Some((end, status)) = outcome.filter(|(end, _)| *end <= until) else {
            sleep_until(until).await;
            return Ok(None);
        };
        sleep_until(end).await;
        Ok(Some(CommandResult {
            status,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }))
    }

    async fn activity_status(&self, activity: &ActivityId) -> Result<ActivityStatus> {
        let state = match self.world().held.contains(activity.as_str()) {
            true => ActivityState::Ready,
            false => ActivityState::Terminated,
        };
        Ok(ActivityStatus {
            state,
            reason: None,
        })
    }

    async fn activity_usage(&self, _: &ActivityId) -> Result<Vec<f64>> {
        Ok(vec![1.0])
    }

    async fn publish_file(&self, _: Outgoing) -> Result<FileService> {
        Ok(file_service())
    }

    async fn receive_file(&self, _: Incoming) -> Result<FileService> {
        Ok(file_service())
    }

    async fn create_network(&self, _: &str) -> Result<NetworkTerms> {
        let effect = |world: &mut World| {
            let id: NetworkId = world.id("network");
            world.take(&id);
            Ok(NetworkTerms {
                id,
                base: Ipv4Addr::new(10, 0, 0, 0),
                mask: Ipv4Addr::new(255, 255, 255, 0),
                gateway: Ipv4Addr::new(10, 0, 0, 0),
            })
        };
        self.call("create_network", "", effect).await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<()> {
        let effect = |world: &mut World| world.give_back(id);
        self.call("remove_network", id.as_str(), effect).await
    }

    async fn add_network_address(&self, _: &NetworkId, _: Ipv4Addr) -> Result<()> {
        Ok(())
    }

    async fn add_network_node(&self, _: &NetworkId, _: &NodeId, _: Ipv4Addr) -> Result<()> {
        Ok(())
    }

    async fn remove_network_node(&self, _: &NetworkId, _: &NodeId) -> Result<()> {
        Ok(())
    }

    async fn connect_in_network(&self, _: &NetworkId, _: Ipv4Addr, _: u16) -> Result<DuplexStream> {
        Ok(tokio::io::duplex(1).0)
    }
}

/// Events, if there are any.
fn some<T>(events: Vec<T>) -> Option<Vec<T>> {
    Some(events).filter(|events| !events.is_empty())
}

/// A document's place among the others.
fn place(id: &str) -> usize {
    id.parse().expect("the id of an event")
}

/// The provider of a proposal, which its id begins with.
fn issuer(proposal: &ProposalId) -> String {
    let (issuer, _) = proposal.as_str().split_once('/').expect("a proposal");
    issuer.into()
}

fn conflict(message: &str) -> Problem {
    Problem::Refused {
        status: 409,
        message: message.into(),
    }
}

fn file_service() -> FileService {
    FileService::new(
        "gftp://0xme/00".into(),
        CancellationToken::new().drop_guard(),
    )
}

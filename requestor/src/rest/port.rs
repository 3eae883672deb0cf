//! The port, over ya-client.

use std::{net::Ipv4Addr, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::io::DuplexStream;
use ya_client::model::{
    activity::ExeScriptRequest,
    market::{AgreementProposal, NewProposal},
    payment,
};

use super::{
    Rest,
    convert::{self, Malformed},
};
use crate::{
    id::{
        ActivityId, AgreementId, AllocationId, BatchId, DebitNoteId, DemandId, InvoiceId,
        NetworkId, NodeId, ProposalId,
    },
    transfer::{Incoming, Outgoing},
    yagna::{
        Acceptance, ActivityStatus, Agreement, Allocation, Approval, CommandResult, DebitNote,
        Decoration, Demand, FileService, Invoice, MarketEvent, NetworkTerms, NewAllocation,
        PaymentEvent, Problem, Reason, Result, Yagna, YagnaError,
    },
};

/// Market events that one answer may hold.
const MAX_EVENTS: i32 = 20;

#[async_trait]
impl Yagna for Rest {
    async fn identity(&self) -> Result<NodeId> {
        let me = self
            .call("ask yagna who we are", async |apis| {
                apis.identity.me().await
            })
            .await?;
        Ok(me.identity.to_string().into())
    }

    async fn create_allocation(&self, allocation: NewAllocation) -> Result<Allocation> {
        let NewAllocation {
            amount,
            driver,
            network,
            timeout,
        } = allocation;
        let call = format!("set {amount} GLM aside");
        let platform = payment::allocation::PaymentPlatform {
            driver,
            network,
            token: None,
        };
        let wire = payment::NewAllocation {
            address: None,
            payment_platform: Some(payment::allocation::PaymentPlatformEnum::PaymentPlatform(
                platform,
            )),
            total_amount: convert::wire_amount(amount),
            timeout: Some(timeout),
            deposit: None,
            make_deposit: false,
        };
        let created = self
            .call(&call, async move |apis| {
                apis.payment.create_allocation(&wire).await
            })
            .await?;
        let total = convert::amount(&created.total_amount).map_err(malformed(&call))?;
        Ok(Allocation {
            id: created.allocation_id.into(),
            platform: created.payment_platform,
            amount: total,
        })
    }

    async fn release_allocation(&self, allocation: &AllocationId) -> Result<()> {
        let id = allocation.to_string();
        self.call(format!("release allocation {id}"), async move |apis| {
            apis.payment.release_allocation(&id).await
        })
        .await
    }

    async fn decoration(&self, allocation: &AllocationId) -> Result<Decoration> {
        let id = allocation.to_string();
        let call = format!("ask how allocation {id} is spent");
        let decoration = self
            .call(call, async move |apis| {
                apis.payment.get_demand_decorations(vec![id]).await
            })
            .await?;
        Ok(convert::decoration(decoration))
    }

    async fn debit_note_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<DebitNoteId>>> {
        let events = self
            .call("wait for debit notes", async move |apis| {
                apis.payment
                    .get_debit_note_events(Some(&after), Some(timeout), None, None)
                    .await
            })
            .await?;
        Ok(events.into_iter().map(convert::debit_note_event).collect())
    }

    async fn debit_note(&self, id: &DebitNoteId) -> Result<DebitNote> {
        let (call, id) = (format!("get debit note {id}"), id.to_string());
        let note = self
            .call(&call, async move |apis| {
                apis.payment.get_debit_note(&id).await
            })
            .await?;
        convert::debit_note(note).map_err(malformed(&call))
    }

    async fn accept_debit_note(&self, id: &DebitNoteId, acceptance: &Acceptance) -> Result<()> {
        let (call, id) = (format!("accept debit note {id}"), id.to_string());
        let acceptance = convert::acceptance(acceptance);
        self.call(call, async move |apis| {
            apis.payment.accept_debit_note(&id, &acceptance).await
        })
        .await
    }

    async fn invoice_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<InvoiceId>>> {
        let events = self
            .call("wait for invoices", async move |apis| {
                apis.payment
                    .get_invoice_events(Some(&after), Some(timeout), None, None)
                    .await
            })
            .await?;
        Ok(events.into_iter().map(convert::invoice_event).collect())
    }

    async fn invoice(&self, id: &InvoiceId) -> Result<Invoice> {
        let (call, id) = (format!("get invoice {id}"), id.to_string());
        let invoice = self
            .call(&call, async move |apis| apis.payment.get_invoice(&id).await)
            .await?;
        convert::invoice(invoice).map_err(malformed(&call))
    }

    async fn accept_invoice(&self, id: &InvoiceId, acceptance: &Acceptance) -> Result<()> {
        let (call, id) = (format!("accept invoice {id}"), id.to_string());
        let acceptance = convert::acceptance(acceptance);
        self.call(call, async move |apis| {
            apis.payment.accept_invoice(&id, &acceptance).await
        })
        .await
    }

    async fn publish_demand(&self, demand: &Demand) -> Result<DemandId> {
        let demand = convert::new_demand(demand);
        let published = self
            .call("publish a demand", async move |apis| {
                apis.market.subscribe(&demand).await
            })
            .await?;
        Ok(published.into())
    }

    async fn withdraw_demand(&self, demand: &DemandId) -> Result<()> {
        let (call, id) = (format!("withdraw demand {demand}"), demand.to_string());
        self.call(call, async move |apis| apis.market.unsubscribe(&id).await)
            .await
    }

    async fn market_events(
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
            .call(call, async move |apis| {
                apis.market.collect(&id, seconds, Some(MAX_EVENTS)).await
            })
            .await?;
        Ok(events
            .into_iter()
            .filter_map(convert::market_event)
            .collect())
    }

    async fn counter_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        counter: &Demand,
    ) -> Result<ProposalId> {
        let (call, demand) = (format!("counter proposal {proposal}"), demand.to_string());
        let proposal = proposal.to_string();
        let counter: NewProposal = convert::new_demand(counter);
        let ours = self
            .call(call, async move |apis| {
                apis.market
                    .counter_proposal(&counter, &demand, &proposal)
                    .await
            })
            .await?;
        Ok(ours.into())
    }

    async fn reject_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        reason: &Reason,
    ) -> Result<()> {
        let (call, demand) = (format!("reject proposal {proposal}"), demand.to_string());
        let (proposal, reason) = (proposal.to_string(), Some(convert::reason(reason)));
        self.call(call, async move |apis| {
            apis.market
                .reject_proposal(&demand, &proposal, &reason)
                .await
        })
        .await
    }

    async fn create_agreement(
        &self,
        proposal: &ProposalId,
        valid_to: DateTime<Utc>,
    ) -> Result<AgreementId> {
        let call = format!("make an agreement of proposal {proposal}");
        let wire = AgreementProposal::new(proposal.to_string(), valid_to);
        let id = self
            .call(call, async move |apis| {
                apis.market.create_agreement(&wire).await
            })
            .await?;
        Ok(id.into())
    }

    async fn agreement(&self, id: &AgreementId) -> Result<Agreement> {
        let (call, id) = (format!("get agreement {id}"), id.to_string());
        let agreement = self
            .call(call, async move |apis| apis.market.get_agreement(&id).await)
            .await?;
        Ok(convert::agreement(agreement))
    }

    async fn confirm_agreement(&self, id: &AgreementId) -> Result<()> {
        let (call, id) = (format!("confirm agreement {id}"), id.to_string());
        self.call(call, async move |apis| {
            apis.market.confirm_agreement(&id, None).await
        })
        .await
    }

    async fn await_approval(&self, id: &AgreementId, timeout: Duration) -> Result<Approval> {
        let (call, id) = (
            format!("wait for the approval of agreement {id}"),
            id.to_string(),
        );
        let seconds = Some(timeout.as_secs_f32());
        let answer = self
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

    async fn cancel_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()> {
        let (call, id) = (format!("cancel agreement {id}"), id.to_string());
        let reason = Some(convert::reason(reason));
        self.call(call, async move |apis| {
            apis.market.cancel_agreement(&id, &reason).await
        })
        .await
    }

    async fn terminate_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()> {
        let (call, id) = (format!("terminate agreement {id}"), id.to_string());
        let reason = Some(convert::reason(reason));
        self.call(call, async move |apis| {
            apis.market.terminate_agreement(&id, &reason).await
        })
        .await
    }

    async fn create_activity(&self, agreement: &AgreementId) -> Result<ActivityId> {
        let call = format!("create an activity under agreement {agreement}");
        let agreement = agreement.to_string();
        let id = self
            .call(call, async move |apis| {
                apis.activity.control().create_activity(&agreement).await
            })
            .await?;
        Ok(id.into())
    }

    async fn destroy_activity(&self, activity: &ActivityId) -> Result<()> {
        let (call, id) = (format!("destroy activity {activity}"), activity.to_string());
        self.call(call, async move |apis| {
            apis.activity.control().destroy_activity(&id).await
        })
        .await
    }

    async fn exec(&self, activity: &ActivityId, script: String) -> Result<BatchId> {
        let (call, id) = (
            format!("run a script in activity {activity}"),
            activity.to_string(),
        );
        let request = ExeScriptRequest::new(script);
        let batch = self
            .call(call, async move |apis| {
                apis.activity.control().exec(request, &id).await
            })
            .await?;
        Ok(batch.into())
    }

    async fn command_result(
        &self,
        activity: &ActivityId,
        batch: &BatchId,
        index: usize,
        timeout: Duration,
    ) -> Result<Option<CommandResult>> {
        let call = format!("wait for command {index} of batch {batch} in activity {activity}");
        let (activity, batch) = (activity.to_string(), batch.to_string());
        let seconds = Some(timeout.as_secs_f32());
        // A timeout is an empty list here; the list is of all commands up to the one that is asked for.
        let results = self
            .call(call, async move |apis| {
                let control = apis.activity.control();
                control
                    .get_exec_batch_results(&activity, &batch, seconds, Some(index))
                    .await
            })
            .await?;
        let result = results
            .into_iter()
            .find(|result| result.index as usize == index);
        Ok(result.map(convert::command_result))
    }

    async fn activity_status(&self, activity: &ActivityId) -> Result<ActivityStatus> {
        let (call, id) = (
            format!("ask how activity {activity} does"),
            activity.to_string(),
        );
        let status = self
            .call(call, async move |apis| {
                apis.activity.state().get_state(&id).await
            })
            .await?;
        Ok(ActivityStatus {
            state: convert::activity_state(status.state.0),
            reason: status.error_message.or(status.reason),
        })
    }

    async fn activity_usage(&self, activity: &ActivityId) -> Result<Vec<f64>> {
        let (call, id) = (
            format!("ask what activity {activity} uses"),
            activity.to_string(),
        );
        let usage = self
            .call(call, async move |apis| {
                apis.activity.state().get_usage(&id).await
            })
            .await?;
        Ok(usage.current_usage.unwrap_or_default())
    }

    async fn publish_file(&self, file: Outgoing) -> Result<FileService> {
        self.bus.publish(&self.identity().await?, file).await
    }

    async fn receive_file(&self, file: Incoming) -> Result<FileService> {
        self.bus.receive(&self.identity().await?, file).await
    }

    async fn create_network(&self, range: &str) -> Result<NetworkTerms> {
        self.net.create(range).await
    }

    async fn remove_network(&self, network: &NetworkId) -> Result<()> {
        self.net.remove(network).await
    }

    async fn add_network_address(&self, network: &NetworkId, address: Ipv4Addr) -> Result<()> {
        self.net.add_address(network, address).await
    }

    async fn add_network_node(
        &self,
        network: &NetworkId,
        node: &NodeId,
        address: Ipv4Addr,
    ) -> Result<()> {
        self.net.add_node(network, node, address).await
    }

    async fn remove_network_node(&self, network: &NetworkId, node: &NodeId) -> Result<()> {
        self.net.remove_node(network, node).await
    }

    async fn connect_in_network(
        &self,
        network: &NetworkId,
        address: Ipv4Addr,
        port: u16,
    ) -> Result<DuplexStream> {
        self.net.connect(network, address, port).await
    }

    async fn close(&self) {
        let last = self.closing.lock().expect("no panic while locked").take();
        if let Some(last) = last {
            last.await;
        }
    }
}

fn malformed(call: &str) -> impl FnOnce(Malformed) -> YagnaError {
    move |reason| YagnaError {
        call: call.into(),
        problem: Problem::Malformed(reason),
    }
}

//! The port: each call goes to the API that it belongs to.

use std::{net::Ipv4Addr, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::io::DuplexStream;

use super::{Rest, activity::Activities, market::Market, payment::Payment};
use crate::{
    id::{
        ActivityId, AgreementId, AllocationId, BatchId, DebitNoteId, DemandId, InvoiceId,
        NetworkId, NodeId, ProposalId,
    },
    transfer::{Incoming, Outgoing},
    yagna::{
        Acceptance, ActivityStatus, Agreement, Allocation, Approval, CommandResult, DebitNote,
        Decoration, Demand, FileService, Invoice, MarketEvent, NetworkTerms, NewAllocation,
        PaymentEvent, Reason, Result, Yagna,
    },
};

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
        Payment(self).create_allocation(allocation).await
    }

    async fn release_allocation(&self, allocation: &AllocationId) -> Result<()> {
        Payment(self).release_allocation(allocation).await
    }

    async fn decoration(&self, allocation: &AllocationId) -> Result<Decoration> {
        Payment(self).decoration(allocation).await
    }

    async fn debit_note_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<DebitNoteId>>> {
        Payment(self).debit_note_events(after, timeout).await
    }

    async fn debit_note(&self, id: &DebitNoteId) -> Result<DebitNote> {
        Payment(self).debit_note(id).await
    }

    async fn accept_debit_note(&self, id: &DebitNoteId, acceptance: &Acceptance) -> Result<()> {
        Payment(self).accept_debit_note(id, acceptance).await
    }

    async fn invoice_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<InvoiceId>>> {
        Payment(self).invoice_events(after, timeout).await
    }

    async fn invoice(&self, id: &InvoiceId) -> Result<Invoice> {
        Payment(self).invoice(id).await
    }

    async fn accept_invoice(&self, id: &InvoiceId, acceptance: &Acceptance) -> Result<()> {
        Payment(self).accept_invoice(id, acceptance).await
    }

    async fn publish_demand(&self, demand: &Demand) -> Result<DemandId> {
        Market(self).publish_demand(demand).await
    }

    async fn withdraw_demand(&self, demand: &DemandId) -> Result<()> {
        Market(self).withdraw_demand(demand).await
    }

    async fn market_events(
        &self,
        demand: &DemandId,
        timeout: Duration,
    ) -> Result<Vec<MarketEvent>> {
        Market(self).events(demand, timeout).await
    }

    async fn counter_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        counter: &Demand,
    ) -> Result<ProposalId> {
        Market(self)
            .counter_proposal(demand, proposal, counter)
            .await
    }

    async fn reject_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        reason: &Reason,
    ) -> Result<()> {
        Market(self).reject_proposal(demand, proposal, reason).await
    }

    async fn create_agreement(
        &self,
        proposal: &ProposalId,
        valid_to: DateTime<Utc>,
    ) -> Result<AgreementId> {
        Market(self).create_agreement(proposal, valid_to).await
    }

    async fn agreement(&self, id: &AgreementId) -> Result<Agreement> {
        Market(self).agreement(id).await
    }

    async fn confirm_agreement(&self, id: &AgreementId) -> Result<()> {
        Market(self).confirm_agreement(id).await
    }

    async fn await_approval(&self, id: &AgreementId, timeout: Duration) -> Result<Approval> {
        Market(self).await_approval(id, timeout).await
    }

    async fn cancel_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()> {
        Market(self).cancel_agreement(id, reason).await
    }

    async fn terminate_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()> {
        Market(self).terminate_agreement(id, reason).await
    }

    async fn create_activity(&self, agreement: &AgreementId) -> Result<ActivityId> {
        Activities(self).create(agreement).await
    }

    async fn destroy_activity(&self, activity: &ActivityId) -> Result<()> {
        Activities(self).destroy(activity).await
    }

    async fn exec(&self, activity: &ActivityId, script: String) -> Result<BatchId> {
        Activities(self).exec(activity, script).await
    }

    async fn command_result(
        &self,
        activity: &ActivityId,
        batch: &BatchId,
        index: usize,
        timeout: Duration,
    ) -> Result<Option<CommandResult>> {
        Activities(self)
            .command_result(activity, batch, index, timeout)
            .await
    }

    async fn activity_status(&self, activity: &ActivityId) -> Result<ActivityStatus> {
        Activities(self).status(activity).await
    }

    async fn activity_usage(&self, activity: &ActivityId) -> Result<Vec<f64>> {
        Activities(self).usage(activity).await
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

//! The port: all that the engine needs of a yagna daemon.
//!
//! The engine knows the network only through [`Yagna`]; the types here are its own, and what travels
//! on a wire stays on the other side. [`rest::Rest`](crate::rest::Rest) speaks to a daemon over HTTP.

mod activity;
mod error;
mod market;
mod network;
mod payment;

use std::{net::Ipv4Addr, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::io::DuplexStream;

pub use activity::{ActivityState, ActivityStatus, CommandResult, CommandStatus};
pub use error::{Problem, YagnaError};
pub use market::{
    Agreement, Approval, Demand, MarketEvent, Properties, Proposal, ProposalStage, Reason,
};
pub use network::NetworkTerms;
pub use payment::{
    Acceptance, Allocation, Amount, DebitNote, Decoration, Invoice, NewAllocation, PaymentEvent,
};

use crate::{
    id::{
        ActivityId, AgreementId, AllocationId, BatchId, DebitNoteId, DemandId, InvoiceId,
        NetworkId, NodeId, ProposalId,
    },
    transfer::{Incoming, Outgoing},
};

/// What a call to yagna gives.
pub type Result<T, E = YagnaError> = std::result::Result<T, E>;

/// A yagna daemon, or what stands in its place.
///
/// A call that waits takes the time that it may wait for, and returns with nothing when that has passed.
#[async_trait]
pub trait Yagna: Send + Sync + 'static {
    /// Who the requestor is on the network.
    async fn identity(&self) -> Result<NodeId>;

    /// Sets money aside.
    async fn create_allocation(&self, allocation: NewAllocation) -> Result<Allocation>;
    /// Gives back what is left of an allocation.
    async fn release_allocation(&self, allocation: &AllocationId) -> Result<()>;
    /// What a demand must say so that providers know how they are paid.
    async fn decoration(&self, allocation: &AllocationId) -> Result<Decoration>;
    /// Waits for debit notes that came after a moment.
    async fn debit_note_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<DebitNoteId>>>;
    /// A debit note.
    async fn debit_note(&self, id: &DebitNoteId) -> Result<DebitNote>;
    /// Agrees to pay a debit note.
    async fn accept_debit_note(&self, id: &DebitNoteId, acceptance: &Acceptance) -> Result<()>;
    /// Waits for invoices that came after a moment.
    async fn invoice_events(
        &self,
        after: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<Vec<PaymentEvent<InvoiceId>>>;
    /// An invoice.
    async fn invoice(&self, id: &InvoiceId) -> Result<Invoice>;
    /// Agrees to pay an invoice.
    async fn accept_invoice(&self, id: &InvoiceId, acceptance: &Acceptance) -> Result<()>;

    /// Publishes a demand on the market.
    async fn publish_demand(&self, demand: &Demand) -> Result<DemandId>;
    /// Takes a demand off the market.
    async fn withdraw_demand(&self, demand: &DemandId) -> Result<()>;
    /// Waits for what the market has to say of a demand. [`Problem::NotFound`] once it has expired.
    async fn market_events(&self, demand: &DemandId, timeout: Duration)
    -> Result<Vec<MarketEvent>>;
    /// Answers a proposal with another.
    async fn counter_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        counter: &Demand,
    ) -> Result<ProposalId>;
    /// Turns a proposal down.
    async fn reject_proposal(
        &self,
        demand: &DemandId,
        proposal: &ProposalId,
        reason: &Reason,
    ) -> Result<()>;
    /// Makes an agreement of a proposal, for the provider to approve until a moment.
    async fn create_agreement(
        &self,
        proposal: &ProposalId,
        valid_to: DateTime<Utc>,
    ) -> Result<AgreementId>;
    /// An agreement.
    async fn agreement(&self, id: &AgreementId) -> Result<Agreement>;
    /// Signs an agreement and sends it to the provider.
    async fn confirm_agreement(&self, id: &AgreementId) -> Result<()>;
    /// Waits for the provider's word.
    async fn await_approval(&self, id: &AgreementId, timeout: Duration) -> Result<Approval>;
    /// Takes an agreement back that the provider has not approved.
    async fn cancel_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()>;
    /// Ends an agreement.
    async fn terminate_agreement(&self, id: &AgreementId, reason: &Reason) -> Result<()>;

    /// Has the provider of an agreement start an exe-unit.
    async fn create_activity(&self, agreement: &AgreementId) -> Result<ActivityId>;
    /// Has the provider end an exe-unit.
    async fn destroy_activity(&self, activity: &ActivityId) -> Result<()>;
    /// Sends a script: a JSON list of commands.
    async fn exec(&self, activity: &ActivityId, script: String) -> Result<BatchId>;
    /// Waits for the result of one command of a batch.
    async fn command_result(
        &self,
        activity: &ActivityId,
        batch: &BatchId,
        index: usize,
        timeout: Duration,
    ) -> Result<Option<CommandResult>>;
    /// How an activity does.
    async fn activity_status(&self, activity: &ActivityId) -> Result<ActivityStatus>;
    /// What an activity has used so far, in the order of its agreement's usage vector.
    async fn activity_usage(&self, activity: &ActivityId) -> Result<Vec<f64>>;

    /// Lets providers read a file, as long as what is returned lives.
    async fn publish_file(&self, file: Outgoing) -> Result<FileService>;
    /// Lets a provider write a file, as long as what is returned lives.
    async fn receive_file(&self, file: Incoming) -> Result<FileService>;

    /// Makes a virtual private network with these addresses: `192.168.7.0/24`.
    async fn create_network(&self, range: &str) -> Result<NetworkTerms>;
    /// Takes a network away.
    async fn remove_network(&self, network: &NetworkId) -> Result<()>;
    /// Gives the requestor an address in a network.
    async fn add_network_address(&self, network: &NetworkId, address: Ipv4Addr) -> Result<()>;
    /// Gives an address in a network to a node, for one of its activities.
    async fn add_network_node(
        &self,
        network: &NetworkId,
        node: &NodeId,
        address: Ipv4Addr,
    ) -> Result<()>;
    /// Takes all addresses in a network from a node.
    async fn remove_network_node(&self, network: &NetworkId, node: &NodeId) -> Result<()>;
    /// Connects to a port of somebody in a network.
    async fn connect_in_network(
        &self,
        network: &NetworkId,
        address: Ipv4Addr,
        port: u16,
    ) -> Result<DuplexStream>;

    /// Says that nothing more will be asked. What was started for the requestor alone ends now.
    async fn close(&self) {}
}

/// A file within the reach of providers, until this is dropped.
#[derive(Debug)]
pub struct FileService {
    url: String,
    _open: tokio_util::sync::DropGuard,
}

impl FileService {
    /// A file at a `gftp:` URL; `open` is cancelled when the service is to end.
    pub(crate) fn new(url: String, open: tokio_util::sync::DropGuard) -> Self {
        Self { url, _open: open }
    }

    /// Where providers find the file.
    pub fn url(&self) -> &str {
        &self.url
    }
}

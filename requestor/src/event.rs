//! What happens while a requestor works: one closed list, for whoever wants to watch.

use futures::{Stream, StreamExt, stream};
use tokio::sync::broadcast;

use crate::{
    id::{ActivityId, AgreementId, ProposalId},
    service::InstanceStatus,
    yagna::Amount,
};

/// Events that a slow watcher may be behind; older ones it misses.
const BACKLOG: usize = 4096;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what their names say")]
pub enum Event {
    /// A provider has proposed something.
    ProposalReceived {
        proposal: ProposalId,
        provider: String,
    },
    /// Both sides have signed an agreement.
    AgreementSigned {
        agreement: AgreementId,
        provider: String,
    },
    /// A provider did not sign an agreement.
    AgreementRefused { provider: String, reason: String },
    /// An agreement has ended.
    AgreementTerminated {
        agreement: AgreementId,
        provider: String,
    },
    /// A provider has started an exe-unit.
    ActivityCreated {
        activity: ActivityId,
        provider: String,
    },
    /// A provider has ended an exe-unit.
    ActivityDestroyed {
        activity: ActivityId,
        provider: String,
    },
    /// An instance has changed its state.
    InstanceChanged(InstanceStatus),
    /// A debit note will be paid; `total` is what its activity has cost so far.
    DebitNoteAccepted {
        agreement: AgreementId,
        provider: String,
        total: Amount,
    },
    /// An invoice will be paid.
    InvoiceAccepted {
        agreement: AgreementId,
        provider: String,
        amount: Amount,
    },
    /// A debit note or an invoice will not be paid.
    PaymentRefused {
        agreement: AgreementId,
        amount: Amount,
        reason: String,
    },
}

/// Where events are sent to, and heard.
#[derive(Clone, Debug)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    pub(crate) fn send(&self, event: Event) {
        tracing::info!(?event);
        // Nobody need listen.
        let _ = self.0.send(event);
    }

    /// All that happens from now on.
    pub(crate) fn subscribe(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
        let events = stream::unfold(self.0.subscribe(), async |mut receiver| {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((event, receiver)),
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "a watcher is too slow for all events");
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        events.boxed()
    }
}

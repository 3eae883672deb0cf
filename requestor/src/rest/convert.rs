//! ya-client's types and the engine's.

use std::collections::HashMap;

use serde_json::Value;
use ya_client::model::{
    activity::{CommandOutput, CommandResult as Verdict, ExeScriptCommandResult, State},
    market, payment,
};

use crate::yagna::{
    Acceptance, ActivityState, Agreement, Amount, CommandResult, CommandStatus, DebitNote,
    Decoration, Demand, Invoice, MarketEvent, PaymentEvent, Problem, Properties, Proposal,
    ProposalStage, Reason, YagnaError,
};

/// ya-client's error, in the words of the port.
pub(super) fn failure(call: String, error: ya_client::Error) -> YagnaError {
    use ya_client::Error as E;
    let problem = match error {
        E::SendRequestError { msg, .. } => Problem::Unreachable(msg),
        E::TimeoutError { msg, .. } => Problem::Timeout(msg),
        E::HttpError { code, msg, .. } => rejection(code.as_u16(), msg),
        other => Problem::Malformed(other.to_string()),
    };
    YagnaError { call, problem }
}

/// What an HTTP status means.
pub(super) fn rejection(status: u16, message: String) -> Problem {
    match status {
        401 => Problem::Unauthorized,
        404 => Problem::NotFound(message),
        408 => Problem::Timeout(message),
        status => Problem::Refused { status, message },
    }
}

/// What makes an answer malformed.
pub(super) type Malformed = String;

/// ya-client's amounts are of another type; both are exact, and both are texts on the wire.
pub(super) fn amount(wire: &impl ToString) -> Result<Amount, Malformed> {
    let text = wire.to_string();
    text.parse()
        .map_err(|error| format!("{text} is no amount: {error}"))
}

/// An amount as ya-client has it.
pub(super) fn wire_amount<T: std::str::FromStr>(amount: Amount) -> T {
    let Ok(wire) = amount.to_string().parse() else {
        unreachable!("a decimal is a decimal")
    };
    wire
}

pub(super) fn acceptance(acceptance: &Acceptance) -> payment::Acceptance {
    payment::Acceptance {
        total_amount_accepted: wire_amount(acceptance.amount),
        allocation_id: acceptance.allocation.to_string(),
    }
}

pub(super) fn decoration(wire: payment::MarketDecoration) -> Decoration {
    let mut properties = Properties::default();
    for property in wire.properties {
        properties.set(property.key, property.value);
    }
    Decoration {
        properties,
        constraints: wire.constraints,
    }
}

pub(super) fn debit_note_event<Id: From<String>>(
    wire: payment::DebitNoteEvent,
) -> PaymentEvent<Id> {
    let received = matches!(
        wire.event_type,
        payment::DebitNoteEventType::DebitNoteReceivedEvent
    );
    PaymentEvent {
        id: wire.debit_note_id.into(),
        date: wire.event_date,
        received,
    }
}

pub(super) fn invoice_event<Id: From<String>>(wire: payment::InvoiceEvent) -> PaymentEvent<Id> {
    let received = matches!(
        wire.event_type,
        payment::InvoiceEventType::InvoiceReceivedEvent
    );
    PaymentEvent {
        id: wire.invoice_id.into(),
        date: wire.event_date,
        received,
    }
}

pub(super) fn debit_note(wire: payment::DebitNote) -> Result<DebitNote, Malformed> {
    let counters = wire.usage_counter_vector.as_ref().and_then(Value::as_array);
    let counters = counters.into_iter().flatten();
    Ok(DebitNote {
        issuer: wire.issuer_id.to_string().into(),
        agreement: wire.agreement_id.into(),
        activity: wire.activity_id.into(),
        total: amount(&wire.total_amount_due)?,
        usage: counters.filter_map(Value::as_f64).collect(),
    })
}

pub(super) fn invoice(wire: payment::Invoice) -> Result<Invoice, Malformed> {
    Ok(Invoice {
        issuer: wire.issuer_id.to_string().into(),
        agreement: wire.agreement_id.into(),
        amount: amount(&wire.amount)?,
    })
}

pub(super) fn new_demand(demand: &Demand) -> market::NewDemand {
    market::NewDemand::new(demand.properties.to_json(), demand.constraints.clone())
}

pub(super) fn market_event(wire: market::RequestorEvent) -> Option<MarketEvent> {
    use market::RequestorEvent as Wire;
    match wire {
        Wire::ProposalEvent { proposal, .. } => proposal_of(proposal).map(MarketEvent::Proposal),
        Wire::ProposalRejectedEvent {
            proposal_id,
            reason,
            ..
        } => Some(MarketEvent::Rejected {
            proposal: proposal_id.into(),
            reason: reason.map(|reason| reason.message),
        }),
        Wire::PropertyQueryEvent { .. } => None,
    }
}

/// None if the proposal is no longer one that can be answered.
fn proposal_of(wire: market::Proposal) -> Option<Proposal> {
    let stage = match wire.state {
        market::proposal::State::Initial => ProposalStage::Initial,
        market::proposal::State::Draft => ProposalStage::Draft,
        _ => return None,
    };
    Some(Proposal {
        id: wire.proposal_id.into(),
        issuer: wire.issuer_id.to_string().into(),
        stage,
        answers: wire.prev_proposal_id.map(Into::into),
        properties: Properties::from_json(wire.properties),
    })
}

pub(super) fn agreement(wire: market::Agreement) -> Agreement {
    Agreement {
        id: wire.agreement_id.into(),
        provider: wire.offer.provider_id.to_string().into(),
        offer: Properties::from_json(wire.offer.properties),
    }
}

pub(super) fn reason(reason: &Reason) -> market::Reason {
    let code = reason
        .code
        .iter()
        .map(|code| ("golem.requestor.code".to_owned(), code.clone()));
    let extra: HashMap<_, _> = code.collect();
    let extra = serde_json::to_value(extra).expect("texts are JSON");
    market::Reason {
        message: reason.message.clone(),
        extra,
    }
}

pub(super) fn activity_state(wire: State) -> ActivityState {
    match wire {
        State::New => ActivityState::New,
        State::Initialized => ActivityState::Initialized,
        State::Deployed => ActivityState::Deployed,
        State::Ready => ActivityState::Ready,
        State::Terminated => ActivityState::Terminated,
        State::Unresponsive => ActivityState::Unresponsive,
    }
}

pub(super) fn command_result(wire: ExeScriptCommandResult) -> CommandResult {
    let bytes = |output: Option<CommandOutput>| match output {
        Some(CommandOutput::Str(text)) => text.into_bytes(),
        Some(CommandOutput::Bin(bytes)) => bytes,
        None => Vec::new(),
    };
    CommandResult {
        status: match wire.result {
            Verdict::Ok => CommandStatus::Ok,
            Verdict::Error => CommandStatus::Failed(wire.message.unwrap_or_default()),
        },
        stdout: bytes(wire.stdout),
        stderr: bytes(wire.stderr),
    }
}

//! The ledger, decided purely: which debit notes and invoices are paid, and what has been spent.

use std::{collections::BTreeMap, time::Duration};

use super::Usage;
use crate::{
    id::{ActivityId, AgreementId, NodeId},
    yagna::{Agreement, Amount, DebitNote, Invoice},
};

/// Why nothing more is paid under an agreement.
const INVOICED: &str = "an invoice for this agreement was accepted already";

/// What one budget is spent on.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    budget: Amount,
    accounts: BTreeMap<AgreementId, Account>,
}

/// What is owed under one agreement.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Accounts in the order in which they were opened.
    pub(super) number: usize,
    pub(super) instance: String,
    pub(super) provider: String,
    provider_id: NodeId,
    counters: Vec<String>,
    /// Whether an activity was asked for, so that there will be an invoice.
    asked: bool,
    activities: BTreeMap<ActivityId, Activity>,
    invoice: Invoiced,
    pub(super) unpaid: Option<Unpaid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invoiced {
    Awaited,
    Accepted(Amount),
    Refused,
}

#[derive(Clone, Debug, Default)]
struct Activity {
    time: Duration,
    usage: Vec<f64>,
    accepted: Amount,
}

/// What is known of an activity that has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Life {
    /// How long it lived.
    pub(crate) time: Duration,
    /// What it had used shortly before its end. A debit note that comes later knows better.
    pub(crate) usage: Option<Vec<f64>>,
}

/// What a provider wanted and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpaid {
    /// How much.
    pub amount: Amount,
    /// Why not.
    pub reason: String,
}

/// What becomes of a debit note or an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is to be accepted, and is owed to this provider.
    Accept { provider: String },
    /// It is to be left alone for this reason.
    Refuse(String),
    /// It is to be left alone, since the budget does not last for it.
    Unaffordable(String),
    /// It belongs to somebody else's agreement.
    NotOurs,
}

impl Ledger {
    pub(super) fn new(budget: Amount) -> Self {
        Self {
            budget,
            accounts: BTreeMap::new(),
        }
    }

    /// An agreement has been signed for an instance.
    pub(super) fn open(&mut self, agreement: &Agreement, instance: String) {
        let account = Account {
            number: self.accounts.len(),
            instance,
            provider: agreement.provider_name().into(),
            provider_id: agreement.provider.clone(),
            counters: agreement
                .usage_vector()
                .into_iter()
                .map(String::from)
                .collect(),
            asked: false,
            activities: BTreeMap::new(),
            invoice: Invoiced::Awaited,
            unpaid: None,
        };
        self.accounts.insert(agreement.id.clone(), account);
    }

    /// An activity is asked for.
    pub(super) fn ask(&mut self, agreement: &AgreementId) {
        if let Some(account) = self.accounts.get_mut(agreement) {
            account.asked = true;
        }
    }

    /// An activity has begun.
    pub(super) fn begin(&mut self, agreement: &AgreementId, activity: ActivityId) {
        if let Some(account) = self.accounts.get_mut(agreement) {
            account.activities.entry(activity).or_default();
        }
    }

    /// An activity has ended after this life.
    pub(super) fn end(&mut self, agreement: &AgreementId, activity: &ActivityId, life: Life) {
        let account = self.accounts.get_mut(agreement);
        if let Some(activity) = account.and_then(|account| account.activities.get_mut(activity)) {
            activity.time = life.time;
            activity.usage = life.usage.unwrap_or(std::mem::take(&mut activity.usage));
        }
    }

    /// What is to become of a debit note.
    pub(super) fn judge_debit_note(&self, note: &DebitNote) -> Verdict {
        let Some(account) = self.accounts.get(&note.agreement) else {
            return Verdict::NotOurs;
        };
        if account.provider_id != note.issuer {
            return Verdict::Refuse(format!("{} is not the agreement's provider", note.issuer));
        }
        if account.is_invoiced() {
            return Verdict::Refuse(INVOICED.into());
        }
        let Some(activity) = account.activities.get(&note.activity) else {
            return Verdict::Refuse(format!("activity {} is unknown", note.activity));
        };
        if note.total < activity.accepted {
            return Verdict::Refuse(format!("{} GLM were accepted already", activity.accepted));
        }
        self.afford(account, note.total - activity.accepted)
    }

    /// A debit note was accepted.
    pub(super) fn accept_debit_note(&mut self, note: &DebitNote) {
        let account = self.accounts.get_mut(&note.agreement);
        if let Some(activity) =
            account.and_then(|account| account.activities.get_mut(&note.activity))
        {
            activity.usage.clone_from(&note.usage);
            activity.accepted = note.total;
        }
    }

    /// What is to become of an invoice.
    pub(super) fn judge_invoice(&self, invoice: &Invoice) -> Verdict {
        let Some(account) = self.accounts.get(&invoice.agreement) else {
            return Verdict::NotOurs;
        };
        if account.provider_id != invoice.issuer {
            return Verdict::Refuse(format!(
                "{} is not the agreement's provider",
                invoice.issuer
            ));
        }
        if account.is_invoiced() {
            return Verdict::Refuse(INVOICED.into());
        }
        let accepted = account.accepted();
        if invoice.amount < accepted {
            return Verdict::Refuse(format!("debit notes over {accepted} GLM were accepted"));
        }
        self.afford(account, invoice.amount - accepted)
    }

    /// An invoice was accepted.
    pub(super) fn accept_invoice(&mut self, invoice: &Invoice) {
        if let Some(account) = self.accounts.get_mut(&invoice.agreement) {
            account.invoice = Invoiced::Accepted(invoice.amount);
            account.unpaid = None;
        }
    }

    /// An invoice was left unpaid.
    pub(super) fn refuse_invoice(&mut self, invoice: &Invoice, reason: String) {
        if let Some(account) = self.accounts.get_mut(&invoice.agreement)
            && !account.is_invoiced()
        {
            account.invoice = Invoiced::Refused;
            account.unpaid = Some(Unpaid {
                amount: invoice.amount,
                reason,
            });
        }
    }

    fn afford(&self, account: &Account, more: Amount) -> Verdict {
        let (left, budget) = (self.left().normalize(), self.budget.normalize());
        if more > left {
            return Verdict::Unaffordable(format!(
                "{} GLM more are asked for, and only {left} GLM of the budget of {budget} GLM are left",
                more.normalize()
            ));
        }
        Verdict::Accept {
            provider: account.provider.clone(),
        }
    }

    /// Whether every agreement under which an activity was asked for has its invoice, paid or not.
    pub(super) fn is_complete(&self) -> bool {
        self.accounts.values().all(Account::is_complete)
    }

    /// All that was accepted.
    pub(super) fn spent(&self) -> Amount {
        self.accounts.values().map(Account::accepted).sum()
    }

    /// What can still be accepted.
    pub(super) fn left(&self) -> Amount {
        self.budget - self.spent()
    }

    pub(super) fn budget(&self) -> Amount {
        self.budget
    }

    /// Accounts under which something was bought, or is to be paid, in the order in which they were opened.
    pub(super) fn accounts(&self) -> Vec<&Account> {
        let used = self.accounts.values().filter(|account| account.is_used());
        let mut accounts: Vec<_> = used.collect();
        accounts.sort_by_key(|account| account.number);
        accounts
    }
}

impl Account {
    fn is_used(&self) -> bool {
        self.asked || !self.accepted().is_zero() || self.unpaid.is_some()
    }

    fn is_complete(&self) -> bool {
        !self.asked || self.invoice != Invoiced::Awaited
    }

    /// The invoice's amount once it is accepted, until then the debit notes'.
    pub(super) fn accepted(&self) -> Amount {
        match self.invoice {
            Invoiced::Accepted(amount) => amount,
            _ => self
                .activities
                .values()
                .map(|activity| activity.accepted)
                .sum(),
        }
    }

    /// Whether an invoice was accepted.
    pub(super) fn is_invoiced(&self) -> bool {
        matches!(self.invoice, Invoiced::Accepted(_))
    }

    /// How long its activities lived.
    pub(super) fn time(&self) -> Duration {
        self.activities.values().map(|activity| activity.time).sum()
    }

    /// What its activities used, as last reported.
    pub(super) fn usage(&self) -> Usage {
        let counters = self.counters.iter().enumerate().map(|(place, name)| {
            let used = self
                .activities
                .values()
                .filter_map(|activity| activity.usage.get(place));
            (name.clone(), used.fold(0.0, |sum, used| sum + used))
        });
        Usage {
            counters: counters.collect(),
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

//! The ledger, decided purely: which debit notes and invoices are paid, and what has been spent.

use std::{collections::BTreeMap, time::Duration};

use super::Usage;
use crate::{
    id::{ActivityId, AgreementId, NodeId},
    yagna::{Agreement, Amount, DebitNote, Invoice},
};

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
            activities: BTreeMap::new(),
            invoice: Invoiced::Awaited,
            unpaid: None,
        };
        self.accounts.insert(agreement.id.clone(), account);
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
            return Verdict::Refuse("an invoice for this agreement was accepted already".into());
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
        let left = self.budget - self.spent();
        if more > left {
            return Verdict::Refuse(format!("only {left} GLM of the budget are left"));
        }
        Verdict::Accept {
            provider: account.provider.clone(),
        }
    }

    /// Whether every agreement under which somebody worked has its invoice, paid or not.
    pub(super) fn is_complete(&self) -> bool {
        self.accounts.values().all(Account::is_complete)
    }

    /// All that was accepted.
    pub(super) fn spent(&self) -> Amount {
        self.accounts.values().map(Account::accepted).sum()
    }

    pub(super) fn budget(&self) -> Amount {
        self.budget
    }

    /// Accounts with activities, in the order in which they were opened.
    pub(super) fn accounts(&self) -> Vec<&Account> {
        let used = self
            .accounts
            .values()
            .filter(|account| !account.activities.is_empty());
        let mut accounts: Vec<_> = used.collect();
        accounts.sort_by_key(|account| account.number);
        accounts
    }
}

impl Account {
    fn is_complete(&self) -> bool {
        self.activities.is_empty() || self.invoice != Invoiced::Awaited
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yagna::Properties;

    fn ledger(budget: &str) -> Ledger {
        let mut ledger = Ledger::new(budget.parse().unwrap());
        for id in ["a1", "a2"] {
            let agreement = Agreement {
                id: id.into(),
                provider: "p".into(),
                offer: Properties::from_json(json!({
                    "golem.com.usage.vector": ["golem.usage.duration_sec"],
                })),
            };
            ledger.open(&agreement, format!("instance {id}"));
            ledger.begin(&id.into(), format!("{id}-x").into());
        }
        ledger
    }

    fn note(agreement: &str, total: &str) -> DebitNote {
        DebitNote {
            issuer: "p".into(),
            agreement: agreement.into(),
            activity: format!("{agreement}-x").into(),
            total: total.parse().unwrap(),
            usage: vec![7.5],
            due: None,
        }
    }

    fn invoice(agreement: &str, amount: &str) -> Invoice {
        Invoice {
            issuer: "p".into(),
            agreement: agreement.into(),
            amount: amount.parse().unwrap(),
        }
    }

    fn accepted() -> Verdict {
        Verdict::Accept {
            provider: "p".into(),
        }
    }

    fn refused(reason: &str) -> Verdict {
        Verdict::Refuse(reason.into())
    }

    /// Judges a debit note, and does accordingly.
    fn on_note(ledger: &mut Ledger, note: &DebitNote) -> Verdict {
        let verdict = ledger.judge_debit_note(note);
        if let Verdict::Accept { .. } = &verdict {
            ledger.accept_debit_note(note);
        }
        verdict
    }

    /// Judges an invoice, and does accordingly.
    fn on_invoice(ledger: &mut Ledger, invoice: &Invoice) -> Verdict {
        let verdict = ledger.judge_invoice(invoice);
        match verdict.clone() {
            Verdict::Accept { .. } => ledger.accept_invoice(invoice),
            Verdict::Refuse(reason) => ledger.refuse_invoice(invoice, reason),
            Verdict::NotOurs => {}
        }
        verdict
    }

    #[test]
    fn notes_and_invoices_are_cumulative() {
        let mut ledger = ledger("1");
        assert_eq!(on_note(&mut ledger, &note("a1", "0.3")), accepted());
        assert_eq!(on_note(&mut ledger, &note("a1", "0.4")), accepted());
        assert_eq!(ledger.spent().to_string(), "0.4");
        assert_eq!(on_invoice(&mut ledger, &invoice("a1", "0.45")), accepted());
        assert_eq!(ledger.spent().to_string(), "0.45");
        assert!(!ledger.is_complete());
        assert_eq!(on_invoice(&mut ledger, &invoice("a2", "0")), accepted());
        assert!(ledger.is_complete());
        assert_eq!(ledger.accounts()[0].usage().to_string(), "7.5 s");
    }

    #[test]
    fn nothing_is_accepted_beyond_the_budget() {
        let mut ledger = ledger("1");
        assert_eq!(on_note(&mut ledger, &note("a1", "0.7")), accepted());
        let left = refused("only 0.3 GLM of the budget are left");
        assert_eq!(on_note(&mut ledger, &note("a2", "0.31")), left);
        assert_eq!(on_note(&mut ledger, &note("a1", "1.01")), left);
        assert!(!ledger.is_complete());
        assert_eq!(on_invoice(&mut ledger, &invoice("a2", "0.31")), left);
        assert_eq!(ledger.spent().to_string(), "0.7");
        assert_eq!(on_invoice(&mut ledger, &invoice("a1", "1.0")), accepted());
        assert!(
            ledger.is_complete(),
            "a2's invoice was refused, and is not waited for"
        );
        assert_eq!(
            ledger.accounts()[1]
                .unpaid
                .as_ref()
                .unwrap()
                .amount
                .to_string(),
            "0.31"
        );
    }

    #[test]
    fn what_is_not_right_is_refused() {
        let mut ledger = ledger("1");
        let stranger = DebitNote {
            issuer: "q".into(),
            ..note("a1", "0.1")
        };
        let unknown = DebitNote {
            activity: "y".into(),
            ..note("a1", "0.1")
        };
        for (note, expected) in [
            (note("a3", "0.1"), Verdict::NotOurs),
            (stranger, refused("q is not the agreement's provider")),
            (unknown, refused("activity y is unknown")),
            (note("a1", "0.2"), accepted()),
            (note("a1", "0.1"), refused("0.2 GLM were accepted already")),
        ] {
            assert_eq!(on_note(&mut ledger, &note), expected);
        }
        for (invoice, expected) in [
            (invoice("a3", "0.1"), Verdict::NotOurs),
            (
                invoice("a1", "0.1"),
                refused("debit notes over 0.2 GLM were accepted"),
            ),
            (invoice("a1", "0.2"), accepted()),
            (
                invoice("a1", "0.2"),
                refused("an invoice for this agreement was accepted already"),
            ),
        ] {
            assert_eq!(on_invoice(&mut ledger, &invoice), expected);
        }
    }
}

//! What is paid, and what is not.

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
        ledger.ask(&id.into());
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
        Verdict::Refuse(reason) | Verdict::Unaffordable(reason) => {
            ledger.refuse_invoice(invoice, reason)
        }
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
fn nothing_more_is_accepted_under_an_agreement_that_is_invoiced() {
    let mut ledger = ledger("1");
    assert_eq!(on_note(&mut ledger, &note("a1", "0.3")), accepted());
    assert_eq!(on_invoice(&mut ledger, &invoice("a1", "0.3")), accepted());
    let late = on_note(&mut ledger, &note("a1", "0.4"));
    assert_eq!(
        late,
        refused("an invoice for this agreement was accepted already")
    );
    assert_eq!(ledger.spent().to_string(), "0.3");
}

#[test]
fn an_activity_that_was_asked_for_is_paid_whether_or_not_it_is_known() {
    let mut ledger = Ledger::new("1".parse().unwrap());
    let agreement = Agreement {
        id: "a1".into(),
        provider: "p".into(),
        offer: Properties::default(),
    };
    ledger.open(&agreement, "instance".into());
    assert!(ledger.is_complete() && ledger.accounts().is_empty());
    ledger.ask(&agreement.id);
    assert!(!ledger.is_complete());
    assert_eq!(on_invoice(&mut ledger, &invoice("a1", "0.2")), accepted());
    assert!(ledger.is_complete());
    let rows = ledger.accounts().into_iter().map(Account::accepted);
    assert_eq!(rows.sum::<Amount>(), ledger.spent());
}

#[test]
fn nothing_is_accepted_beyond_the_budget() {
    let mut ledger = ledger("1");
    assert_eq!(on_note(&mut ledger, &note("a1", "0.7")), accepted());
    let left = Verdict::Unaffordable(
        "0.31 GLM more are asked for, and only 0.3 GLM of the budget of 1 GLM are left".into(),
    );
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

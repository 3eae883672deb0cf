//! Bills and payments.

use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::json;
use ya_client_model::payment::RejectionReason;

use super::{EventFilter, START, Scene, amount};
use crate::{
    id::{AllocationId, Ids},
    owned::Machine,
    payment::{
        amount::Amount,
        bill::{
            BillEvent,
            BillKind::{DebitNote, Invoice},
            NewInvoice, Parties, Rejection,
        },
        view,
    },
    state::REMEMBERED,
};

#[test]
fn bills_look_as_recorded() {
    let mut scene = Scene::new();
    let first = scene.note("activity", "0.1");
    let second = scene.note("activity", "0.2");
    let invoice = scene.invoice("0.2");
    let bill = |kind, id| json!(scene.book.bill(scene.payer, kind, id).unwrap());
    let time = "2027-01-15T08:00:00.123Z";
    assert_eq!(
        bill(DebitNote, &second),
        json!({
            "debitNoteId": second, "previousDebitNoteId": first, "issuerId": scene.payee, "recipientId": scene.payer,
            "payeeAddr": scene.payee, "payerAddr": scene.payer, "paymentPlatform": "erc20-holesky-tglm",
            "timestamp": time, "agreementId": "agreement", "activityId": "activity", "status": "RECEIVED",
            "totalAmountDue": "0.200000000000000000", "usageCounterVector": [1.5, 2.0],
        })
    );
    assert_eq!(
        bill(Invoice, &invoice),
        json!({
            "invoiceId": invoice, "issuerId": scene.payee, "recipientId": scene.payer,
            "payeeAddr": scene.payee, "payerAddr": scene.payer, "paymentPlatform": "erc20-holesky-tglm",
            "timestamp": time, "agreementId": "agreement", "activityIds": ["activity"], "status": "RECEIVED",
            "amount": "0.200000000000000000", "paymentDueDate": "2027-01-16T08:00:00.123456789Z",
        })
    );
}

#[test]
fn a_bill_is_its_parties_and_its_recipients_only_once_sent() {
    let mut scene = Scene::new();
    let new = NewInvoice {
        agreement_id: "agreement".into(),
        activity_ids: None,
        amount: amount("1"),
        payment_due_date: scene.now,
    };
    let parties = scene.parties();
    let id = scene
        .book
        .issue_invoice(parties, new, scene.now)
        .id()
        .clone();
    let stranger = Ids::seeded(2).node();
    assert!(scene.book.bill(scene.payee, Invoice, &id).is_ok());
    assert!(scene.book.bill(scene.payer, Invoice, &id).is_err());
    assert!(scene.book.bill(scene.payee, DebitNote, &id).is_err());
    assert!(
        scene
            .book
            .send(scene.payer, Invoice, &id, scene.now)
            .is_err()
    );
    scene
        .book
        .send(scene.payee, Invoice, &id, scene.now)
        .unwrap();
    scene
        .book
        .send(scene.payee, Invoice, &id, scene.now)
        .unwrap();
    assert!(scene.book.bill(scene.payer, Invoice, &id).is_ok());
    assert!(scene.book.bill(stranger, Invoice, &id).is_err());
    assert_eq!(
        scene.happened(scene.payer, Invoice),
        ["InvoiceReceivedEvent"]
    );
    assert_eq!(scene.happened(scene.payee, Invoice), [""; 0]);
}

#[test]
fn what_is_accepted_is_paid() {
    let mut scene = Scene::new();
    let allocation = scene.allocate("1");
    let note = scene.note("activity", "0.003230278241");
    let total = "0.003230278241000000";
    scene.accept(DebitNote, &note, total, &allocation).unwrap();
    scene.accept(DebitNote, &note, total, &allocation).unwrap();
    assert_eq!(scene.left_of(&allocation), "0.996769721759000000");
    let bill = scene.book.bill(scene.payer, DebitNote, &note).unwrap();
    assert_eq!(json!(bill)["status"], "ACCEPTED");

    scene.now = scene.book.next_deadline().unwrap();
    scene.book.wake(scene.now);
    let bill = scene.book.bill(scene.payer, DebitNote, &note).unwrap();
    assert_eq!(json!(bill)["status"], "SETTLED");
    let settled = "DebitNoteSettledEvent";
    assert_eq!(
        scene.happened(scene.payer, DebitNote),
        ["DebitNoteReceivedEvent", settled]
    );
    assert_eq!(
        scene.happened(scene.payee, DebitNote),
        ["DebitNoteAcceptedEvent", settled]
    );
    for party in [scene.payer, scene.payee] {
        let payments = scene.book.payments(party, START, 10);
        let json = view::payment(payments[0].0, &payments[0].1);
        assert_eq!(json["amount"], total);
        assert_eq!(json["activityPayments"][0]["activityId"], "activity");
        assert_eq!(json["agreementPayments"], json!([]));
    }

    // The invoice asks for nothing more, so nothing more is paid.
    let invoice = scene.invoice(total);
    scene.accept(Invoice, &invoice, total, &allocation).unwrap();
    scene.book.wake(scene.now + TimeDelta::hours(1));
    assert_eq!(scene.left_of(&allocation), "0.996769721759000000");
    assert_eq!(scene.book.payments(scene.payer, START, 10).len(), 1);
}

#[test]
fn what_was_paid_is_remembered_as_long_as_there_is_a_bill_for_it() {
    let mut scene = Scene::new();
    let allocation = scene.allocate("10");
    let invoice = scene.invoice("1");
    scene.accept(Invoice, &invoice, "1", &allocation).unwrap();
    scene.book.wake(scene.now + TimeDelta::minutes(1));
    scene.now += TimeDelta::minutes(50);
    let note = scene.note("activity", "1");
    scene.now += TimeDelta::minutes(30);
    let (payee, now) = (scene.payee, scene.now);
    for number in 0..REMEMBERED + REMEMBERED / 4 {
        let agreement = format!("other {number}").into();
        let parties = Parties {
            agreement,
            ..scene.parties()
        };
        let new = NewInvoice {
            agreement_id: parties.agreement.clone(),
            activity_ids: None,
            amount: amount("1"),
            payment_due_date: now,
        };
        let other = scene.book.issue_invoice(parties, new, now).id().clone();
        scene.book.cancel(payee, Invoice, &other, now).unwrap();
    }
    scene.accept(DebitNote, &note, "1", &allocation).unwrap();
    assert_eq!(scene.left_of(&allocation), "9.000000000000000000");
}

#[test]
fn each_side_hears_of_bills_in_its_own_session() {
    let mut scene = Scene::new();
    let allocation = scene.allocate("1");
    let invoice = scene.invoice("1");
    scene.accept(Invoice, &invoice, "1", &allocation).unwrap();
    let heard = |who, session: Option<&str>| {
        let filter = EventFilter {
            session: session.map(str::to_owned),
            ..EventFilter::default()
        };
        let events = scene.book.events(who, Invoice, &filter, START, 10);
        events.len()
    };
    for (who, session) in [(scene.payee, "a"), (scene.payer, "b")] {
        assert_eq!(heard(who, None), 1);
        assert_eq!(heard(who, Some(session)), 1);
        assert_eq!(heard(who, Some("c")), 0);
    }
    assert_eq!(heard(scene.payer, Some("a")), 0);
}

#[test]
fn not_every_acceptance_is_possible() {
    let mut scene = Scene::new();
    let (small, released) = (scene.allocate("1"), scene.allocate("5"));
    let (payer, now) = (scene.payer, scene.now);
    scene.book.release(payer, &released, now).unwrap();
    let mut new = scene.new_allocation("5");
    new.payment_platform = Some(serde_json::from_value(json!("erc20-polygon-glm")).unwrap());
    let elsewhere = scene.book.allocate(scene.payer, new, scene.now).unwrap();
    let elsewhere: AllocationId =
        serde_json::from_value(json!(elsewhere)["allocationId"].clone()).unwrap();
    let invoice = scene.invoice("2");
    let mut refusal = |total, allocation| {
        scene
            .accept(Invoice, &invoice, total, allocation)
            .unwrap_err()
    };
    for (error, message) in [
        (refusal("1", &small), "invalid amount accepted: expected 2, got 1".to_owned()),
        (
            refusal("2", &small),
            "not enough funds: 1 are left of the allocation, 2 are needed".to_owned(),
        ),
        (refusal("2", &released), format!("allocation {released} has been released")),
        (refusal("2", &"none".into()), "allocation none not found".to_owned()),
        (
            refusal("2", &elsewhere),
            "the allocation is on platform erc20-polygon-glm, the bill is to be paid on erc20-holesky-tglm".to_owned(),
        ),
    ] {
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(scene.left_of(&small), "1.000000000000000000");
}

#[test]
fn a_bill_can_be_rejected_instead() {
    let mut scene = Scene::new();
    let allocation = scene.allocate("5");
    for (kind, id) in [
        (Invoice, scene.invoice("2")),
        (DebitNote, scene.note("activity", "2")),
    ] {
        let rejection = Rejection {
            rejection_reason: RejectionReason::BadService,
            total_amount_accepted: Amount::ZERO,
            message: Some("slow".to_owned()),
        };
        let (payer, now) = (scene.payer, scene.now);
        scene
            .book
            .reject(payer, kind, &id, rejection.clone(), now)
            .unwrap();
        scene
            .book
            .reject(payer, kind, &id, rejection.clone(), now)
            .unwrap();
        let events = scene
            .book
            .events(scene.payee, kind, &EventFilter::default(), START, 10);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].2, BillEvent::Rejected(rejection));
        assert_eq!(
            view::event(kind, events[0].0, &events[0].1, &events[0].2)["rejection"]["rejectionReason"],
            "BAD_SERVICE"
        );
        let accepted = scene.accept(kind, &id, "2", &allocation).unwrap_err();
        assert_eq!(
            accepted.to_string(),
            format!("{} {id} is REJECTED", kind.name())
        );
    }
}

proptest! {
    /// Notes and invoices accepted in any order, twice or not at all, cost what the dearer of the two ways to count says.
    #[test]
    fn nothing_is_paid_twice(
        notes in prop::collection::vec((0usize..3, 1u32..100), 0..12),
        invoiced in 0u32..300,
        order in any::<prop::sample::Index>(),
    ) {
        let mut scene = Scene::new();
        let allocation = scene.allocate("1000");
        let mut bills: Vec<_> = notes
            .iter()
            .map(|(activity, total)| {
                let total = total.to_string();
                (DebitNote, scene.note(&activity.to_string(), &total), total)
            })
            .collect();
        let total = invoiced.to_string();
        let place = order.index(bills.len() + 1);
        bills.insert(place, (Invoice, scene.invoice(&total), total));
        for (kind, id, total) in bills.iter().chain(&bills) {
            scene.accept(*kind, id, total, &allocation).unwrap();
        }
        let dearest = |activity| notes.iter().filter(|note| note.0 == activity).map(|note| note.1).max();
        let by_notes: u32 = (0..3).filter_map(dearest).sum();
        let spent = by_notes.max(invoiced);
        prop_assert_eq!(scene.left_of(&allocation), format!("{}.{:018}", 1000 - spent, 0));
        while let Some(time) = scene.book.next_deadline() {
            scene.book.wake(time);
        }
        let paid = scene.book.payments(scene.payee, START, 100);
        let paid: Amount = paid.into_iter().map(|(_, payment)| payment.amount).sum();
        prop_assert_eq!(paid, amount(&spent.to_string()));
    }
}

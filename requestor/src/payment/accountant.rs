//! The task that owns the ledger: it hears of debit notes and invoices, and accepts what is right.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use async_stream::stream;
use chrono::{DateTime, Utc};
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};

use super::{
    Bill, BillRow, Life, Overdraft,
    ledger::{Ledger, Verdict},
};
use crate::{
    event::{Event, Events},
    id::{ActivityId, AgreementId, DebitNoteId, InvoiceId},
    retry::{PAUSE, once},
    yagna::{
        Acceptance, Agreement, Allocation, Amount, DebitNote, Invoice, PaymentEvent, Yagna,
        YagnaError,
    },
};

/// How long one question for payment events may wait for its answer.
const POLL: Duration = Duration::from_secs(5);

/// The way to the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Accountant {
    entries: mpsc::UnboundedSender<Entry>,
    left: watch::Receiver<Amount>,
}

enum Entry {
    Open {
        agreement: Arc<Agreement>,
        instance: String,
        overdraft: Overdraft,
    },
    Ask(AgreementId),
    Begin {
        agreement: AgreementId,
        activity: ActivityId,
    },
    End {
        agreement: AgreementId,
        activity: ActivityId,
        life: Life,
    },
    Close {
        patience: Duration,
        bill: oneshot::Sender<Bill>,
    },
}

impl Accountant {
    /// Keeps the ledger of one allocation until it is closed. Gives the way to it, and the work itself.
    pub(crate) fn open(
        yagna: Arc<dyn Yagna>,
        allocation: Allocation,
        events: Events,
        now: DateTime<Utc>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, entries) = mpsc::unbounded_channel();
        let ledger = Ledger::new(allocation.amount);
        let (left_sender, left) = watch::channel(ledger.left());
        let desk = Desk {
            yagna,
            allocation,
            ledger,
            left: left_sender,
            overdrafts: BTreeMap::new(),
            events,
        };
        let accountant = Self {
            entries: sender,
            left,
        };
        (accountant, desk.work(entries, now))
    }

    /// What is left of the budget.
    pub(crate) fn left(&self) -> Amount {
        *self.left.borrow()
    }

    /// An agreement has been signed for an instance, to which `overdraft` is of interest.
    pub(crate) fn signed(&self, agreement: Arc<Agreement>, instance: String, overdraft: Overdraft) {
        self.enter(Entry::Open {
            agreement,
            instance,
            overdraft,
        });
    }

    /// An activity is asked for under an agreement, whatever will come of that.
    pub(crate) fn asked(&self, agreement: AgreementId) {
        self.enter(Entry::Ask(agreement));
    }

    /// An activity has begun.
    pub(crate) fn began(&self, agreement: AgreementId, activity: ActivityId) {
        self.enter(Entry::Begin {
            agreement,
            activity,
        });
    }

    /// An activity has ended after this life.
    pub(crate) fn ended(&self, agreement: AgreementId, activity: ActivityId, life: Life) {
        self.enter(Entry::End {
            agreement,
            activity,
            life,
        });
    }

    /// Waits for the invoices that are still to come, but no longer than `patience`, and closes the ledger.
    pub(crate) async fn close(&self, patience: Duration) -> Option<Bill> {
        let (bill, receiver) = oneshot::channel();
        self.enter(Entry::Close { patience, bill });
        receiver.await.ok()
    }

    fn enter(&self, entry: Entry) {
        // After the ledger is closed nothing is entered any more.
        let _ = self.entries.send(entry);
    }
}

struct Desk {
    yagna: Arc<dyn Yagna>,
    allocation: Allocation,
    ledger: Ledger,
    left: watch::Sender<Amount>,
    /// Who is to know if the budget does not pay for an agreement.
    overdrafts: BTreeMap<AgreementId, Overdraft>,
    events: Events,
}

/// What a provider wants to be paid.
enum Claim {
    DebitNote(DebitNoteId, DebitNote),
    Invoice(InvoiceId, Invoice),
}

impl Desk {
    async fn work(mut self, mut entries: mpsc::UnboundedReceiver<Entry>, now: DateTime<Utc>) {
        let mut claims = pin!(claims(self.yagna.clone(), now));
        loop {
            tokio::select! {
                biased;
                entry = entries.recv() => match entry {
                    Some(Entry::Open { agreement, instance, overdraft }) => {
                        self.ledger.open(&agreement, instance);
                        self.overdrafts.insert(agreement.id.clone(), overdraft);
                    }
                    Some(Entry::Ask(agreement)) => self.ledger.ask(&agreement),
                    Some(Entry::Begin { agreement, activity }) => {
                        self.ledger.begin(&agreement, activity);
                    }
                    Some(Entry::End { agreement, activity, life }) => {
                        self.ledger.end(&agreement, &activity, life);
                    }
                    Some(Entry::Close { patience, bill }) => {
                        if timeout(patience, self.complete(claims)).await.is_err() {
                            tracing::warn!("not every provider has sent its invoice");
                        }
                        // Whoever asked may have gone; the ledger is closed all the same.
                        let _ = bill.send(self.bill());
                        return;
                    }
                    None => return,
                },
                Some(claim) = claims.next() => self.settle(claim).await,
            }
        }
    }

    async fn complete(&mut self, mut claims: Pin<&mut impl Stream<Item = Claim>>) {
        while !self.ledger.is_complete() {
            let Some(claim) = claims.next().await else {
                return;
            };
            self.settle(claim).await;
        }
    }

    async fn settle(&mut self, claim: Claim) {
        let (agreement, amount, verdict) = match &claim {
            Claim::DebitNote(_, note) => (
                &note.agreement,
                note.total,
                self.ledger.judge_debit_note(note),
            ),
            Claim::Invoice(_, invoice) => (
                &invoice.agreement,
                invoice.amount,
                self.ledger.judge_invoice(invoice),
            ),
        };
        let refusal = match verdict {
            Verdict::NotOurs => return,
            Verdict::Refuse(reason) => Some(reason),
            Verdict::Unaffordable(reason) => {
                if let Some(overdraft) = self.overdrafts.get(agreement) {
                    overdraft.report(format!("{} cannot be paid: {reason}", claim.name()));
                }
                Some(reason)
            }
            Verdict::Accept { provider } => match self.accept(&claim, amount).await {
                Ok(()) => {
                    self.events.send(claim.accepted(provider));
                    None
                }
                Err(error) => Some(error.to_string()),
            },
        };
        if let Some(reason) = &refusal {
            let (agreement, reason) = (agreement.clone(), reason.clone());
            self.events.send(Event::PaymentRefused {
                agreement,
                amount,
                reason,
            });
        }
        match (&claim, refusal) {
            (Claim::DebitNote(_, note), None) => self.ledger.accept_debit_note(note),
            (Claim::Invoice(_, invoice), None) => self.ledger.accept_invoice(invoice),
            (Claim::Invoice(_, invoice), Some(reason)) => {
                self.ledger.refuse_invoice(invoice, reason)
            }
            // The next one is about all that this one was about, and more.
            (Claim::DebitNote(..), Some(_)) => {}
        }
        self.left.send_replace(self.ledger.left());
    }

    async fn accept(&self, claim: &Claim, amount: Amount) -> Result<(), YagnaError> {
        let acceptance = Acceptance {
            amount,
            allocation: self.allocation.id.clone(),
        };
        match claim {
            Claim::DebitNote(id, _) => once(|| self.yagna.accept_debit_note(id, &acceptance)).await,
            Claim::Invoice(id, _) => once(|| self.yagna.accept_invoice(id, &acceptance)).await,
        }
    }

    fn bill(&self) -> Bill {
        let rows = self.ledger.accounts().into_iter().map(|account| BillRow {
            instance: account.instance.clone(),
            provider: account.provider.clone(),
            time: account.time(),
            usage: account.usage(),
            cost: account.accepted(),
            unpaid: account.unpaid.clone(),
            invoiced: account.is_invoiced(),
        });
        Bill {
            rows: rows.collect(),
            total: self.ledger.spent(),
            budget: self.ledger.budget(),
        }
    }
}

impl Claim {
    fn name(&self) -> String {
        match self {
            Self::DebitNote(id, note) => format!("debit note {id} of agreement {}", note.agreement),
            Self::Invoice(id, invoice) => {
                format!("invoice {id} of agreement {}", invoice.agreement)
            }
        }
    }

    fn accepted(&self, provider: String) -> Event {
        match self {
            Self::DebitNote(_, note) => {
                let (agreement, total) = (note.agreement.clone(), note.total);
                Event::DebitNoteAccepted {
                    agreement,
                    provider,
                    total,
                }
            }
            Self::Invoice(_, invoice) => {
                let (agreement, amount) = (invoice.agreement.clone(), invoice.amount);
                Event::InvoiceAccepted {
                    agreement,
                    provider,
                    amount,
                }
            }
        }
    }
}

/// All that is claimed from a moment on.
fn claims(yagna: Arc<dyn Yagna>, since: DateTime<Utc>) -> impl Stream<Item = Claim> + Send {
    let notes = follow(
        yagna.clone(),
        since,
        |yagna, after| yagna.debit_note_events(after, POLL),
        |yagna, id| {
            async move { Ok(Claim::DebitNote(id.clone(), yagna.debit_note(&id).await?)) }.boxed()
        },
    );
    let invoices = follow(
        yagna,
        since,
        |yagna, after| yagna.invoice_events(after, POLL),
        |yagna, id| {
            async move { Ok(Claim::Invoice(id.clone(), yagna.invoice(&id).await?)) }.boxed()
        },
    );
    stream::select(notes, invoices)
}

/// Asks yagna for something, with what is asked about.
type Ask<About, Answer> =
    for<'a> fn(&'a dyn Yagna, About) -> BoxFuture<'a, Result<Answer, YagnaError>>;

/// Follows one kind of payment events, and fetches what they are about.
///
/// A stream, so that an event whose document has not been fetched yet is not lost with a question that is dropped.
fn follow<Id: Clone + Send + 'static>(
    yagna: Arc<dyn Yagna>,
    mut after: DateTime<Utc>,
    events: Ask<DateTime<Utc>, Vec<PaymentEvent<Id>>>,
    fetch: Ask<Id, Claim>,
) -> impl Stream<Item = Claim> + Send {
    stream! {
        loop {
            let mut failure = None;
            match events(&*yagna, after).await {
                Ok(events) => for event in events {
                    if event.received {
                        match fetch(&*yagna, event.id).await {
                            Ok(claim) => yield claim,
                            Err(error) if error.is_transient() => {
                                failure = Some(error);
                                break;
                            }
                            Err(error) => tracing::warn!(%error, "a claim is lost"),
                        }
                    }
                    after = event.date;
                },
                Err(error) => failure = Some(error),
            }
            if let Some(error) = failure {
                tracing::warn!(%error, "payment events are late");
                sleep(PAUSE).await;
            }
        }
    }
}

//! The results of a script's commands: awaited by its handler, resolved by the engine.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    vec,
};

use tokio::sync::oneshot;

use super::{CommandError, CommandOutcome, Outcome};

const DRAFT: u8 = 0;
const SENT: u8 = 1;
const FAILURE_SEEN: u8 = 2;

/// Where a script stands: a draft, sent to the engine, or with its failure seen by the handler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

impl Progress {
    fn is(&self, stage: u8) -> bool {
        self.0.load(Ordering::Acquire) == stage
    }

    fn set(&self, stage: u8) {
        self.0.store(stage, Ordering::Release);
    }
}

/// The result of one command, to be awaited once its script has been yielded.
///
/// Awaited earlier it is [`CommandError::NotYielded`], not a wait without end.
pub struct Handle<T> {
    source: oneshot::Receiver<CommandOutcome>,
    progress: Progress,
    convert: fn(Outcome) -> Result<T, CommandError>,
}

impl<T> Handle<T> {
    pub(super) fn new(
        source: oneshot::Receiver<CommandOutcome>,
        progress: Progress,
        convert: fn(Outcome) -> Result<T, CommandError>,
    ) -> Self {
        Self {
            source,
            progress,
            convert,
        }
    }
}

impl<T> Future for Handle<T> {
    type Output = Result<T, CommandError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match Pin::new(&mut self.source).poll(cx) {
            Poll::Ready(Ok(outcome)) => outcome,
            Poll::Ready(Err(_)) => Err(CommandError::Abandoned),
            Poll::Pending if self.progress.is(DRAFT) => Err(CommandError::NotYielded),
            Poll::Pending => return Poll::Pending,
        };
        if outcome.is_err() && !self.progress.is(DRAFT) {
            self.progress.set(FAILURE_SEEN);
        }
        Poll::Ready(outcome.and_then(self.convert))
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Handle")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

/// The engine's end of the handles of one script.
#[derive(Debug)]
pub(crate) struct Results {
    sinks: vec::IntoIter<oneshot::Sender<CommandOutcome>>,
    next: usize,
    progress: Progress,
}

impl Results {
    pub(super) fn new(sinks: Vec<oneshot::Sender<CommandOutcome>>, progress: Progress) -> Self {
        progress.set(SENT);
        Self {
            sinks: sinks.into_iter(),
            next: 0,
            progress,
        }
    }

    /// Resolves the next handle.
    pub(crate) fn resolve(&mut self, outcome: CommandOutcome) {
        if let Some(sink) = self.sinks.next() {
            self.next += 1;
            // The handler need not be interested.
            let _ = sink.send(outcome);
        }
    }

    /// Resolves all that are left: their commands are not run.
    pub(crate) fn skip_rest(&mut self) {
        while self.sinks.len() > 0 {
            self.resolve(Err(CommandError::Skipped { index: self.next }));
        }
    }

    pub(crate) fn witness(&self) -> Witness {
        Witness(self.progress.clone())
    }
}

/// Tells whether the handler has seen that its script failed.
#[derive(Debug)]
pub(crate) struct Witness(Progress);

impl Witness {
    /// Forgives a failure that the handler has looked at.
    pub(crate) fn excuse<E>(&self, error: E) -> Result<(), E> {
        if self.0.is(FAILURE_SEEN) {
            Ok(())
        } else {
            Err(error)
        }
    }
}

//! A state machine with one owner: a task that everybody else sends work to.

use std::{collections::HashMap, fmt, hash::Hash, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    state::{Record, Store},
};

/// A state that changes in steps, each at a time that it is told.
pub(crate) trait Machine: Send + 'static {
    /// What a change can concern, and somebody may wait for.
    type Topic: Eq + Hash + Send + Sync + Clone + 'static;

    /// What has changed since this was last asked.
    fn take_changes(&mut self) -> Vec<Self::Topic>;

    /// What has changed since this was last asked, and is to outlive the process.
    fn take_records(&mut self) -> Vec<Record> {
        Vec::new()
    }

    /// When something is due that nobody will ask for.
    fn next_deadline(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// Does what is due at `now`.
    fn wake(&mut self, _now: DateTime<Utc>) {}
}

/// A handle to a machine and its owner, who lives as long as the handles do.
pub(crate) struct Owned<M: Machine> {
    steps: mpsc::UnboundedSender<Step<M>>,
}

type Step<M> = Box<dyn FnOnce(&mut Owner<M>) + Send>;

impl<M: Machine> Owned<M> {
    /// Gives `machine` an owner among `tasks`.
    pub(crate) fn start(machine: M, clock: Clock, tasks: &TaskTracker) -> Self {
        Self::start_kept(machine, clock, tasks, None)
    }

    /// Gives `machine` an owner among `tasks`, who writes what changes into a store before anybody hears of it.
    pub(crate) fn start_kept(
        machine: M,
        clock: Clock,
        tasks: &TaskTracker,
        store: Option<Store>,
    ) -> Self {
        let (steps, inbox) = mpsc::unbounded_channel();
        let owner = Owner {
            machine,
            clock,
            store,
            waiting: HashMap::new(),
        };
        tasks.spawn(owner.run(inbox));
        Self { steps }
    }

    /// Takes a step, and answers what came of it.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        step: impl FnOnce(&mut M, DateTime<Utc>) -> R + Send + 'static,
    ) -> R {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |owner| {
            let now = owner.clock.now();
            let taken = step(&mut owner.machine, now);
            owner.keep();
            // Who asked may have gone; the step is taken all the same.
            let _ = answer.send(taken);
        }));
        answered.await.expect(OWNER_LIVES)
    }

    /// Takes a step now, and again whenever `topic` changes, until it answers something or `timeout` is over.
    pub(crate) async fn poll<R: Send + 'static>(
        &self,
        topic: M::Topic,
        timeout: Duration,
        step: impl Fn(&mut M, DateTime<Utc>) -> Option<R> + Send + Sync + 'static,
    ) -> Option<R> {
        let deadline = Instant::now() + timeout;
        let step = Arc::new(step);
        loop {
            match self.turn(topic.clone(), Arc::clone(&step)).await {
                Turn::Answer(answer) => return Some(answer),
                Turn::Wait(changed) => {
                    timeout_at(deadline, changed).await.ok()?.ok()?;
                }
            }
        }
    }

    /// One turn of a poll. What it waits for begins with the step, so that no change can slip in between.
    async fn turn<R: Send + 'static>(
        &self,
        topic: M::Topic,
        step: Arc<impl Fn(&mut M, DateTime<Utc>) -> Option<R> + Send + Sync + 'static>,
    ) -> Turn<R> {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |owner| {
            if answer.is_closed() {
                // Nobody would get what the step takes.
                return;
            }
            let now = owner.clock.now();
            let turn = match step(&mut owner.machine, now) {
                Some(answer) => Turn::Answer(answer),
                None => Turn::Wait(owner.wait_for(topic)),
            };
            owner.keep();
            let _ = answer.send(turn);
        }));
        answered.await.expect(OWNER_LIVES)
    }

    fn send(&self, step: Step<M>) {
        assert!(self.steps.send(step).is_ok(), "{OWNER_LIVES}");
    }
}

const OWNER_LIVES: &str = "an owner lives as long as its handles, unless a step of it panicked";

enum Turn<R> {
    Answer(R),
    Wait(oneshot::Receiver<()>),
}

impl<M: Machine> Clone for Owned<M> {
    fn clone(&self) -> Self {
        Self {
            steps: self.steps.clone(),
        }
    }
}

impl<M: Machine> fmt::Debug for Owned<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Owned").finish_non_exhaustive()
    }
}

/// The task's own side.
struct Owner<M: Machine> {
    machine: M,
    clock: Clock,
    store: Option<Store>,
    waiting: HashMap<M::Topic, Vec<oneshot::Sender<()>>>,
}

impl<M: Machine> Owner<M> {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Step<M>>) {
        loop {
            let deadline = self.machine.next_deadline();
            let due = async {
                match deadline {
                    Some(deadline) => self.clock.sleep_towards(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                step = inbox.recv() => match step {
                    Some(step) => step(&mut self),
                    None => return,
                },
                () = due => {
                    self.machine.wake(self.clock.now());
                    self.keep();
                }
            }
            self.tell_changes();
        }
    }

    /// Writes down what has changed. The database is a file on this machine: nobody waits long.
    fn keep(&mut self) {
        if let Some(store) = &self.store {
            store.write(&self.machine.take_records());
        }
    }

    fn wait_for(&mut self, topic: M::Topic) -> oneshot::Receiver<()> {
        let (change, changed) = oneshot::channel();
        let waiting = self.waiting.entry(topic).or_default();
        waiting.retain(|other| !other.is_closed());
        waiting.push(change);
        changed
    }

    fn tell_changes(&mut self) {
        for topic in self.machine.take_changes() {
            for waiting in self.waiting.remove(&topic).unwrap_or_default() {
                // Whoever waited may have given up.
                let _ = waiting.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Counts, and rings at a time.
    #[derive(Default)]
    struct Counter {
        count: u32,
        rings_at: Option<DateTime<Utc>>,
        changes: Vec<&'static str>,
    }

    impl Counter {
        fn add(&mut self) {
            self.count += 1;
            self.changes.push("count");
        }
    }

    impl Machine for Counter {
        type Topic = &'static str;

        fn take_changes(&mut self) -> Vec<&'static str> {
            std::mem::take(&mut self.changes)
        }

        fn next_deadline(&self) -> Option<DateTime<Utc>> {
            self.rings_at
        }

        fn wake(&mut self, now: DateTime<Utc>) {
            if self.rings_at.is_some_and(|time| time <= now) {
                self.rings_at = None;
                self.add();
            }
        }
    }

    fn counter() -> (Owned<Counter>, TaskTracker) {
        let tasks = TaskTracker::new();
        let clock = Clock::tokio(DateTime::UNIX_EPOCH);
        (Owned::start(Counter::default(), clock, &tasks), tasks)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_poll_ends_with_the_change_or_with_its_time() {
        let (counter, _tasks) = counter();
        let three = |counter: &mut Counter, _| (counter.count >= 3).then_some(counter.count);
        let poll = tokio::spawn({
            let counter = counter.clone();
            async move { counter.poll("count", LONG, three).await }
        });
        for _ in 0..3 {
            counter.ask(|counter, _| counter.add()).await;
        }
        assert_eq!(poll.await.unwrap(), Some(3));

        let began = Instant::now();
        let never = counter.poll("other", LONG, |_, _| None::<()>).await;
        assert_eq!((never, began.elapsed()), (None, LONG));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_wakes_the_machine() {
        let (counter, _tasks) = counter();
        counter
            .ask(|counter, now| counter.rings_at = Some(now + Duration::from_secs(200)))
            .await;
        let began = Instant::now();
        let rung = |counter: &mut Counter, _| (counter.count == 1).then_some(());
        counter.poll("count", LONG, rung).await.unwrap();
        assert_eq!(began.elapsed().as_secs(), 200);
    }

    #[tokio::test]
    async fn the_owner_ends_with_its_last_handle() {
        let (counter, tasks) = counter();
        drop(counter);
        tasks.close();
        tasks.wait().await;
    }
}

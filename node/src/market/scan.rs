//! Scans: a look at what is on the market, without a part in it.

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, Utc};
use ya_client_model::NodeId;

use super::{
    board::{Board, Deadline, NoSubscription, Side, Subscription, Topic},
    constraint::Constraint,
    matching::Verdict,
};
use crate::id::SubscriptionId;

/// One look at all demands, or all offers, now and from now on.
#[derive(Debug)]
pub(super) struct Scan {
    owner: NodeId,
    side: Side,
    constraint: Constraint,
    /// What was not fetched yet.
    found: VecDeque<SubscriptionId>,
    /// How long it is kept without anybody who fetches.
    patience: Duration,
    unused_until: DateTime<Utc>,
}

impl Board {
    /// Begins to look at what one side offers or demands, as far as `constraint` holds for its properties. It ends by
    /// itself when nobody has fetched anything for as long as `patience`.
    pub(crate) fn scan(
        &mut self,
        owner: NodeId,
        side: Side,
        constraint: Constraint,
        patience: Duration,
        now: DateTime<Utc>,
    ) -> SubscriptionId {
        let id = self.ids.subscription();
        let found = self
            .subscriptions
            .iter()
            .filter(|(_, one)| shows(side, &constraint, one))
            .map(|(id, _)| id.clone())
            .collect();
        let scan = Scan {
            owner,
            side,
            constraint,
            found,
            patience,
            unused_until: now,
        };
        self.scans.insert(id.clone(), scan);
        self.use_scan(&id, Duration::ZERO, now);
        id
    }

    /// Ends a scan of the caller's.
    pub(crate) fn end_scan(
        &mut self,
        caller: NodeId,
        id: &SubscriptionId,
    ) -> Result<(), NoSubscription> {
        let unused_until = self.scan_of(caller, id)?.unused_until;
        self.scans.remove(id);
        self.deadlines
            .remove(&(unused_until, Deadline::Scan(id.clone())));
        self.changes.push(Topic::Subscription(id.clone()));
        Ok(())
    }

    /// Keeps a scan of the caller's for a time beyond its patience.
    pub(crate) fn keep_scan(
        &mut self,
        caller: NodeId,
        id: &SubscriptionId,
        time: Duration,
        now: DateTime<Utc>,
    ) -> Result<(), NoSubscription> {
        self.scan_of(caller, id)?;
        self.use_scan(id, time, now);
        Ok(())
    }

    /// Fetches what a scan of the caller's has found, of one node or of all; it is gone from here then.
    pub(super) fn collect_scanned(
        &mut self,
        caller: NodeId,
        id: &SubscriptionId,
        of: Option<NodeId>,
        at_most: usize,
    ) -> Result<Vec<SubscriptionId>, NoSubscription> {
        self.scan_of(caller, id)?;
        let mut fetched = Vec::new();
        let subscriptions = &self.subscriptions;
        if let Some(scan) = self.scans.get_mut(id) {
            scan.found.retain(|found| {
                let Some(one) = subscriptions.get(found) else {
                    return false;
                };
                let wanted = of.is_none_or(|owner| owner == one.owner);
                let fetch = wanted && fetched.len() < at_most;
                if fetch {
                    fetched.push(found.clone());
                }
                !fetch
            });
        }
        Ok(fetched)
    }

    fn scan_of(&self, caller: NodeId, id: &SubscriptionId) -> Result<&Scan, NoSubscription> {
        self.scans
            .get(id)
            .filter(|scan| scan.owner == caller)
            .ok_or_else(|| NoSubscription(id.clone()))
    }

    fn use_scan(&mut self, id: &SubscriptionId, time: Duration, now: DateTime<Utc>) {
        if let Some(scan) = self.scans.get_mut(id) {
            let until = now + time + scan.patience;
            if until > scan.unused_until {
                let deadline = Deadline::Scan(id.clone());
                self.deadlines
                    .remove(&(scan.unused_until, deadline.clone()));
                scan.unused_until = until;
                self.deadlines.insert((until, deadline));
            }
        }
    }

    /// Shows a new demand or offer to those who look.
    pub(super) fn show(&mut self, new: &SubscriptionId) {
        let Some(one) = self.subscriptions.get(new) else {
            return;
        };
        for (id, scan) in &mut self.scans {
            if shows(scan.side, &scan.constraint, one) {
                scan.found.push_back(new.clone());
                self.changes.push(Topic::Subscription(id.clone()));
            }
        }
    }

    /// Ends a scan that nobody has used for long enough.
    pub(super) fn drop_unused_scan(&mut self, id: &SubscriptionId, now: DateTime<Utc>) {
        if let Some(scan) = self.scans.get(id)
            && scan.unused_until <= now
        {
            self.scans.remove(id);
            self.changes.push(Topic::Subscription(id.clone()));
        }
    }
}

fn shows(side: Side, constraint: &Constraint, one: &Subscription) -> bool {
    one.side == side && constraint.verdict(&one.terms.properties) == Verdict::True
}

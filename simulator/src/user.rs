//! Users: where they are, what they use, and what they see of it.

use std::sync::Arc;

use crate::access::Requests;
use crate::arena::{ApplicationId, PatternId, StationId, SwitchId, Symbol, UserId};
use crate::json::Extra;
use crate::mobility::Mobility;
use crate::number::Number;
use crate::paths::Route;
use crate::position::Position;
use crate::simulation::{Reason, Simulation};
use crate::trace::Trace;

/// A user.
///
/// What it keeps of an application is kept under the application's id as text, in the order in which it came.
#[derive(Clone, Debug)]
pub struct User {
    /// The dataset's id.
    pub id: i64,
    /// Where it is.
    pub coordinates: Position,
    /// Where it is in each step, as far as it is known.
    pub trace: Trace,
    /// How it goes on when the trace ends.
    pub mobility: Mobility,
    /// The base station that it is connected to.
    pub station: Option<StationId>,
    /// The applications that it uses.
    pub applications: Vec<ApplicationId>,
    /// When it uses them.
    pub patterns: Vec<(Symbol, PatternId)>,
    /// What the way to an application's services takes; `None` if it was never found, infinite if a service is
    /// unavailable.
    pub delays: Vec<(Symbol, Option<Number>)>,
    /// The ways to an application's services: from the user to the first, from there to the second, and so on.
    pub paths: Vec<(Symbol, Vec<Arc<Route>>)>,
    /// In which steps it makes requests.
    pub requests: Vec<(Symbol, Requests)>,
    /// The step in which its place, its ways or their delays last changed.
    pub(crate) moved: u32,
    /// What else the dataset says.
    pub extra: Extra,
}

/// What is kept under `key`.
pub(crate) fn entry<T>(entries: &[(Symbol, T)], key: Symbol) -> Option<&T> {
    entries
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, entry)| entry)
}

fn set<T>(entries: &mut Vec<(Symbol, T)>, key: Symbol, entry: T) {
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some(known) => known.1 = entry,
        None => entries.push((key, entry)),
    }
}

impl Simulation {
    /// Lets a user make its requests and move.
    pub(crate) fn step_user(&mut self, user: UserId) -> Result<(), Reason> {
        for at in 0..self.model.users[user].applications.len() {
            let application = self.model.users[user].applications[at];
            self.access(user, application)?;
        }
        self.move_on(user)
    }

    /// Counts the current access, and finds if the next step has one.
    fn access(&mut self, user: UserId, application: ApplicationId) -> Result<(), Reason> {
        let step = self.model.current_step();
        let key = self.model.applications[application].key;
        let accessing = &self.model.users[user];
        let pattern = *entry(&accessing.patterns, key).ok_or_else(|| Reason::NoAccessPattern {
            user: accessing.id,
            application: self.model.applications[application].id,
        })?;
        let requesting = entry(&accessing.requests, key)
            .and_then(|requests| requests.get(step))
            .ok_or_else(|| Reason::RequestsUnknown {
                user: accessing.id,
                application: self.model.applications[application].id,
            })?;
        let available = self.is_available(application);
        let pattern = &mut self.model.patterns[pattern];
        let current = pattern.current_mut();
        let one = Number::Int(1);
        if requesting && available {
            current.access_time = current.access_time + one;
        } else if requesting {
            current.waiting_time = current.waiting_time + one;
        }
        let next = Number::Int(i64::from(step) + 1);
        let mut requests = current.start <= next && next <= current.end;
        if next == current.next_access {
            requests = true;
            pattern.append_next(step + 1, &mut self.random);
        }
        let known = &mut self.model.users[user].requests;
        let known = known.iter_mut().find(|(known, _)| *known == key);
        known
            .expect("this step's were found there")
            .1
            .set(step + 1, requests);
        Ok(())
    }

    /// If all services of an application are available.
    pub fn is_available(&self, application: ApplicationId) -> bool {
        (self.model.applications[application].services.iter())
            .all(|service| self.model.services[*service].available)
    }

    /// Moves a user to where its trace has it in this step.
    fn move_on(&mut self, user: UserId) -> Result<(), Reason> {
        let steps = self.model.steps;
        if self.model.users[user].trace.len() <= steps {
            self.extend_trace(user)?;
        }
        let moving = &self.model.users[user];
        let there = moving.trace.get(steps);
        let there = there.ok_or_else(|| match moving.mobility.kind {
            None => Reason::TraceEnded { user: moving.id },
            Some(kind) => Reason::WalkEmpty {
                user: moving.id,
                model: kind.name(),
            },
        })?;
        if self.model.positions.equal(moving.coordinates, there) {
            return Ok(());
        }
        let station = self.station_at(there);
        let moved = &mut self.model.users[user];
        moved.coordinates = there;
        moved.moved = steps + 1;
        moved.station = station;
        for at in 0..self.model.users[user].applications.len() {
            let application = self.model.users[user].applications[at];
            if self.is_available(application) {
                self.set_communication_path(user, application)?;
            } else {
                self.release_paths(user, application);
                let key = self.model.applications[application].key;
                let moved = &mut self.model.users[user];
                set(&mut moved.paths, key, Vec::new());
                set(&mut moved.delays, key, Some(Number::Float(f64::INFINITY)));
            }
        }
        Ok(())
    }

    /// Has the ways found, together, of the users that this step moves and whose places it knows already.
    pub(crate) fn look_ahead(&mut self) {
        if self.settings.threads < 2 {
            return;
        }
        let steps = self.model.steps;
        let mut ends = Vec::new();
        for user in self.model.users.places() {
            let moving = &self.model.users[user];
            let (here, there) = (moving.coordinates, moving.trace.get(steps));
            let Some(there) = there.filter(|there| !self.model.positions.equal(here, *there))
            else {
                continue;
            };
            let Some(start) = self.station_at(there) else {
                continue;
            };
            for application in &self.model.users[user].applications {
                if self.is_available(*application) {
                    self.push_ends(start, *application, &mut ends);
                }
            }
        }
        (self.paths).look_ahead(&self.model, ends, self.settings.threads);
    }

    /// Appends the switches between which requests of an application pass from `start` on.
    fn push_ends(
        &self,
        start: StationId,
        application: ApplicationId,
        ends: &mut Vec<(SwitchId, SwitchId)>,
    ) {
        let mut at = start;
        for service in &self.model.applications[application].services {
            let Some(server) = self.model.services[*service].server else {
                continue;
            };
            let station = self.model.servers[server].station;
            if station != at {
                let switch = |station: StationId| self.model.stations[station].switch;
                ends.push((switch(at), switch(station)));
            }
            at = station;
        }
    }

    /// The first base station at a position.
    fn station_at(&mut self, position: Position) -> Option<StationId> {
        if self.station_at.is_empty() {
            for (place, station) in self.model.stations.entries() {
                let position = self.model.positions.place(station.coordinates);
                self.station_at.entry(position).or_insert(place);
            }
        }
        let position = self.model.positions.place(position);
        self.station_at.get(&position).copied()
    }

    /// Finds the ways from a user to an application's services, and their delay.
    pub(crate) fn set_communication_path(
        &mut self,
        user: UserId,
        application: ApplicationId,
    ) -> Result<(), Reason> {
        self.release_paths(user, application);
        let mut at = (self.model.users[user].station).ok_or_else(|| self.no_station(user))?;
        let mut delay = self.model.stations[at].wireless_delay;
        let key = self.model.applications[application].key;
        let mut paths = Vec::new();
        for next in 0..self.model.applications[application].services.len() {
            let service = self.model.applications[application].services[next];
            let Some(server) = self.model.services[service].server else {
                continue;
            };
            let station = self.model.servers[server].station;
            let route = self.way(at, station)?;
            delay = delay + route.delay;
            if self.settings.link_applications {
                for link in &route.links {
                    let link = self.model.links.quietly(*link);
                    link.applications.insert(application);
                }
            }
            paths.push(route);
            at = station;
        }
        if !self.is_available(application) {
            delay = Number::Float(f64::INFINITY);
        }
        let step = self.model.current_step();
        let connected = &mut self.model.users[user];
        connected.moved = step;
        set(&mut connected.paths, key, paths);
        set(&mut connected.delays, key, Some(delay));
        Ok(())
    }

    /// The way with the least delay from one base station to another: none at all if it is the same.
    fn way(&mut self, one: StationId, two: StationId) -> Result<Arc<Route>, Reason> {
        if one == two {
            return Ok(Arc::clone(&self.no_way));
        }
        let from = self.model.stations[one].switch;
        let to = self.model.stations[two].switch;
        (self.paths.least_delay(&self.model, from, to)).ok_or_else(|| self.no_path(from, to))
    }

    /// With `release` corrected, takes an application off the links of a user's ways.
    fn release_paths(&mut self, user: UserId, application: ApplicationId) {
        if !self.settings.corrections.release || !self.settings.link_applications {
            return;
        }
        let key = self.model.applications[application].key;
        let routes = entry(&self.model.users[user].paths, key).cloned();
        for route in routes.into_iter().flatten() {
            for link in &route.links {
                let link = self.model.links.quietly(*link);
                link.applications.remove(application);
            }
        }
    }

    fn no_station(&self, user: UserId) -> Reason {
        let user = &self.model.users[user];
        let mut coordinates = String::new();
        (self.model.positions).write_python(user.coordinates, &mut coordinates);
        Reason::NoBaseStation {
            user: user.id,
            coordinates,
        }
    }
}

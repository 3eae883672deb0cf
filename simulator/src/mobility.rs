//! How users move when their trace has ended.

use crate::arena::{Place, StationId, SwitchId, UserId};
use crate::model::find;
use crate::number::Number;
use crate::position::Position;
use crate::simulation::{Reason, Simulation};

/// How a user moves when its trace has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Mobility {
    /// The way of it; none if the trace is all there is.
    pub kind: Option<MobilityKind>,
    /// How long it takes to the next place, in seconds. `None`: a minute.
    pub seconds_to_move: Option<Number>,
    /// How many walks `pathway` appends at once. `None`: one.
    pub walks: Option<i64>,
    /// How many moves `random_mobility` appends at once. `None`: five.
    pub moves: Option<i64>,
}

/// The most steps that a user stays at a place of an appended walk, whatever the dataset says.
const MOST_STEPS_TO_MOVE: u32 = 1_000_000;
/// The most places that a user goes to, one after the other: some 32 MB.
const MOST_PLACES: usize = 4 << 20;

/// A way of moving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MobilityKind {
    /// To a place drawn at random, on the way with the fewest hops.
    Pathway,
    /// To a neighbour drawn at random.
    Random,
}

impl MobilityKind {
    /// Its name in datasets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pathway => "pathway",
            Self::Random => "random_mobility",
        }
    }

    /// The way of moving with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Pathway, Self::Random]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl Simulation {
    /// Appends to a user's trace.
    pub(crate) fn extend_trace(&mut self, user: UserId) -> Result<(), Reason> {
        match self.model.users[user].mobility.kind {
            Some(MobilityKind::Pathway) => self.walk(user),
            Some(MobilityKind::Random) => self.wander(user),
            None => Ok(()),
        }
    }

    fn walk(&mut self, user: UserId) -> Result<(), Reason> {
        let walks = self.model.users[user].mobility.walks.unwrap_or(1);
        let mut at = self.station_of(user)?;
        let mut here = self.model.users[user].coordinates;
        for _ in 0..walks {
            // Of all stations but this one.
            let others = self.model.stations.len() - 1;
            let drawn = (self.random.choice(others)).ok_or(Reason::NowhereToGo {
                user: self.model.users[user].id,
            })?;
            let target = StationId::new(drawn + usize::from(drawn >= at.index()));
            let from = self.model.stations[at].switch;
            let to = self.model.stations[target].switch;
            let route = (self.paths.fewest_hops(&self.model, from, to))
                .ok_or_else(|| self.no_path(from, to))?;
            let mut places = Vec::with_capacity(route.switches.len());
            for switch in &route.switches {
                places.push(self.place_of(*switch));
            }
            let positions = &self.model.positions;
            if places
                .first()
                .is_some_and(|first| positions.equal(*first, here))
            {
                places.remove(0);
            }
            if self.model.users[user].trace.stays() + places.len() > MOST_PLACES {
                return Err(Reason::WalkTooLong {
                    user: self.model.users[user].id,
                    walks,
                    limit: MOST_PLACES,
                });
            }
            self.append(user, &places);
            here = places.last().copied().unwrap_or(here);
            at = target;
        }
        Ok(())
    }

    fn wander(&mut self, user: UserId) -> Result<(), Reason> {
        let moves = self.model.users[user].mobility.moves.unwrap_or(5);
        let mut at = self.model.stations[self.station_of(user)?].switch;
        let mut places = Vec::new();
        for _ in 0..moves {
            let neighbours = self.model.topology.neighbours(at);
            let drawn = (self.random.choice(neighbours.len())).ok_or(Reason::NowhereToGo {
                user: self.model.users[user].id,
            })?;
            at = neighbours[drawn].0;
            places.push(self.place_of(at));
        }
        self.append(user, &places);
        Ok(())
    }

    fn station_of(&self, user: UserId) -> Result<StationId, Reason> {
        let wandering = &self.model.users[user];
        (wandering.station).ok_or_else(|| {
            let mut coordinates = String::new();
            (self.model.positions).write_python(wandering.coordinates, &mut coordinates);
            Reason::NoBaseStation {
                user: wandering.id,
                coordinates,
            }
        })
    }

    /// Where a user is that is at a switch: at its base station.
    fn place_of(&self, switch: SwitchId) -> Position {
        let switch = &self.model.switches[switch];
        match switch.station {
            Some(station) => self.model.stations[station].coordinates,
            None => find(&self.model.stations, |station| {
                (self.model.positions).equal(station.coordinates, switch.coordinates)
            })
            .map_or(switch.coordinates, |station| {
                self.model.stations[station].coordinates
            }),
        }
    }

    /// Appends places to a trace, each for as many steps as it takes to the next.
    fn append(&mut self, user: UserId, places: &[Position]) {
        let moving = &self.model.users[user].mobility;
        let seconds = moving.seconds_to_move.unwrap_or(Number::Int(60));
        let steps = (seconds.value() / self.settings.tick_seconds) as u32;
        let steps = steps.clamp(1, MOST_STEPS_TO_MOVE);
        let trace = &mut self.model.users[user].trace;
        for place in places {
            trace.push(*place, steps);
        }
    }
}

//! Switches, the links between them, and the base stations that users and servers are at.

use rustc_hash::FxHashMap;

use crate::arena::{ApplicationId, LinkId, Place, ServerId, StationId, SwitchId, UserId};
use crate::json::Extra;
use crate::number::Number;
use crate::position::Position;
use crate::power::SwitchPower;

/// A network switch.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The dataset's id.
    pub id: i64,
    /// Where it stands.
    pub coordinates: Position,
    /// If it is on. Quirk `inactive-switch`: nothing looks at it.
    pub active: bool,
    /// What it draws.
    pub power: SwitchPower,
    /// The servers behind it.
    pub servers: Vec<ServerId>,
    /// Its links, as far as the dataset lists them. Nothing looks at it: the topology is made of the links' ends.
    pub links: Vec<LinkId>,
    /// Its base station.
    pub station: Option<StationId>,
    /// What else the dataset says.
    pub extra: Extra,
}

/// A link between two switches, the same in both directions.
#[derive(Clone, Debug)]
pub struct Link {
    /// The dataset's id.
    pub id: i64,
    /// What it adds to the delay of what passes through.
    pub delay: Number,
    /// What passes through in a step, in MB, both directions together.
    pub bandwidth: Number,
    /// If it is on: an inactive link's ports draw no power. Quirk `inactive-link`: transfers pass all the same.
    pub active: bool,
    /// Its ends.
    pub nodes: [SwitchId; 2],
    /// The applications whose users' paths pass through. Quirk `paths-stay`: they are never taken off.
    pub applications: Applications,
    /// What else the dataset says.
    pub extra: Extra,
}

/// Applications in the order in which they came, each once.
#[derive(Clone, Debug, Default)]
pub struct Applications {
    order: Vec<ApplicationId>,
    paths: FxHashMap<ApplicationId, u32>,
}

impl Applications {
    pub(crate) fn insert(&mut self, application: ApplicationId) {
        let paths = self.paths.entry(application).or_default();
        *paths += 1;
        if *paths == 1 {
            self.order.push(application);
        }
    }

    /// Says how many paths an application that is known already has here.
    pub(crate) fn count(&mut self, application: ApplicationId, paths: u32) {
        if let Some(known) = self.paths.get_mut(&application) {
            *known = paths;
        }
    }

    pub(crate) fn remove(&mut self, application: ApplicationId) {
        if let Some(paths) = self.paths.get_mut(&application) {
            *paths -= 1;
            if *paths == 0 {
                self.paths.remove(&application);
                self.order.retain(|other| *other != application);
            }
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, ApplicationId> {
        self.order.iter()
    }
}

/// A base station: where users connect.
#[derive(Clone, Debug)]
pub struct BaseStation {
    /// The dataset's id.
    pub id: i64,
    /// Where it stands.
    pub coordinates: Position,
    /// What the way through the air adds to a user's delay.
    pub wireless_delay: Number,
    /// The users that the dataset has here. Quirk `users-stay`: it is not kept up as they move.
    pub users: Vec<UserId>,
    /// The servers that stand here.
    pub servers: Vec<ServerId>,
    /// The switch that it is connected to.
    pub switch: SwitchId,
    /// What else the dataset says.
    pub extra: Extra,
}

/// Which switches are linked: for each, its neighbours and the links to them, in the order of the dataset's links.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    neighbours: Vec<Vec<(SwitchId, LinkId)>>,
    /// The parts that are connected in themselves: a number for each switch.
    part: Vec<u32>,
    parts: u32,
}

impl Topology {
    /// The topology of `switches` switches and these links.
    ///
    /// A second link between the same two takes the first one's place: nothing passes through the first.
    pub(crate) fn new(
        switches: usize,
        links: impl Iterator<Item = (LinkId, [SwitchId; 2])>,
    ) -> Self {
        let mut neighbours: Vec<Vec<(SwitchId, LinkId)>> = vec![Vec::new(); switches];
        for (link, [one, two]) in links {
            for (from, to) in [(one, two), (two, one)] {
                let neighbours = &mut neighbours[from.index()];
                match neighbours.iter_mut().find(|(switch, _)| *switch == to) {
                    Some(known) => known.1 = link,
                    None => neighbours.push((to, link)),
                }
            }
        }
        let mut topology = Self {
            neighbours,
            part: vec![u32::MAX; switches],
            parts: 0,
        };
        topology.find_parts();
        topology
    }

    fn find_parts(&mut self) {
        for start in 0..self.neighbours.len() {
            if self.part[start] != u32::MAX {
                continue;
            }
            self.part[start] = self.parts;
            let mut open = vec![start];
            while let Some(switch) = open.pop() {
                for (next, _) in &self.neighbours[switch] {
                    if self.part[next.index()] == u32::MAX {
                        self.part[next.index()] = self.parts;
                        open.push(next.index());
                    }
                }
            }
            self.parts += 1;
        }
    }

    /// How many switches there are.
    pub fn switches(&self) -> usize {
        self.neighbours.len()
    }

    /// The neighbours of a switch, and the links to them.
    pub fn neighbours(&self, switch: SwitchId) -> &[(SwitchId, LinkId)] {
        &self.neighbours[switch.index()]
    }

    /// If there is a way from one switch to another.
    pub fn connected(&self, one: SwitchId, two: SwitchId) -> bool {
        self.part[one.index()] == self.part[two.index()]
    }

    /// If there is a way from every switch to every other.
    pub fn is_whole(&self) -> bool {
        self.parts <= 1
    }

    /// The link between two neighbours.
    pub fn link(&self, one: SwitchId, two: SwitchId) -> Option<LinkId> {
        self.neighbours(one)
            .iter()
            .find(|(switch, _)| *switch == two)
            .map(|(_, link)| *link)
    }
}

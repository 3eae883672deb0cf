//! A run in a few numbers.

use serde::{Deserialize, Serialize};

use super::Timeline;
use super::timeline::{DELAY_OF_USERS, POWER_OF_ALL};
use crate::flow::Cargo;
use crate::settings::{Corrections, Settings};
use crate::simulation::Simulation;

/// A run in a few numbers. Times are in steps, sizes in MB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What was run.
    pub run: Setup,
    /// The steps done.
    pub steps: u32,
    /// How many servers there are.
    pub servers: usize,
    /// How many services there are.
    pub services: usize,
    /// How many of them have a server.
    pub hosted: usize,
    /// How many users there are.
    pub users: usize,
    /// How long first placements took, from being decided to running.
    pub time_to_running: Distribution,
    /// How long moves from one server to another took.
    pub migration_time: Distribution,
    /// How long services were unavailable while their state moved.
    pub downtime: Distribution,
    /// Placements and moves that were under way at the end.
    pub unfinished: usize,
    /// The layers that were transferred.
    pub layer_transfers: usize,
    /// How much that was.
    pub layer_megabytes: f64,
    /// The states that were transferred.
    pub state_transfers: usize,
    /// How much that was.
    pub state_megabytes: f64,
    /// The mean delay of users, while they had one.
    pub mean_delay: f64,
    /// The share of steps in which an application of a user was unavailable.
    pub unavailable: f64,
    /// The mean of what all servers and switches drew.
    pub mean_power: f64,
    /// The mean CPU demand of servers, in percent.
    pub mean_cpu: f64,
    /// The highest CPU demand of a server, in percent.
    pub highest_cpu: f64,
    /// The highest load of a link, in percent.
    pub highest_link_load: f64,
    /// Why the run ended early, if it did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// What was run: who has the same has the same results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The dataset's name. It is whoever simulates who knows it.
    pub dataset: String,
    /// What tells the dataset from others, whatever its name.
    pub dataset_hash: String,
    /// What decided. It is whoever simulates who knows it.
    pub policy: String,
    /// The names of the corrections.
    pub corrections: Vec<String>,
    /// How flows shared a link.
    pub flow_scheduling: String,
    /// What random choices followed from.
    pub seed: u64,
    /// The seconds of a step.
    pub tick_seconds: f64,
}

impl Setup {
    fn of(settings: &Settings) -> Self {
        let corrections = settings.corrections.names();
        Self {
            corrections: corrections.into_iter().map(str::to_owned).collect(),
            flow_scheduling: settings.flow_scheduling.name().to_owned(),
            seed: settings.seed,
            tick_seconds: settings.tick_seconds,
            ..Self::default()
        }
    }

    /// What it says, by name, for tables.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let corrections = match &self.corrections[..] {
            [] => "none".to_owned(),
            all if all.len() == Corrections::NAMES.len() => "all".to_owned(),
            some => some.join(","),
        };
        vec![
            ("dataset", self.dataset.clone()),
            ("policy", self.policy.clone()),
            ("corrections", corrections),
            ("flow scheduling", self.flow_scheduling.clone()),
            ("seed", self.seed.to_string()),
            ("seconds of a step", self.tick_seconds.to_string()),
        ]
    }
}

/// How values are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// How many there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// What half of them do not exceed.
    pub median: f64,
    /// What 95 of 100 do not exceed.
    pub p95: f64,
    /// The highest.
    pub highest: f64,
}

impl Distribution {
    /// The distribution of these values; all zero if there are none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let Some(highest) = values.last().copied() else {
            return Self::default();
        };
        let count = values.len();
        let part = |part: f64| values[((count as f64 * part).ceil() as usize).clamp(1, count) - 1];
        Self {
            count,
            mean: values.iter().sum::<f64>() / count as f64,
            median: part(0.5),
            p95: part(0.95),
            highest,
        }
    }
}

impl Summary {
    pub(super) fn new(simulation: &Simulation, timeline: &Timeline, unavailable: f64) -> Self {
        let model = simulation.model();
        let (mut placements, mut moves, mut downtimes) = (Vec::new(), Vec::new(), Vec::new());
        let mut unfinished = 0;
        for migration in model
            .services
            .iter()
            .flat_map(|service| &service.migrations)
        {
            let Some(end) = migration.end else {
                unfinished += 1;
                continue;
            };
            let took = f64::from(end - migration.start);
            match migration.origin {
                None => placements.push(took),
                Some(_) => moves.push(took),
            }
            if migration.migrating_service_state_time > 0 {
                downtimes.push(f64::from(migration.migrating_service_state_time));
            }
        }
        let mut transferred = [(0, 0.0); 2];
        for flow in model.flows.iter() {
            let at = match flow.cargo {
                Cargo::Layer(_) => 0,
                Cargo::State(_) => 1,
            };
            transferred[at].0 += 1;
            transferred[at].1 += flow.size.value() - flow.remaining.value();
        }
        let (mean_cpu, highest_cpu) = timeline.mean_and_highest("CPU demand of servers, %");
        Self {
            run: Setup::of(simulation.settings()),
            steps: model.steps(),
            servers: model.servers.len(),
            services: model.services.len(),
            hosted: (model.services.iter())
                .filter(|service| service.server.is_some())
                .count(),
            users: model.users.len(),
            time_to_running: Distribution::of(placements),
            migration_time: Distribution::of(moves),
            downtime: Distribution::of(downtimes),
            unfinished,
            layer_transfers: transferred[0].0,
            layer_megabytes: transferred[0].1,
            state_transfers: transferred[1].0,
            state_megabytes: transferred[1].1,
            mean_delay: timeline.mean_and_highest(DELAY_OF_USERS).0,
            unavailable,
            mean_power: timeline.mean_and_highest(POWER_OF_ALL).0,
            mean_cpu,
            highest_cpu,
            highest_link_load: timeline.mean_and_highest("load of links, %").1,
            error: None,
        }
    }

    /// Its numbers with what they are, for tables: the name, the unit, and the value.
    pub fn rows(&self) -> Vec<(&'static str, &'static str, f64)> {
        vec![
            ("services with a server", "", self.hosted as f64),
            ("time to running, mean", "steps", self.time_to_running.mean),
            ("time to running, 95 %", "steps", self.time_to_running.p95),
            (
                "time to running, highest",
                "steps",
                self.time_to_running.highest,
            ),
            ("migrations", "", self.migration_time.count as f64),
            ("migration time, mean", "steps", self.migration_time.mean),
            ("downtime, mean", "steps", self.downtime.mean),
            ("under way at the end", "", self.unfinished as f64),
            ("layers transferred", "MB", self.layer_megabytes),
            ("state transferred", "MB", self.state_megabytes),
            ("delay of users, mean", "", self.mean_delay),
            ("unavailable to users", "%", self.unavailable * 100.0),
            ("power, mean", "W", self.mean_power),
            ("CPU demand, mean", "%", self.mean_cpu),
            ("CPU demand, highest", "%", self.highest_cpu),
            ("link load, highest", "%", self.highest_link_load),
        ]
    }
}

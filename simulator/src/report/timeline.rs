//! How things went over time.

use serde::{Deserialize, Serialize};

use super::load::Load;
use super::{Series, Span};
use crate::arena::{LinkId, Place, ServerId, ServiceId, UserId};
use crate::model::Model;
use crate::service::{MigrationStatus, Service};
use crate::simulation::Simulation;

/// How things went over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// The steps done.
    pub steps: u32,
    /// How many services there are; the first of them have a bar.
    pub services: usize,
    /// What the first services were doing.
    pub bars: Vec<Bar>,
    /// Lines over time, by what they are of.
    pub panels: Vec<Panel>,
    /// The links' loads in percent, with their ids: at the end of a run, those of the busiest.
    pub links: Vec<Line>,
    /// Over how many links something has passed, as far as links are followed one by one.
    pub links_used: usize,
}

/// What a service was doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Whose bar it is.
    pub name: String,
    /// One after the other.
    pub phases: Vec<Phase>,
    /// The step from which on it is not told, if there were too many.
    pub cut: Option<u32>,
}

/// What a service was doing for some steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What.
    pub kind: PhaseKind,
    /// From the beginning of this step.
    pub first: u32,
    /// To the end of this step.
    pub last: u32,
}

/// What a service can be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// It runs nowhere and is on no way.
    Absent,
    /// No layer has come or is on its way.
    Waiting,
    /// Layers come, and it runs nowhere yet.
    Pulling,
    /// It runs while layers come for a move, and users can use it.
    Moving,
    /// Its state moves, and nobody can use it.
    Migrating,
    /// It runs.
    Up,
}

/// Lines that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// What the lines are of.
    pub title: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its values.
    pub series: Series,
}

impl Line {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            series: Series::new(),
        }
    }

    /// If its values are the highest of several objects.
    pub fn is_highest(&self) -> bool {
        self.name == HIGHEST
    }

    /// What is drawn of it. Where many steps are one bin it is their mean or, of a line of the highest, their highest.
    pub fn spans(&self) -> Vec<Span> {
        if self.is_highest() {
            self.series.peaks().collect()
        } else {
            self.series.means().collect()
        }
    }
}

/// The names of the lines of many objects together.
const MEAN: &str = "mean";
const HIGHEST: &str = "highest";

/// The most services that have a bar.
const BARS: usize = 40;
/// The most phases of a bar: what comes later is not told.
const PHASES: usize = 400;
/// The most objects of a class that have a line each; of more there is one of their mean and one of their highest.
const LINES: usize = 8;
/// The most links that are followed one by one.
const LINKS: usize = 2000;

/// The most links that are told of at the end.
const BUSIEST: usize = 30;

/// The unit is the dataset's: that of its links' and base stations' delays.
pub(super) const DELAY_OF_USERS: &str = "delay of users, in the dataset's unit";
pub(super) const POWER_OF_ALL: &str = "power of servers and switches, W";

const CPU: usize = 0;
const MEMORY: usize = 1;
const DISK: usize = 2;
const DELAY: usize = 3;
const SERVED: usize = 4;
const POWER: usize = 5;
const FLOWS: usize = 6;
const LOAD: usize = 7;

impl Timeline {
    pub(super) fn new(model: &Model) -> Self {
        let each = |ids: Vec<i64>, name: &str| -> Vec<Line> {
            if ids.len() > LINES {
                return vec![Line::new(MEAN), Line::new(HIGHEST)];
            }
            (ids.iter())
                .map(|id| Line::new(format!("{name} {id}")))
                .collect()
        };
        let servers = || each(model.servers.iter().map(|at| at.id).collect(), "server");
        let users = || each(model.users.iter().map(|at| at.id).collect(), "user");
        let panel = |title: &str, lines| Panel {
            title: title.to_owned(),
            lines,
        };
        let links = if model.links.len() > LINKS {
            Vec::new()
        } else {
            (model.links.iter())
                .map(|link| Line::new(link.id.to_string()))
                .collect()
        };
        Self {
            steps: 0,
            services: model.services.len(),
            bars: (model.services.iter().take(BARS))
                .map(|service| Bar {
                    name: format!("service {}", service.id),
                    phases: Vec::new(),
                    cut: None,
                })
                .collect(),
            panels: vec![
                panel("CPU demand of servers, %", servers()),
                panel("memory demand of servers, %", servers()),
                panel("disk demand of servers, %", servers()),
                panel(DELAY_OF_USERS, users()),
                panel(
                    "users' applications that are available, %",
                    vec![Line::new("all")],
                ),
                panel(POWER_OF_ALL, vec![Line::new("all")]),
                panel("transfers under way", vec![Line::new("all")]),
                panel(
                    "load of links, %",
                    vec![Line::new(MEAN), Line::new(HIGHEST)],
                ),
            ],
            links,
            links_used: 0,
        }
    }

    /// Keeps of the links the busiest, the busiest first.
    pub(super) fn finish(&mut self) {
        let mean = |line: &Line| line.series.mean().unwrap_or_default();
        self.links.retain(|line| mean(line) > 0.0);
        self.links_used = self.links.len();
        self.links
            .sort_by(|one, two| mean(two).total_cmp(&mean(one)));
        self.links.truncate(BUSIEST);
    }

    pub(super) fn observe(&mut self, simulation: &Simulation, load: &Load) {
        let model = simulation.model();
        self.steps = model.steps();
        for (at, bar) in self.bars.iter_mut().enumerate() {
            bar.note(phase(&model.services[ServiceId::new(at)]), self.steps);
        }
        let percent = |part: f64, of: f64| (of > 0.0).then(|| part / of * 100.0);
        let servers = || (0..model.servers.len()).map(|at| &model.servers[ServerId::new(at)]);
        self.push(
            CPU,
            servers().map(|server| percent(server.cpu_demand.value(), server.cpu.value())),
        );
        self.push(
            MEMORY,
            servers().map(|server| percent(server.memory_demand.value(), server.memory.value())),
        );
        self.push(
            DISK,
            servers().map(|server| percent(server.disk_demand.value(), server.disk.value())),
        );
        let delay = |at| {
            // A user of several applications has the longest delay of them.
            let user = &model.users[UserId::new(at)];
            (user.delays.iter())
                .filter_map(|(_, delay)| delay.map(|delay| delay.value()))
                .max_by(f64::total_cmp)
        };
        self.push(DELAY, (0..model.users.len()).map(delay));
        let used = || model.users.iter().flat_map(|user| &user.applications);
        let served = used().filter(|application| simulation.is_available(**application));
        let served = percent(served.count() as f64, used().count() as f64);
        self.panels[SERVED].lines[0].series.push(served);
        let power = model.total_power();
        self.panels[POWER].lines[0].series.push(Some(power));
        let flows = simulation.active_flows().len() as f64;
        self.panels[FLOWS].lines[0].series.push(Some(flows));
        let load = |at| load.percent(model, LinkId::new(at));
        self.push_both(LOAD, (0..model.links.len()).map(load));
        for (at, line) in self.links.iter_mut().enumerate() {
            line.series.push(load(at));
        }
    }

    /// Appends a value for each of the objects that a panel is of.
    fn push(&mut self, panel: usize, values: impl Iterator<Item = Option<f64>>) {
        let lines = &mut self.panels[panel].lines;
        if lines.first().is_some_and(|line| line.name == MEAN) {
            self.push_both(panel, values);
        } else {
            for (line, value) in lines.iter_mut().zip(values) {
                line.series.push(value);
            }
        }
    }

    fn push_both(&mut self, panel: usize, values: impl Iterator<Item = Option<f64>>) {
        let (mut sum, mut count, mut highest) = (0.0, 0u32, None);
        for value in values.flatten().filter(|value| value.is_finite()) {
            sum += value;
            count += 1;
            highest = Some(f64::max(value, highest.unwrap_or(value)));
        }
        let mean = (count > 0).then(|| sum / f64::from(count));
        let lines = &mut self.panels[panel].lines;
        lines[0].series.push(mean);
        lines[1].series.push(highest);
    }

    /// The mean of all values of a panel, and the highest.
    pub(super) fn mean_and_highest(&self, title: &str) -> (f64, f64) {
        let panel = self.panels.iter().find(|panel| panel.title == title);
        let lines = panel.map_or(&[][..], |panel| &panel.lines);
        let means: Vec<f64> = (lines.iter())
            .filter(|line| !line.is_highest())
            .filter_map(|line| line.series.mean())
            .collect();
        let mean = means.iter().fold(0.0, |sum, mean| sum + mean) / means.len().max(1) as f64;
        let highest = (lines.iter())
            .filter_map(|line| line.series.highest())
            .max_by(f64::total_cmp);
        (mean, highest.unwrap_or_default())
    }
}

fn phase(service: &Service) -> PhaseKind {
    match service.ongoing().map(|migration| migration.status) {
        Some(MigrationStatus::MigratingServiceState) => PhaseKind::Migrating,
        // Its state has come; it is up from the next step on.
        Some(MigrationStatus::Finished) if !service.available => PhaseKind::Migrating,
        Some(_) if service.server.is_some() => PhaseKind::Moving,
        Some(MigrationStatus::Waiting) => PhaseKind::Waiting,
        Some(_) => PhaseKind::Pulling,
        None if service.server.is_some() => PhaseKind::Up,
        None => PhaseKind::Absent,
    }
}

impl Bar {
    fn note(&mut self, kind: PhaseKind, step: u32) {
        if self.cut.is_some() {
            return;
        }
        let full = self.phases.len() == PHASES;
        match self.phases.last_mut() {
            Some(last) if last.kind == kind => last.last = step,
            _ if full => self.cut = Some(step),
            _ => self.phases.push(Phase {
                kind,
                first: step,
                last: step,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bar, PHASES, PhaseKind};

    #[test]
    fn what_comes_after_too_many_phases_is_not_told() {
        let mut bar = Bar {
            name: String::new(),
            phases: Vec::new(),
            cut: None,
        };
        for step in 0..1000 {
            let kind = [PhaseKind::Up, PhaseKind::Moving][step as usize % 2];
            bar.note(kind, step);
        }
        assert_eq!((bar.phases.len(), bar.cut), (PHASES, Some(PHASES as u32)));
        let last = bar.phases.last().unwrap();
        assert_eq!(
            (last.first, last.last),
            (PHASES as u32 - 1, PHASES as u32 - 1)
        );
    }
}

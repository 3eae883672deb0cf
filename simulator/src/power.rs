//! What servers and switches draw.
//!
//! Sums and products are taken in one order, so that the last digit agrees with other programs.

use crate::arena::{Place, ServerId, SwitchId};
use crate::model::Model;
use crate::number::Number;
use crate::server::Server;

/// How a server's power follows from the share of its CPU that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerPowerModel {
    /// In proportion to it.
    Linear,
    /// To its square. Quirk `steep-power`: of the percentage, so it goes far beyond the maximum.
    Square,
    /// To its cube, with the same quirk.
    Cubic,
}

impl ServerPowerModel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Square, Self::Cubic];

    /// Its name in datasets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "LinearServerPowerModel",
            Self::Square => "SquareServerPowerModel",
            Self::Cubic => "CubicServerPowerModel",
        }
    }

    /// The model with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }
}

/// What a server draws.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerPower {
    /// How it follows from the demand; without one it draws nothing.
    pub model: Option<ServerPowerModel>,
    /// The most it draws.
    pub max: Number,
    /// The share of `max` that it draws when idle.
    pub static_share: Number,
}

/// What a switch draws.
#[derive(Clone, Debug, Default)]
pub struct SwitchPower {
    /// If it draws anything: `ConteratoNetworkPowerModel` in datasets.
    pub modelled: bool,
    /// What it draws without its ports.
    pub chassis: Number,
    /// What a port draws, by the bandwidth of its link as Python prints it.
    pub ports: Vec<(String, Number)>,
}

/// The name of the one model of a switch's power.
pub const SWITCH_POWER_MODEL: &str = "ConteratoNetworkPowerModel";

impl Server {
    /// What it draws when so much CPU is asked for. `None` where its CPU is zero, so that no share of it can be told.
    pub fn power_with(&self, cpu_demand: Number) -> Option<Number> {
        let Some(model) = self.power.model else {
            return Some(Number::ZERO);
        };
        if !self.active {
            return Some(Number::ZERO);
        }
        if self.cpu.is_zero() {
            return None;
        }
        let max = self.power.max.value();
        let idle = max * self.power.static_share.value();
        let per_percent = (max - idle) / 100.0;
        let used = cpu_demand.value() / self.cpu.value();
        Some(Number::Float(match model {
            ServerPowerModel::Linear => idle + per_percent * used * 100.0,
            ServerPowerModel::Square => idle + per_percent * (used * 100.0).powi(2),
            ServerPowerModel::Cubic => idle + per_percent * (used * 100.0).powf(3.0),
        }))
    }
}

impl Model {
    /// What a server draws now. `None` where its CPU is zero, so that no share of it can be told.
    pub fn server_power(&self, server: ServerId) -> Option<Number> {
        let server = &self.servers[server];
        server.power_with(server.cpu_demand)
    }

    /// What a switch draws now. `None` where one of its ports has a bandwidth that its table does not.
    ///
    /// Quirk `port-by-text`: the table is searched for the bandwidth's text: a link of `10.0` is not in a table of
    /// `"10"`.
    pub fn switch_power(&self, switch: SwitchId) -> Option<Number> {
        let power = &self.switches[switch].power;
        if !power.modelled {
            return Some(Number::ZERO);
        }
        let mut ports = Number::ZERO;
        let mut bandwidth = String::new();
        for (_, link) in self.topology.neighbours(switch) {
            let link = &self.links[*link];
            if link.active {
                bandwidth.clear();
                link.bandwidth.write_python(&mut bandwidth);
                let (_, port) = power.ports.iter().find(|(text, _)| *text == bandwidth)?;
                ports = ports + *port;
            }
        }
        Some(power.chassis + ports)
    }

    /// What all servers and switches draw now, as far as it can be told.
    pub fn total_power(&self) -> f64 {
        let servers = (0..self.servers.len()).map(|at| self.server_power(ServerId::new(at)));
        let switches = (0..self.switches.len()).map(|at| self.switch_power(SwitchId::new(at)));
        servers.chain(switches).flatten().map(Number::value).sum()
    }
}

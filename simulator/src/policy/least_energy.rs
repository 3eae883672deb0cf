//! Every service to where it adds least to what is drawn.

use super::{Policy, Turn, homeless};
use crate::arena::{ServerId, ServiceId};
use crate::power::ServerPowerModel;
use crate::simulation::Reason;

/// Brings every service that has no server to the one with room for it whose power grows least by it. A server that is
/// asked for nothing yet counts with all that it draws: it could be switched off.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastEnergy;

impl Policy for LeastEnergy {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for service in homeless(turn) {
            let best = (turn.servers.places())
                .filter(|server| turn.has_capacity_to_host(*server, service))
                .map(|server| (added_power(turn, server, service), server))
                .min_by(|one, two| one.0.total_cmp(&two.0));
            if let Some((_, server)) = best {
                turn.provision(service, server)?;
            }
        }
        Ok(())
    }
}

/// What a server would draw with a service, less what it draws without.
fn added_power(turn: &Turn<'_>, server: ServerId, service: ServiceId) -> f64 {
    let host = &turn.servers[server];
    let Some(model) = host.power.model else {
        return 0.0;
    };
    let max = host.power.max.value();
    let idle = max * host.power.static_share.value();
    let exponent = match model {
        ServerPowerModel::Linear => 1.0,
        ServerPowerModel::Square => 2.0,
        ServerPowerModel::Cubic => 3.0,
    };
    let draws = |demand: f64| {
        let percent = demand / host.cpu.value() * 100.0;
        idle + (max - idle) / 100.0 * percent.powf(exponent)
    };
    let (now, more) = (
        host.cpu_demand.value(),
        turn.services[service].cpu_demand.value(),
    );
    draws(now + more) - if now == 0.0 { 0.0 } else { draws(now) }
}

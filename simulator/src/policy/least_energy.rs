//! Every service to where it adds least to what is drawn.

use super::{Policy, Turn, homeless};
use crate::arena::{ServerId, ServiceId};
use crate::simulation::Reason;

/// Brings every service that has no server to the one with room for it whose power grows least by it. A server that is
/// asked for nothing yet counts with all that it draws: it could be switched off. One that is off is not taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastEnergy;

impl Policy for LeastEnergy {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for service in homeless(turn) {
            let best = (turn.servers.places())
                .filter(|server| turn.servers[*server].active)
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

/// What a server would draw with a service, less what it draws without. Where that cannot be told, it is the last to be
/// taken.
fn added_power(turn: &Turn<'_>, server: ServerId, service: ServiceId) -> f64 {
    let host = &turn.servers[server];
    let now = host.cpu_demand;
    let draws = |demand| (host.power_with(demand)).map_or(f64::INFINITY, |power| power.value());
    let before = if now.is_zero() { 0.0 } else { draws(now) };
    match draws(now + turn.services[service].cpu_demand) {
        f64::INFINITY => f64::INFINITY,
        with => with - before,
    }
}

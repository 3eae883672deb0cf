//! Every service once, to where its users wait least.

use super::{Policy, Turn, homeless};
use crate::arena::{Place, ServerId, ServiceId, SwitchId};
use crate::simulation::Reason;

/// Brings every service that has no server to the one with room for it to which the ways of all of its users take the
/// least delay together; it stays there.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastDelay;

impl Policy for LeastDelay {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for service in homeless(turn) {
            let users = user_switches(turn, service);
            let delays: Vec<_> = (users.into_iter())
                .map(|user| turn.delays_from(user))
                .collect();
            let mut best: Option<(f64, ServerId)> = None;
            for server in turn.servers.places() {
                if !turn.has_capacity_to_host(server, service) {
                    continue;
                }
                let switch = turn.switch_of(server).index();
                let delay: f64 = (delays.iter())
                    .map(|from_user| from_user[switch].map_or(f64::INFINITY, |at| at.value()))
                    .sum();
                if best.is_none_or(|(least, _)| delay < least) {
                    best = Some((delay, server));
                }
            }
            if let Some((_, server)) = best {
                turn.provision(service, server)?;
            }
        }
        Ok(())
    }
}

/// The switches that the users of a service's application are at.
fn user_switches(turn: &Turn<'_>, service: ServiceId) -> Vec<SwitchId> {
    let application = turn.services[service].application;
    (turn.applications[application].users.iter())
        .filter_map(|user| turn.users[*user].station)
        .map(|station| turn.stations[station].switch)
        .collect()
}

//! Every service to where its users are.

use super::{Policy, Turn};
use crate::arena::{Place, ServerId, ServiceId, SwitchId};
use crate::simulation::Reason;

/// Keeps every service at the server nearest to its first user that has room for it, by the delay of the way there. A
/// service stays where it is if no server is nearer, and one that is on its way is left alone until it has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct FollowUser;

impl Policy for FollowUser {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for service in turn.services.places() {
            if turn.services[service].being_provisioned {
                continue;
            }
            let Some(user) = user_switch(turn, service) else {
                continue;
            };
            let delays = turn.delays_from(user);
            let delay = |server| delays[turn.switch_of(server).index()].map(|delay| delay.value());
            let here = turn.services[service].server;
            let mut best: Option<(f64, ServerId)> = here.and_then(|at| Some((delay(at)?, at)));
            for server in turn.servers.places() {
                let nearer = delay(server)
                    .filter(|delay| best.is_none_or(|(least, _)| *delay < least))
                    .filter(|_| turn.has_capacity_to_host(server, service));
                best = nearer.map(|delay| (delay, server)).or(best);
            }
            if let Some((_, server)) = best.filter(|(_, server)| here != Some(*server)) {
                turn.provision(service, server)?;
            }
        }
        Ok(())
    }
}

/// The switch that the first user of a service's application is at.
fn user_switch(turn: &Turn<'_>, service: ServiceId) -> Option<SwitchId> {
    let application = turn.services[service].application;
    let user = *turn.applications[application].users.first()?;
    Some(turn.stations[turn.users[user].station?].switch)
}

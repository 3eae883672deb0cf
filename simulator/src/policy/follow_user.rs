//! Every service to where its users are.

use super::{Policy, Turn};
use crate::arena::{ServerId, ServiceId, SwitchId};
use crate::simulation::Reason;

/// Keeps every service at the server nearest to its first user that has room for it, by the delay of the way there. A
/// service that is on its way is left alone until it has come.
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
            let here = turn.services[service].server;
            let mut servers: Vec<(f64, ServerId)> = Vec::new();
            for server in turn.servers.places() {
                let switch = turn.switch_of(server);
                if let Some(delay) = turn.delay_between(user, switch) {
                    servers.push((delay.value(), server));
                }
            }
            servers.sort_by(|one, two| one.0.total_cmp(&two.0));
            let nearest = servers.into_iter().find(|(_, server)| {
                here == Some(*server) || turn.has_capacity_to_host(*server, service)
            });
            if let Some((_, server)) = nearest.filter(|(_, server)| here != Some(*server)) {
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

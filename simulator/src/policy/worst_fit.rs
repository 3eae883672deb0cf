//! Every service, again and again, to the emptiest server.

use super::{Policy, Turn};
use crate::arena::{ServerId, ServiceId};
use crate::simulation::Reason;

/// Brings every service to the server with the most CPU free that has room for it, and again some time after it came
/// there: as the migration algorithm of EdgeSimPy's tutorials does.
#[derive(Clone, Copy, Debug)]
pub struct WorstFit {
    /// The steps that a service stays where it came to.
    pub cooldown_steps: u32,
}

impl Policy for WorstFit {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for service in turn.services.places() {
            if self.may_move(turn, service) {
                self.relocate(turn, service)?;
            }
        }
        Ok(())
    }
}

impl WorstFit {
    fn may_move(&self, turn: &Turn<'_>, service: ServiceId) -> bool {
        let service = &turn.services[service];
        let Some(last) = service.migrations.last() else {
            return true;
        };
        let rested = |end| turn.step() - end >= self.cooldown_steps;
        !service.being_provisioned && last.end.is_some_and(rested)
    }

    fn relocate(&self, turn: &mut Turn<'_>, service: ServiceId) -> Result<(), Reason> {
        let free = |server: &ServerId| turn.servers[*server].free_cpu().value();
        let mut servers: Vec<ServerId> = turn.servers.places().collect();
        servers.sort_by(|one, two| free(two).total_cmp(&free(one)));
        for server in servers {
            // Its own server is not where it ends: the next best is taken.
            if turn.has_capacity_to_host(server, service)
                && turn.services[service].server != Some(server)
            {
                return turn.provision(service, server);
            }
        }
        Ok(())
    }
}

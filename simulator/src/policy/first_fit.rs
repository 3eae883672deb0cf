//! Every service to the first server with room.

use super::{Policy, Turn, homeless};
use crate::simulation::Reason;

/// Brings every service that has no server to the first with room for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstFit;

impl Policy for FirstFit {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for service in homeless(turn) {
            let fits = |server: &_| turn.has_capacity_to_host(*server, service);
            if let Some(server) = turn.servers.places().find(fits) {
                turn.provision(service, server)?;
            }
        }
        Ok(())
    }
}

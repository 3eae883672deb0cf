//! Every service to the fullest server with room.

use super::{Policy, Turn, homeless};
use crate::simulation::Reason;

/// Brings every service that has no server to the one with room for it that has the least CPU free, of those the first:
/// few servers are used, and those well.
#[derive(Clone, Copy, Debug, Default)]
pub struct BestFit;

impl Policy for BestFit {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for service in homeless(turn) {
            let best = (turn.servers.entries())
                .filter(|(place, _)| turn.has_capacity_to_host(*place, service))
                .min_by(|(_, one), (_, two)| {
                    (one.free_cpu().value()).total_cmp(&two.free_cpu().value())
                });
            if let Some((server, _)) = best {
                turn.provision(service, server)?;
            }
        }
        Ok(())
    }
}

//! What the provided policies decide.

use simulator::policy::{FollowUser, Policy, Turn};
use simulator::settings::Settings;
use simulator::simulation::Simulation;

use crate::support::load_changed;

#[test]
fn a_service_does_not_move_between_servers_that_are_as_near() {
    let model = load_changed("03_stateful_migration", |dataset| {
        for link in dataset["NetworkLink"].as_array_mut().unwrap() {
            link["attributes"]["delay"] = 0.into();
        }
    });
    let (service, server) = (model.service(2).unwrap(), model.server(3).unwrap());
    let mut simulation = Simulation::new(model, Settings::default());
    let mut policy = |turn: &mut Turn<'_>| match turn.step() {
        1 => turn.provision(service, server),
        _ => FollowUser.decide(turn),
    };
    for step in 1..=25 {
        simulation.step(&mut policy).unwrap();
        assert_eq!(simulation.decisions().len(), usize::from(step == 1));
    }
    assert_eq!(simulation.model().services[service].server, Some(server));
}

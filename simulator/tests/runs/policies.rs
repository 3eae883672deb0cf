//! What the provided policies decide.

use serde_json::{Value, json};
use simulator::json;
use simulator::number::Number;
use simulator::policy::{FollowUser, LeastEnergy, Policy, Turn};
use simulator::settings::Settings;
use simulator::simulation::Simulation;

use crate::support::{load, load_changed, parse};

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

#[test]
fn a_server_that_is_off_saves_no_energy() {
    let model = load_changed("01_first_fit_placement", |dataset| {
        dataset["EdgeServer"][2]["attributes"]["active"] = json!(false);
    });
    let off = model.server(3).unwrap();
    let mut simulation = Simulation::new(model, Settings::default());
    simulation.step(&mut LeastEnergy).unwrap();
    assert!(!simulation.decisions().is_empty());
    assert!((simulation.decisions().iter()).all(|decision| decision.server != off));
}

#[test]
fn a_policy_is_told_what_changed() {
    let mut simulation = Simulation::new(load("03_stateful_migration"), Settings::default());
    let mut told: Vec<Value> = Vec::new();
    let mut policy = |turn: &mut Turn<'_>| {
        told.push(parse(&turn.state()));
        let whole = |whole| json::Value::Number(Number::Int(whole));
        match turn.step() {
            3 => {
                let (service, server) = (turn.service(2).unwrap(), turn.server(3).unwrap());
                turn.provision(service, server)
            }
            4 => turn.set("EdgeServer", 2, "cpu", &whole(5)),
            5 => turn.set("NetworkLink", 3, "delay", &whole(7)),
            _ => Ok(()),
        }
    };
    for _ in 0..12 {
        simulation.step(&mut policy).unwrap();
    }
    let of = |step: usize| &told[step - 1];
    let first = of(1).as_object().unwrap();
    assert_eq!(first["base_stations"].as_array().unwrap().len(), 4);
    assert_eq!(first["links"].as_array().unwrap().len(), 3);
    assert_eq!(
        first["registries"],
        json!([{"id": 1, "server": 4, "available": true}])
    );
    let migration = |step| &of(step)["services"][1]["migration"];
    assert_eq!(migration(3), &Value::Null);
    let expected = json!({"status": "pulling_layers", "target": 3, "start": 3, "end": null});
    assert_eq!(migration(4), &expected);
    assert_eq!(migration(12)["status"], "finished");
    assert!(of(5)["servers"][1]["cpu"] == 5 && of(4)["servers"][1]["cpu"] == 8);
    let link = json!([{"id": 3, "switches": [3, 4], "bandwidth": 10, "delay": 7}]);
    assert_eq!(of(6)["links"], link);
    assert!(of(5).get("links").is_none() && of(7).get("links").is_none());
    // The user moves to another place while its application is unavailable.
    assert_eq!(of(9)["users"][0]["delays"]["1"], "Infinity");
}

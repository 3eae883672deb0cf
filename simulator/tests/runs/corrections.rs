//! What each correction does to a run.

use serde_json::json;
use simulator::json::Value;
use simulator::model::Model;
use simulator::policy::{Event, Operation, Script};
use simulator::scenario::Scenario;
use simulator::settings::{Corrections, Settings};
use simulator::simulation::{Abort, Simulation, Stop};

use crate::support::{load, load_changed, read};

fn corrected(names: &[&str]) -> Settings {
    let mut settings = Settings::default();
    for name in names {
        assert!(settings.corrections.enable(name));
    }
    settings
}

/// What provisions services to servers: for each the step, the service and the server.
fn provisions(events: &[(u32, i64, i64)]) -> Script {
    let event = |&(step, service, server)| Event {
        step,
        operation: Operation::Provision { service, server },
    };
    Script::new(events.iter().map(event).collect())
}

/// A vector's run with some corrections.
fn run(name: &str, corrections: &[&str]) -> Result<Simulation, Abort> {
    let mut scenario = Scenario::read(&read(name, "policy.json")).unwrap();
    let mut settings = scenario.settings();
    for name in corrections {
        assert!(settings.corrections.enable(name));
    }
    let mut simulation = Simulation::new(load(name), settings);
    let stop = scenario.stop;
    simulation.run::<Abort>(scenario.algorithm.policy(), stop, |_| Ok(()))?;
    Ok(simulation)
}

/// How long each flow took, in steps; those that are under way at the end, until then.
fn times(model: &Model) -> Vec<u32> {
    (model.flows.iter())
        .map(|flow| flow.end.unwrap_or(model.steps()) + 1 - flow.start)
        .collect()
}

#[test]
fn colocated_servers_work() {
    for name in ["14a_error_same_switch", "14c_error_colocated_state"] {
        assert!(run(name, &[]).is_err());
        let simulation = run(name, &["colocation"]).unwrap();
        let service = &simulation.model().services.iter().next().unwrap();
        assert!(service.available && !service.being_provisioned, "{name}");
    }
}

#[test]
fn disk_is_charged_once() {
    // An image that lists a digest twice: with it fetched once, the service is placed and the disk has it once. One
    // whose layers came twice is placed too.
    let quirks = run("10_quirks", &[]).unwrap();
    let corrected = run("10_quirks", &["disk"]).unwrap();
    let disk = |simulation: &Simulation| -> f64 {
        let servers = simulation.model().servers.iter();
        servers.map(|server| server.disk_demand.value()).sum()
    };
    assert!(disk(&corrected) < disk(&quirks));
    let hosted = |simulation: &Simulation| {
        let services = simulation.model().services.iter();
        services.filter(|service| service.server.is_some()).count()
    };
    assert_eq!((hosted(&quirks), hosted(&corrected)), (5, 6));
    let transfers = |simulation: &Simulation| simulation.model().flows.len();
    assert_eq!((transfers(&quirks), transfers(&corrected)), (9, 8));
}

#[test]
fn copies_of_a_layer_do_not_stand_for_one_that_lacks() {
    // Server 2 has one of the two layers twice, and nothing else is waited for.
    let model = load_changed("03_stateful_migration", |dataset| {
        dataset["Service"][1]["attributes"]["state"] = json!(0);
        for id in [7, 8] {
            let attributes = json!({"id": id, "digest": "os", "size": 12, "instruction": "os"});
            let host = json!({"class": "EdgeServer", "id": 2});
            let layers = dataset["ContainerLayer"].as_array_mut().unwrap();
            layers.push(json!({"attributes": attributes, "relationships": {"server": host}}));
            let host = &mut dataset["EdgeServer"][1]["relationships"];
            let layers = host["container_layers"].as_array_mut().unwrap();
            layers.push(json!({"class": "ContainerLayer", "id": id}));
        }
    });
    let mut simulation = Simulation::new(model, corrected(&["disk"]));
    let mut script = provisions(&[(1, 2, 2)]);
    let mut placed = false;
    (simulation.run::<Abort>(&mut script, Stop::Steps(12), |simulation| {
        let model = simulation.model();
        let target = model.server(2).unwrap();
        let service = &model.services[model.service(2).unwrap()];
        if service.server == Some(target) {
            let db = model.symbols.find("db").unwrap();
            assert!(model.servers[target].has_layer(db), "it runs without one");
            placed = true;
        }
        Ok(())
    }))
    .unwrap();
    assert!(placed);
}

#[test]
fn layers_that_are_downloaded_do_not_count_as_lacking() {
    let answers = |corrections: &[&str]| -> Vec<bool> {
        let name = "05_download_queue_limit";
        let mut scenario = Scenario::read(&read(name, "policy.json")).unwrap();
        let mut settings = scenario.settings();
        for name in corrections {
            settings.corrections.enable(name);
        }
        let mut simulation = Simulation::new(load(name), settings);
        let stop = scenario.stop;
        (simulation.run::<Abort>(scenario.algorithm.policy(), stop, |_| Ok(()))).unwrap();
        let simulator::scenario::Algorithm::Scripted(script) = &scenario.algorithm else {
            panic!("a script");
        };
        script.queries().iter().map(|query| query.result).collect()
    };
    assert_eq!(answers(&[]), [false, true, true]);
    assert_eq!(answers(&["disk"]), [true, true, true]);
}

/// How long all transfers of a vector take together, without and with a correction.
#[track_caller]
fn check_times(name: &str, correction: &str, expected: (u32, u32)) {
    let total = |corrections: &[&str]| {
        let simulation = run(name, corrections).unwrap();
        times(simulation.model()).iter().sum::<u32>()
    };
    assert_eq!((total(&[]), total(&[correction])), expected, "{name}");
}

#[test]
fn freed_bandwidth_is_used_in_the_same_step() {
    // What the smallest layer left of its last step took one of the others over its last threshold.
    check_times("04b_contention_equal_share", "bandwidth", (44, 43));
    check_times("08a_fuzz", "bandwidth", (156, 155));
}

#[test]
fn bandwidth_is_shared_over_whole_paths() {
    // A flow that is held back elsewhere leaves its share of the other links to others.
    check_times("06_registry_far", "fairness", (113, 103));
    check_times("07_multi_bottleneck", "fairness", (99, 97));
    // Who asks for equal shares has them.
    let name = "04b_contention_equal_share";
    let [before, after] = [&[][..], &["fairness"]].map(|names| run(name, names).unwrap());
    for (one, two) in before.model().flows.iter().zip(after.model().flows.iter()) {
        assert_eq!((one.end, one.bandwidth()), (two.end, two.bandwidth()));
    }
}

#[test]
fn what_an_abandoned_migration_reserved_is_given_back() {
    let name = "10_quirks";
    let (before, after) = (run(name, &[]).unwrap(), run(name, &["release"]).unwrap());
    let ongoing = |simulation: &Simulation, id| {
        let server = simulation.model().server(id).unwrap();
        let server = &simulation.model().servers[server];
        (server.ongoing_migrations, server.cpu_demand.value())
    };
    // The fourth service was on its way to the third server when it was sent to the second.
    assert_eq!(ongoing(&before, 3), (1, 3.0));
    assert_eq!(ongoing(&after, 3), (0, 2.0));
}

#[test]
fn a_service_that_is_called_back_while_its_state_moves_is_up_at_its_origin() {
    // Its state moves in steps 6 to 9. The second provisioning is once in the middle of it, and once when it has come.
    for second in [8, 10] {
        let settings = corrected(&Corrections::NAMES);
        let mut simulation = Simulation::new(load("03_stateful_migration"), settings);
        let mut script = provisions(&[(3, 2, 3), (second, 2, 2)]);
        for _ in 1..second {
            simulation.step(&mut script).unwrap();
        }
        let service = simulation.model().service(2).unwrap();
        assert!(!simulation.model().services[service].available, "{second}");
        simulation.step(&mut script).unwrap();
        let model = simulation.model();
        assert!(model.services[service].available, "{second}");
        assert_eq!(model.services[service].server, model.server(1));
        for user in model.users.iter() {
            let delay = user.delays[0].1.unwrap().value();
            assert!(delay.is_finite(), "{second}: user {}", user.id);
        }
    }
}

#[test]
fn the_ways_that_users_have_left_leave_their_links() {
    let name = "13_mobility_and_access";
    let marked = |corrections: &[&str]| -> usize {
        let simulation = run(name, corrections).unwrap();
        let links = simulation.model().links.iter();
        links.map(|link| link.applications.iter().count()).sum()
    };
    let simulation = run(name, &["release"]).unwrap();
    let model = simulation.model();
    let mut used: Vec<_> = (model.users.iter().flat_map(|user| &user.paths))
        .flat_map(|(key, routes)| routes.iter().map(move |route| (key, route)))
        .flat_map(|(key, route)| route.links.iter().map(move |link| (*link, *key)))
        .collect();
    used.sort();
    used.dedup();
    let mut marked_links: Vec<_> = (model.links.entries())
        .flat_map(|(place, link)| {
            let applications = link.applications.iter();
            applications.map(move |at| (place, model.applications[*at].key))
        })
        .collect();
    marked_links.sort();
    assert_eq!(marked_links, used);
    assert!(marked(&[]) > marked(&["release"]));
}

#[test]
fn a_link_is_left_when_the_last_user_has_left_it() {
    // Both users' ways lead over the first link, and one of them goes to its other end.
    let model = load_changed("03_stateful_migration", |dataset| {
        let application = json!({"class": "Application", "id": 1});
        dataset["NetworkLink"][0]["relationships"]["applications"] = json!([application]);
        for user in dataset["User"].as_array_mut().unwrap() {
            user["attributes"]["communication_paths"] = json!({"1": [[2, 1], []]});
            user["attributes"]["coordinates"] = json!([2, 0]);
            user["relationships"]["base_station"]["id"] = json!(2);
            user["attributes"]["coordinates_trace"] = json!(vec![[2, 0]; 40]);
        }
        let trace = &mut dataset["User"][0]["attributes"]["coordinates_trace"];
        for at in 4..40 {
            trace[at] = json!([0, 0]);
        }
    });
    let mut simulation = Simulation::new(model, corrected(&["release"]));
    let mut idle = |_: &mut simulator::policy::Turn<'_>| Ok(());
    for _ in 0..8 {
        simulation.step(&mut idle).unwrap();
    }
    let first = simulation.model().links.iter().next().unwrap();
    assert_eq!(first.applications.iter().count(), 1);
}

#[test]
fn users_see_an_outage_when_it_begins() {
    let delays = |corrections: &[&str]| {
        let name = "03_stateful_migration";
        let mut scenario = Scenario::read(&read(name, "policy.json")).unwrap();
        let mut settings = scenario.settings();
        for name in corrections {
            settings.corrections.enable(name);
        }
        let mut simulation = Simulation::new(load(name), settings);
        let mut infinite = 0;
        let stop = scenario.stop;
        (simulation.run::<Abort>(scenario.algorithm.policy(), stop, |simulation| {
            for user in simulation.model().users.iter() {
                let delays = user.delays.iter().filter_map(|(_, delay)| *delay);
                infinite += delays.filter(|delay| delay.value().is_infinite()).count();
            }
            Ok(())
        }))
        .unwrap();
        infinite
    };
    // Two users, and two outages of four steps.
    assert_eq!((delays(&[]), delays(&["outages"])), (2, 16));
}

#[test]
fn users_see_an_outage_that_a_policy_makes() {
    let event = |step, value| Event {
        step,
        operation: Operation::Set {
            class: "Service".to_owned(),
            id: 1,
            attribute: "_available".to_owned(),
            value: Value::Bool(value),
        },
    };
    let delays = |corrections: &[&str]| -> Vec<bool> {
        let mut script = Script::new(vec![event(2, false), event(3, true)]);
        let model = load("03_stateful_migration");
        let mut simulation = Simulation::new(model, corrected(corrections));
        (0..3)
            .map(|_| {
                simulation.step(&mut script).unwrap();
                let user = simulation.model().users.iter().next().unwrap();
                user.delays[0].1.unwrap().value().is_infinite()
            })
            .collect()
    };
    assert_eq!(delays(&[]), [false, false, false]);
    assert_eq!(delays(&["outages"]), [false, true, false]);
}

#[test]
fn all_corrections_together_end_every_run() {
    for name in crate::support::VECTORS {
        // No correction can make up for a layer that no registry has.
        if name != "14b_error_no_registry_has_layer" {
            run(name, &Corrections::NAMES).unwrap_or_else(|abort| panic!("{name}: {abort:?}"));
        }
    }
}

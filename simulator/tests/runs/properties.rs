//! What holds of any run, and of any bytes.

use proptest::prelude::*;
use simulator::arena::Place;
use simulator::dataset::{self, Limits};
use simulator::generate::Mesh;
use simulator::model::Model;
use simulator::policy::{Policy, Turn, WorstFit};
use simulator::random::PythonRandom;
use simulator::settings::{Corrections, FlowScheduling, Settings};
use simulator::simulation::{Abort, Reason, Simulation, Stop};

use crate::support::{Lines, load, read};

/// Provisions whatever it draws.
struct Whim(PythonRandom);

impl Policy for Whim {
    fn decide(&mut self, turn: &mut Turn<'_>) -> Result<(), Reason> {
        for _ in 0..2 {
            let service = self.0.choice(turn.services.len()).map(Place::new);
            let server = self.0.choice(turn.servers.len()).map(Place::new);
            if let (Some(service), Some(server)) = (service, server) {
                turn.provision(service, server)?;
            }
        }
        Ok(())
    }
}

fn mesh(servers: u32, services_per_server: u32) -> Model {
    let mesh = Mesh {
        servers,
        steps: 30,
        services_per_server,
    };
    dataset::load(mesh.generate().dataset.as_bytes(), &Limits::default()).unwrap()
}

fn settings(corrections: Corrections, equal: bool, seed: u64) -> Settings {
    Settings {
        corrections,
        flow_scheduling: if equal {
            FlowScheduling::EqualShare
        } else {
            FlowScheduling::MaxMinFairness
        },
        seed,
        ..Settings::default()
    }
}

fn corrections() -> impl Strategy<Value = Corrections> {
    prop::collection::vec(any::<bool>(), Corrections::NAMES.len()).prop_map(|on| {
        let mut corrections = Corrections::NONE;
        for (name, on) in Corrections::NAMES.into_iter().zip(on) {
            if on {
                corrections.enable(name);
            }
        }
        corrections
    })
}

/// What a server's disk is charged is what its layers take: those that it has, fetches and waits for.
fn check_disk(model: &Model) -> Result<(), TestCaseError> {
    for server in model.servers.iter() {
        let fetched = (server.downloads.iter()).map(|flow| match model.flows[*flow].cargo {
            simulator::flow::Cargo::Layer(layer) => layer,
            simulator::flow::Cargo::State(_) => panic!("a state is no download"),
        });
        let layers = (server.layers.iter().copied())
            .chain(fetched)
            .chain(server.waiting.iter().copied());
        let size: f64 = layers.map(|layer| model.layers[layer].size.value()).sum();
        prop_assert_eq!(server.disk_demand.value(), size);
    }
    Ok(())
}

/// Links grant no more than they have.
fn check_links(simulation: &Simulation) -> Result<(), TestCaseError> {
    let model = simulation.model();
    for (place, link) in model.links.entries() {
        let demand = simulation.traffic().link(place).demand().value();
        prop_assert!(demand <= link.bandwidth.value() * (1.0 + 1e-9));
    }
    Ok(())
}

/// Every flow has what it can have without one that has less getting even less: on one of its links nothing is left, and
/// nobody has more.
fn check_fairness(simulation: &Simulation) -> Result<(), TestCaseError> {
    let model = simulation.model();
    let rate = |flow| model.flows[flow].bandwidth().unwrap().value();
    for flow in simulation.active_flows() {
        let mut links = model.flows[*flow].route.links.iter();
        let bottleneck = links.any(|link| {
            let flows = || simulation.traffic().link(*link).flows().map(rate);
            let full = flows().sum::<f64>() >= model.links[*link].bandwidth.value() * 0.999_999;
            full && flows().all(|other| other <= rate(*flow) * 1.000_001)
        });
        prop_assert!(bottleneck, "{flow:?}");
    }
    Ok(())
}

/// What is asked of a server is what its services ask, and those that are on their way to it.
fn check_demands(model: &Model) -> Result<(), TestCaseError> {
    for (place, server) in model.servers.entries() {
        let mut asked = 0.0;
        for registry in &server.registries {
            asked += model.registries[*registry].cpu_demand.value();
        }
        for service in model.services.iter() {
            let coming = service.ongoing().is_some_and(|last| last.target == place);
            let left = service
                .ongoing()
                .is_some_and(|last| last.migrating_service_state_time > 0);
            let here = service.server == Some(place) && !left;
            asked += service.cpu_demand.value() * f64::from(u8::from(coming) + u8::from(here));
        }
        prop_assert!(server.cpu_demand.value() >= 0.0);
        prop_assert_eq!(server.cpu_demand.value(), asked);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_there_is_is_conserved(
        servers in 3..14u32, corrections in corrections(), equal: bool, seed in 0..1000u64,
    ) {
        let corrections = Corrections { colocation: true, ..corrections };
        let mut simulation = Simulation::new(mesh(servers, 1), settings(corrections, equal, seed));
        let mut whim = Whim(PythonRandom::new(seed));
        for _ in 0..30 {
            simulation.step(&mut whim).unwrap();
            check_disk(simulation.model())?;
            check_links(&simulation)?;
            if corrections.fairness && corrections.bandwidth && !equal {
                check_fairness(&simulation)?;
            }
            if corrections.release && corrections.disk {
                check_demands(simulation.model())?;
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes(
        servers in 3..10u32, corrections in corrections(), seed in 0..1000u64,
    ) {
        let metrics = || {
            let corrections = Corrections { colocation: true, ..corrections };
            let settings = settings(corrections, false, seed);
            let mut simulation = Simulation::new(mesh(servers, 2), settings);
            let mut lines = Lines::default();
            let mut policy = WorstFit { cooldown_steps: 3 };
            // Longer than the users' traces are: they go on at random.
            let stop = Stop::Steps(40);
            simulation.run::<Abort>(&mut policy, stop, |simulation| {
                lines.record(simulation.model());
                Ok(())
            }).unwrap();
            lines.finish()
        };
        prop_assert_eq!(metrics(), metrics());
    }

    #[test]
    fn loading_then_saving_gives_the_same(servers in 1..40u32, services in 1..4u32) {
        let mesh = Mesh { servers, steps: 5, services_per_server: services };
        let saved = dataset::save(&dataset::load(mesh.generate().dataset.as_bytes(), &Limits::default()).unwrap());
        let again = dataset::save(&dataset::load(saved.as_bytes(), &Limits::default()).unwrap());
        prop_assert_eq!(saved, again);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        dataset::load(&bytes, &Limits::default()).ok();
    }

    /// A dataset with some bytes changed, moved or cut away: most of it is still what the loader looks for.
    #[test]
    fn no_changed_dataset_makes_the_loader_panic(
        vector in 0..crate::support::VECTORS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        swap in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
        cut in prop::option::of(any::<prop::sample::Index>()),
        digits: bool,
    ) {
        let mut json = read(crate::support::VECTORS[vector], "dataset.json");
        for (at, byte) in changes {
            let at = at.index(json.len());
            if digits {
                // A number stays one: ids and sizes change.
                if json[at].is_ascii_digit() {
                    json[at] = b'0' + byte % 10;
                }
            } else {
                json[at] = byte;
            }
        }
        if let Some((one, two)) = swap {
            let (one, two) = (one.index(json.len()), two.index(json.len()));
            json.swap(one, two);
        }
        if let Some(cut) = cut {
            json.truncate(cut.index(json.len()));
        }
        // What can be loaded can be run, or ends with an error.
        if let Ok(model) = dataset::load(&json, &Limits::default()) {
            let mut simulation = Simulation::new(model, Settings::default());
            let mut whim = Whim(PythonRandom::new(1));
            let stop = Stop::Steps(5);
            simulation.run::<Abort>(&mut whim, stop, |_| Ok(())).ok();
        }
    }
}

#[test]
fn all_vectors_conserve_disk() {
    for name in crate::support::VECTORS {
        let mut simulation = Simulation::new(load(name), Settings::default());
        let mut whim = Whim(PythonRandom::new(3));
        while simulation.model().steps() < 20 && simulation.step(&mut whim).is_ok() {}
        if name != "10_quirks" {
            check_disk(simulation.model()).unwrap();
        }
    }
}

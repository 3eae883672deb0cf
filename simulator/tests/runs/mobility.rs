//! How users move when their traces have ended.

use serde_json::{Value, json};
use simulator::settings::Settings;
use simulator::simulation::Simulation;

use crate::support::load_changed;

/// What is said in the end of a run in which the first user moves like this from the beginning.
fn moving(model: &str, parameters: &Value) -> Option<String> {
    let model = load_changed("03_stateful_migration", |dataset| {
        let user = &mut dataset["User"][0];
        user["attributes"]["coordinates_trace"] = json!([]);
        user["attributes"]["mobility_model_parameters"] = parameters.clone();
        user["relationships"]["mobility_model"] = json!(model);
    });
    let mut simulation = Simulation::new(model, Settings::default());
    let mut idle = |_: &mut simulator::policy::Turn<'_>| Ok(());
    (0..3).find_map(|_| {
        simulation
            .step(&mut idle)
            .err()
            .map(|end| end.reason.to_string())
    })
}

#[test]
fn walks_take_no_more_memory_however_long_they_are() {
    // Each place for a million steps: a few thousand million steps, and then millions of places.
    let long = json!({"seconds_to_move": 1e15, "n_moves": 100_000});
    assert_eq!(moving("random_mobility", &long), None);
    let long = json!({"seconds_to_move": 1e15, "n_paths": 100_000});
    assert_eq!(moving("pathway", &long), None);
}

#[test]
fn a_walk_that_leads_nowhere_is_said_to() {
    for (model, parameters) in [
        ("pathway", json!({"n_paths": 0})),
        ("random_mobility", json!({"n_moves": 0})),
    ] {
        assert_eq!(
            moving(model, &parameters).unwrap(),
            format!(
                "the coordinates_trace of user 1 ends before this step, and its mobility_model {model} appends nothing to it"
            ),
        );
    }
}

//! Datasets: what is written is what was read, and what cannot be used is said.

use serde_json::Value;
use simulator::dataset::{self, Limits};
use simulator::policy::FirstFit;
use simulator::settings::Settings;
use simulator::simulation::{Abort, Simulation, Stop};

use crate::support::{Lines, VECTORS, load, load_changed, parse, read};

#[test]
fn what_was_loaded_is_saved_as_it_was() {
    for name in VECTORS {
        let saved = dataset::save(&load(name));
        let given = String::from_utf8(read(name, "dataset.json")).unwrap();
        assert_eq!(parse(&saved), parse(&given), "{name}");
        let again = dataset::load(saved.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(dataset::save(&again), saved, "{name}");
    }
}

/// Changes a dataset and gives what is said of it.
#[track_caller]
fn check(change: impl FnOnce(&mut Value), expected: &str) {
    let given = String::from_utf8(read("11_power_models", "dataset.json")).unwrap();
    let mut dataset = parse(&given);
    change(&mut dataset);
    check_text(&dataset.to_string(), expected);
}

#[track_caller]
fn check_text(text: &str, expected: &str) {
    let error = dataset::load(text.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_cannot_be_used_is_said_with_class_object_and_field() {
    check(
        |dataset| dataset["EdgeServer"][2]["attributes"]["cpu"] = (-4).into(),
        "EdgeServer 3: cpu: -4 is negative",
    );
    check(
        |dataset| dataset["ContainerLayer"][0]["attributes"]["size"] = "big".into(),
        "ContainerLayer 1: size: it is not a number",
    );
    check(
        |dataset| dataset["NetworkLink"][1]["attributes"]["bandwidth"] = (1u64 << 60).into(),
        "NetworkLink 2: bandwidth: it is too large a number",
    );
    check(
        |dataset| {
            let attributes = dataset["Service"][1]["attributes"].as_object_mut();
            attributes.unwrap().remove("image_digest");
        },
        "Service 2: image_digest: it is missing",
    );
    check(
        |dataset| {
            let attributes = dataset["Service"][1]["attributes"].as_object_mut();
            attributes.unwrap().remove("id");
        },
        "Service at position 2: id: it is missing",
    );
    check(
        |dataset| dataset["Service"][1]["attributes"]["image_digest"] = "lost".into(),
        "Service 2: image_digest: no image has digest \"lost\"",
    );
    check(
        |dataset| dataset["ContainerImage"][0]["attributes"]["layers_digests"][1] = "lost".into(),
        "ContainerImage 1: layers_digests: no layer has digest \"lost\"",
    );
    check(
        |dataset| dataset["EdgeServer"][0]["relationships"]["rack"] = Value::Null,
        "EdgeServer 1: rack: there is no such relationship",
    );
    check(
        |dataset| dataset["EdgeServer"][0]["relationships"]["base_station"]["id"] = 77.into(),
        "EdgeServer 1: base_station: it names BaseStation 77, but there is no such object",
    );
    check(
        |dataset| dataset["Service"][0]["relationships"]["application"]["class"] = "User".into(),
        "Service 1: application: it names User 1, where Application belongs",
    );
    check(
        |dataset| dataset["Application"] = Value::Array(Vec::new()),
        "Service 1: application: it names Application 1, but the dataset has no Application",
    );
    check(
        |dataset| dataset["NetworkSwitch"][1]["attributes"]["id"] = 1.into(),
        "BaseStation 1: network_switch: it names NetworkSwitch 1, but several have this id",
    );
    check(
        |dataset| dataset["EdgeServer"][0]["relationships"]["power_model"] = "Wind".into(),
        "EdgeServer 1: power_model: there is no \"Wind\", only LinearServerPowerModel, SquareServerPowerModel, CubicServerPowerModel",
    );
    check(
        |dataset| {
            let node = dataset["NetworkLink"][0]["relationships"]["nodes"][0].clone();
            dataset["NetworkLink"][0]["relationships"]["nodes"][1] = node;
        },
        "NetworkLink 1: nodes: it names one switch twice",
    );
    check(
        |dataset| dataset["Rack"] = Value::Array(Vec::new()),
        "Rack: there is no such class",
    );
    check(
        |dataset| {
            dataset.as_object_mut().unwrap().remove("BaseStation");
        },
        "BaseStation: the dataset has none",
    );
}

#[test]
fn what_is_no_json_is_said_with_line_and_column() {
    check_text("", "line 1, column 0: EOF while parsing a value");
    check_text("[1]", "line 1, column 1: expected object but found array");
    let given = String::from_utf8(read("11_power_models", "dataset.json")).unwrap();
    let error = dataset::load(&given.as_bytes()[..2000], &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("EOF while parsing"), "{error}");
    let twice = r#"{"EdgeServer": [], "EdgeServer": []}"#;
    check_text(twice, "EdgeServer: it stands twice");
}

#[test]
fn what_is_too_large_is_refused_until_the_limit_is_raised() {
    let given = read("11_power_models", "dataset.json");
    let error = dataset::load(&given, &Limits { bytes: 1000 }).unwrap_err();
    let size = given.len();
    assert_eq!(
        error.to_string(),
        format!("the dataset has {size} bytes, more than the limit of 1000")
    );
    assert!(Limits::default().check(1 << 30).is_err());
    Limits { bytes: 2 << 30 }.check(1 << 30).unwrap();
}

#[test]
fn attributes_that_are_not_simulated_are_kept() {
    let given = String::from_utf8(read("11_power_models", "dataset.json")).unwrap();
    let mut dataset = parse(&given);
    dataset["EdgeServer"][0]["attributes"]["rack"] = serde_json::json!({"row": 3, "unit": [1.5]});
    let model = dataset::load(dataset.to_string().as_bytes(), &Limits::default()).unwrap();
    assert_eq!(parse(&dataset::save(&model)), dataset);
}

#[test]
fn what_servers_have_can_be_infinite() {
    let names = ["cpu", "memory", "disk", "max_concurrent_layer_downloads"];
    let model = load_changed("01_first_fit_placement", |dataset| {
        for server in dataset["EdgeServer"].as_array_mut().unwrap() {
            for name in names {
                server["attributes"][name] = "Infinity".into();
            }
        }
    });
    let mut simulation = Simulation::new(model, Settings::default());
    let mut lines = Lines::default();
    let stop = Stop::AllHosted { at_most: 200 };
    (simulation.run::<Abort>(&mut FirstFit, stop, |simulation| {
        lines.record(simulation.model());
        Ok(())
    }))
    .unwrap();
    let first = &simulation.model().servers.iter().next().unwrap();
    assert_eq!(first.services.len(), simulation.model().services.len());
    for (class, text) in lines.finish() {
        assert!(!text.contains("NaN"), "{class}");
    }
}

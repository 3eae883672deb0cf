//! Runs of EdgeSimPy, repeated: every row, decision, answer, link and final state must be as it was there.
//!
//! `tests/vectors` has what EdgeSimPy was given and what it gave. Where it gave a row only when the object's row had
//! changed, [`expand`] gives the full list back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use simulator::arena::Place;
use simulator::model::Model;
use simulator::number::Number;
use simulator::scenario::{Algorithm, Scenario};
use simulator::simulation::{Abort, Reason, Simulation};

use crate::support::{Lines, VECTORS, load, read, sha256};

#[test]
fn runs_end_as_edgesimpys_do() {
    for name in VECTORS {
        check(name);
    }
}

fn check(name: &str) {
    let expected: Value = serde_json::from_slice(&read(name, "expected.json")).unwrap();
    let mut scenario = Scenario::read(&read(name, "policy.json")).unwrap();
    let mut simulation = Simulation::new(load(name), scenario.settings());
    let mut lines = Lines::default();
    let mut decisions = Vec::new();
    let mut trace = Trace::default();
    let stop = scenario.stop;
    let ended = simulation.run::<Abort>(scenario.algorithm.policy(), stop, |simulation| {
        lines.record(simulation.model());
        for decision in simulation.decisions() {
            let model = simulation.model();
            decisions.push(json!({
                "step": decision.step,
                "service": model.services[decision.service].id,
                "server": model.servers[decision.server].id,
            }));
        }
        trace.record(simulation);
        Ok(())
    });
    let steps = expected["steps"].as_u64().unwrap();
    let metrics = lines.finish();
    check_rows(name, &metrics, &expected["agent_metrics"], steps);
    assert_eq!(
        sha256(lines.python(&metrics).as_bytes()),
        expected["full_agent_metrics_sha256"],
        "{name}: metrics"
    );
    if let Err(abort) = &ended {
        // EdgeSimPy had noted what it decided in the step that it did not end.
        for decision in simulation.decisions() {
            let model = simulation.model();
            decisions.push(json!({
                "step": abort.step,
                "service": model.services[decision.service].id,
                "server": model.servers[decision.server].id,
            }));
        }
    }
    assert_eq!(Value::Array(decisions), expected["decisions"], "{name}");
    if let Algorithm::Scripted(script) = &scenario.algorithm {
        let queries = (script.queries().iter())
            .map(|query| {
                json!({"step": query.step, "op": "query_capacity", "service": query.service,
                       "server": query.server, "result": query.result})
            })
            .collect();
        assert_eq!(Value::Array(queries), expected["queries"], "{name}");
    }
    assert_eq!(Value::Array(trace.steps), expected["link_trace"], "{name}");
    match &ended {
        Ok(()) => assert_eq!(Value::Null, expected["error"], "{name}"),
        Err(abort) => assert_eq!(python_error(abort), expected["error"], "{name}"),
    }
    if let Some(expected) = expected.get("final_state") {
        let found = final_state(&simulation);
        for (class, objects) in expected.as_object().unwrap() {
            assert_eq!(&found[class], objects, "{name}: final {class}");
        }
    }
    assert_eq!(u64::from(simulation.model().steps()), steps, "{name}");
}

/// The full list of rows of each class.
fn expand(compact: &Value, last_step: u64) -> Vec<Value> {
    let mut at: BTreeMap<(u64, &str), &Value> = BTreeMap::new();
    for row in compact["rows"].as_array().unwrap() {
        let step = row["Time Step"].as_u64().unwrap();
        at.insert((step, row["Object"].as_str().unwrap()), row);
    }
    let mut current: BTreeMap<&str, Value> = BTreeMap::new();
    let mut rows = Vec::new();
    for step in 0..=last_step {
        for object in compact["order"].as_array().unwrap() {
            let object = object.as_str().unwrap();
            if let Some(row) = at.get(&(step, object)) {
                let mut row = (*row).clone();
                if let Some(before) = current.get(object) {
                    carry_requests(before, &mut row);
                }
                current.insert(object, row);
            } else if let Some(row) = current.get_mut(object) {
                row["Time Step"] = json!(step);
            }
            let removed = compact["removed"].get(object).and_then(Value::as_u64);
            if step <= removed.unwrap_or(last_step)
                && let Some(row) = current.get(object)
            {
                rows.push(row.clone());
            }
        }
    }
    rows
}

/// A user's row lists only the requests that are new.
fn carry_requests(before: &Value, row: &mut Value) {
    let Some(new) = row.get("Making Requests").and_then(Value::as_object) else {
        return;
    };
    let mut merged = before["Making Requests"].clone();
    for (application, steps) in new {
        let known = merged[application].as_object_mut();
        match (known, steps.as_object()) {
            (Some(known), Some(steps)) => known.extend(steps.clone()),
            _ => merged[application] = steps.clone(),
        }
    }
    row["Making Requests"] = merged;
}

fn check_rows(name: &str, metrics: &[(String, String)], expected: &Value, steps: u64) {
    for (class, text) in metrics {
        let expected = expand(&expected[class], steps);
        let found: Vec<Value> = (text.lines())
            .map(|line| serde_json::from_str(&line.replace("Infinity", "\"Infinity\"")).unwrap())
            .collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(found.len(), expected.len(), "{name}: rows of {class}");
    }
    assert_eq!(metrics.len(), expected.as_object().unwrap().len(), "{name}");
}

fn python_error(abort: &Abort) -> Value {
    let (kind, message) = match &abort.reason {
        Reason::ServersShareSwitch { .. } => ("ValueError", "min() arg is an empty sequence"),
        Reason::NoRegistryHasLayer { .. } => ("IndexError", "list index out of range"),
        other => panic!("no vector ends with {other}"),
    };
    json!({"type": kind, "message": message, "during_step": abort.step})
}

/// Per step, listed when it changed: links with flows or demand.
#[derive(Default)]
struct Trace {
    steps: Vec<Value>,
    last: Option<Value>,
}

impl Trace {
    fn record(&mut self, simulation: &Simulation) {
        let model = simulation.model();
        if model.steps() == 0 {
            return;
        }
        let mut links = Map::new();
        for (place, link) in model.links.entries() {
            let traffic = simulation.traffic().link(place);
            if traffic.flows().len() > 0 || !traffic.demand().is_zero() {
                let flows: Vec<i64> = traffic.flows().map(|flow| model.flows[flow].id).collect();
                links.insert(
                    link.id.to_string(),
                    json!({"bandwidth_demand": number(traffic.demand()), "active_flows": flows}),
                );
            }
        }
        let links = Value::Object(links);
        if self.last.as_ref() != Some(&links) {
            let step = model.steps();
            self.steps.push(json!({"step": step, "links": links}));
            self.last = Some(links);
        }
    }
}

fn number(number: Number) -> Value {
    match number {
        Number::Int(whole) => json!(whole),
        Number::Float(f64::INFINITY) => json!("Infinity"),
        Number::Float(value) => json!(value),
    }
}

fn final_state(simulation: &Simulation) -> Value {
    let model = simulation.model();
    let server_id = |place| model.servers[place].id;
    let services: Vec<Value> = (model.services.iter())
        .map(|service| {
            let migrations: Vec<Value> = (service.migrations.iter())
                .map(|migration| {
                    json!({
                        "status": migration.status.name(),
                        "origin": migration.origin.map(server_id),
                        "target": server_id(migration.target),
                        "start": migration.start,
                        "end": migration.end,
                        "waiting_time": migration.waiting_time,
                        "pulling_layers_time": migration.pulling_layers_time,
                        "migrating_service_state_time": migration.migrating_service_state_time,
                    })
                })
                .collect();
            json!({
                "id": service.id, "available": service.available,
                "being_provisioned": service.being_provisioned,
                "server": service.server.map(server_id), "migrations": migrations,
            })
        })
        .collect();
    let layers: Vec<Value> = (model.layers.iter())
        .map(|layer| {
            json!({"id": layer.id, "digest": model.symbols.text(layer.digest),
                   "size": number(layer.size), "server": layer.server.map(server_id)})
        })
        .collect();
    let images: Vec<Value> = (model.images.iter())
        .map(|image| {
            json!({"id": image.id, "name": model.symbols.text(image.name),
                   "digest": model.symbols.text(image.digest),
                   "server": image.server.map(server_id)})
        })
        .collect();
    let registries: Vec<Value> = (model.registries.iter())
        .map(|registry| {
            json!({"id": registry.id, "available": registry.available,
                   "server": registry.server.map(server_id)})
        })
        .collect();
    let links: Vec<Value> = (model.links.entries())
        .map(|(place, link)| {
            let traffic = simulation.traffic().link(place);
            let flows: Vec<i64> = traffic.flows().map(|flow| model.flows[flow].id).collect();
            let applications: Vec<i64> = (link.applications.iter())
                .map(|application| model.applications[*application].id)
                .collect();
            json!({"id": link.id, "bandwidth_demand": number(traffic.demand()),
                   "applications": applications, "active_flows": flows})
        })
        .collect();
    let flows: Vec<Value> = (model.flows.iter())
        .map(|flow| {
            let path: Vec<i64> = (flow.route.switches.iter())
                .map(|switch| model.switches[*switch].id)
                .collect();
            json!({"id": flow.id, "unique_id": flow.unique_id,
                   "status": if flow.is_active() { "active" } else { "finished" },
                   "start": flow.start, "end": flow.end, "path": path})
        })
        .collect();
    json!({
        "Service": services, "EdgeServer": final_servers(model), "ContainerLayer": layers,
        "ContainerImage": images, "ContainerRegistry": registries, "User": final_users(model),
        "NetworkLink": links, "NetworkFlow": flows,
    })
}

fn final_servers(model: &Model) -> Vec<Value> {
    fn ids<P: Place>(places: &[P], id: impl Fn(P) -> i64) -> Vec<i64> {
        places.iter().map(|place| id(*place)).collect()
    }
    (model.servers.iter())
        .map(|server| {
            json!({
                "id": server.id,
                "cpu_demand": number(server.cpu_demand),
                "memory_demand": number(server.memory_demand),
                "disk_demand": number(server.disk_demand),
                "ongoing_migrations": server.ongoing_migrations,
                "services": ids(&server.services, |place| model.services[place].id),
                "container_layers": ids(&server.layers, |place| model.layers[place].id),
                "container_images": ids(&server.images, |place| model.images[place].id),
                "container_registries": ids(&server.registries, |place| model.registries[place].id),
                "waiting_queue": server.waiting.iter().map(|layer| model.layers[*layer].id).collect::<Vec<_>>(),
                "download_queue": ids(&server.downloads, |place| model.flows[place].id),
            })
        })
        .collect()
}

fn final_users(model: &Model) -> Vec<Value> {
    (model.users.iter())
        .map(|user| {
            let mut delays = Map::new();
            for (key, delay) in &user.delays {
                let delay = delay.map_or(Value::Null, number);
                delays.insert(model.symbols.text(*key).to_owned(), delay);
            }
            let mut paths = Map::new();
            for (key, routes) in &user.paths {
                let routes: Vec<Vec<i64>> = (routes.iter())
                    .map(|route| {
                        route
                            .switches
                            .iter()
                            .map(|at| model.switches[*at].id)
                            .collect()
                    })
                    .collect();
                paths.insert(model.symbols.text(*key).to_owned(), json!(routes));
            }
            let place = |position| -> Vec<Value> {
                (model.positions.coordinates(position).iter())
                    .map(|coordinate| number(*coordinate))
                    .collect()
            };
            json!({
                "id": user.id,
                "coordinates": place(user.coordinates),
                "base_station": user.station.map(|station| model.stations[station].id),
                "delays": delays,
                "communication_paths": paths,
                "coordinates_trace": user.trace.iter().map(place).collect::<Vec<_>>(),
            })
        })
        .collect()
}

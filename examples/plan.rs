//! What would a cluster cost before any money is spent?
//!
//! Takes a description of a cluster and an infrastructure, a dataset in EdgeSimPy's format, and shows for three policies
//! how long it takes until the instances run, and how much is transferred for it.
//!
//! ```sh
//! cargo run --release --example plan -- --instances 6 --layers 40,25,8
//! ```

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use simulator::dataset::{self, Limits};
use simulator::generate::Mesh;
use simulator::policy::{FirstFit, LeastDelay, LeastEnergy, Policy};
use simulator::report::{Report, Summary};
use simulator::settings::{Corrections, Settings};
use simulator::simulation::{Abort, Simulation, Stop};

/// Show how long a cluster takes to run, and what is transferred for it, on modelled infrastructure.
#[derive(Parser)]
struct Arguments {
    /// The infrastructure: a dataset in EdgeSimPy's format. Without one, a mesh of twenty servers.
    #[arg(long, value_name = "FILE")]
    infrastructure: Option<PathBuf>,

    /// How many instances the cluster has.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    instances: u32,

    /// The sizes of the payload's layers, in MB.
    #[arg(long, value_name = "MB", value_delimiter = ',', default_values_t = [60, 25, 5])]
    layers: Vec<u32>,

    /// The CPUs that an instance asks for.
    #[arg(long, value_name = "N", default_value_t = 3)]
    cpu: u32,

    /// The memory that an instance asks for, in MB.
    #[arg(long, value_name = "MB", default_value_t = 512)]
    memory: u32,

    /// The most steps that are simulated; a step is as long as the infrastructure's bandwidths say, mostly a second.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let infrastructure = match &arguments.infrastructure {
        Some(path) => std::fs::read(path).with_context(|| path.display().to_string())?,
        None => {
            let mesh = Mesh {
                servers: 20,
                steps: arguments.steps,
                services_per_server: 1,
            };
            mesh.generate().dataset.into_bytes()
        }
    };
    let dataset = with_cluster(&infrastructure, &arguments)?;

    println!(
        "{} instances with {} layers of {} MB in all",
        arguments.instances,
        arguments.layers.len(),
        arguments
            .layers
            .iter()
            .map(|size| u64::from(*size))
            .sum::<u64>()
    );
    println!("policy         running  mean steps  last step  transferred MB  power W");
    let policies: [(&str, &mut dyn Policy); 3] = [
        ("first-fit", &mut FirstFit),
        ("least-delay", &mut LeastDelay),
        ("least-energy", &mut LeastEnergy),
    ];
    for (name, policy) in policies {
        let summary = simulate(&dataset, policy, arguments.steps)?;
        // Of what never came about, nothing can be said.
        let ran = summary.time_to_running.count > 0;
        let steps = |steps: f64| match ran {
            true => format!("{steps:.1}"),
            false => "-".to_owned(),
        };
        println!(
            "{name:13} {:>8} {:>11} {:>10} {:>15.0} {:>8.0}",
            format!("{}/{}", summary.hosted, summary.services),
            steps(summary.time_to_running.mean),
            steps(summary.time_to_running.highest),
            summary.layer_megabytes,
            summary.mean_power,
        );
    }
    Ok(())
}

/// Simulates until all instances run.
fn simulate(dataset: &[u8], policy: &mut dyn Policy, steps: u32) -> anyhow::Result<Summary> {
    let model = dataset::load(dataset, &Limits::default())?;
    let settings = Settings {
        // A plan is to be near to what happens, not to what another simulator says.
        corrections: Corrections::ALL,
        ..Settings::default()
    };
    let mut simulation = Simulation::new(model, settings);
    let mut report = Report::new(&simulation);
    simulation.run::<Abort>(policy, Stop::AllHosted { at_most: steps }, |simulation| {
        report.observe(simulation);
        Ok(())
    })?;
    Ok(report.finish(&simulation).0)
}

/// The infrastructure with the cluster's instances in the place of the services that it has: its payload lies in the
/// first registry.
fn with_cluster(infrastructure: &[u8], arguments: &Arguments) -> anyhow::Result<Vec<u8>> {
    let model = dataset::load(infrastructure, &Limits::default())?;
    let (registry, _) = (model.registries.iter())
        .find_map(|registry| Some((registry.server?, registry)))
        .context("the infrastructure has no registry that payloads can be fetched from")?;
    let registry = model.servers[registry].id;
    // Access patterns hold on to users, and users to applications: who is there uses the cluster.
    let mut dataset = as_json(&dataset::save(&model))?;
    let reference = |class: &str, id: i64| serde_json::json!({"class": class, "id": id});
    let free = |class: &str| -> i64 {
        let ids = dataset[class].as_array().into_iter().flatten();
        let ids = ids.filter_map(|object| object["attributes"]["id"].as_i64());
        ids.max().unwrap_or(0) + 1
    };
    let (layer, image, service) = (
        free("ContainerLayer"),
        free("ContainerImage"),
        free("Service"),
    );
    let application = dataset["Application"][0]["attributes"]["id"].as_i64();
    let application = application.context("the infrastructure has no application to plan for")?;

    let digests: Vec<String> = (0..arguments.layers.len())
        .map(|at| format!("payload-{at}"))
        .collect();
    for (at, (digest, size)) in (0..).zip(digests.iter().zip(&arguments.layers)) {
        append(
            &mut dataset,
            "ContainerLayer",
            serde_json::json!({
                "attributes": {"id": layer + at, "digest": digest, "size": size, "instruction": digest},
                "relationships": {"server": reference("EdgeServer", registry)},
            }),
        );
        let host = find(&mut dataset, "EdgeServer", registry)?;
        push(
            &mut host["relationships"]["container_layers"],
            reference("ContainerLayer", layer + at),
        );
    }
    append(
        &mut dataset,
        "ContainerImage",
        serde_json::json!({
            "attributes": {"id": image, "name": "payload", "tag": "", "digest": "payload",
                           "layers_digests": digests, "architecture": ""},
            "relationships": {"server": reference("EdgeServer", registry)},
        }),
    );
    let host = find(&mut dataset, "EdgeServer", registry)?;
    push(
        &mut host["relationships"]["container_images"],
        reference("ContainerImage", image),
    );

    make_room(&mut dataset)?;
    for at in 0..i64::from(arguments.instances) {
        append(
            &mut dataset,
            "Service",
            serde_json::json!({
                "attributes": {"id": service + at, "label": "instance", "state": 0, "_available": false,
                               "cpu_demand": arguments.cpu, "memory_demand": arguments.memory,
                               "image_digest": "payload"},
                "relationships": {"application": reference("Application", application), "server": null},
            }),
        );
        let planned = find(&mut dataset, "Application", application)?;
        push(
            &mut planned["relationships"]["services"],
            reference("Service", service + at),
        );
    }
    Ok(serde_json::to_vec(&dataset)?)
}

/// A dataset as JSON, which has no infinities: what never ends takes longer than is simulated.
fn as_json(dataset: &str) -> anyhow::Result<serde_json::Value> {
    let mut json = String::with_capacity(dataset.len());
    // Between quotation marks, and those with a backslash before them do not count, stand texts.
    let (mut text, mut escaped) = (false, false);
    let mut rest = dataset;
    while let Some(next) = rest.chars().next() {
        if !text && let Some(after) = rest.strip_prefix("Infinity") {
            json.push_str("1000000000");
            rest = after;
            continue;
        }
        if !escaped && next == '"' {
            text = !text;
        }
        escaped = text && !escaped && next == '\\';
        json.push(next);
        rest = &rest[next.len_utf8()..];
    }
    Ok(serde_json::from_str(&json)?)
}

/// Takes away the services that the infrastructure has, and what they ask of their servers.
fn make_room(dataset: &mut serde_json::Value) -> anyhow::Result<()> {
    let services = dataset["Service"].take();
    dataset["Service"] = serde_json::json!([]);
    for service in services.as_array().into_iter().flatten() {
        let Some(server) = service["relationships"]["server"]["id"].as_i64() else {
            continue;
        };
        let host = find(dataset, "EdgeServer", server)?;
        for name in ["cpu_demand", "memory_demand"] {
            let demand = |object: &serde_json::Value| object["attributes"][name].as_f64();
            let left = demand(host).unwrap_or(0.0) - demand(service).unwrap_or(0.0);
            host["attributes"][name] = left.max(0.0).into();
        }
    }
    for class in ["Application", "EdgeServer"] {
        for object in dataset[class].as_array_mut().into_iter().flatten() {
            object["relationships"]["services"] = serde_json::json!([]);
        }
    }
    Ok(())
}

fn append(dataset: &mut serde_json::Value, class: &str, object: serde_json::Value) {
    push(&mut dataset[class], object);
}

fn push(list: &mut serde_json::Value, value: serde_json::Value) {
    match list {
        serde_json::Value::Array(list) => list.push(value),
        other => *other = serde_json::json!([value]),
    }
}

fn find<'d>(
    dataset: &'d mut serde_json::Value,
    class: &str,
    id: i64,
) -> anyhow::Result<&'d mut serde_json::Value> {
    let objects = dataset[class].as_array_mut().into_iter().flatten();
    (objects.into_iter())
        .find(|object| object["attributes"]["id"] == id)
        .with_context(|| format!("the infrastructure has no {class} {id}"))
}

//! The rows of each class.

use super::Encode;
use crate::arena::{FlowId, Place, RegistryId, ServerId, ServiceId, SwitchId, Symbol, UserId};
use crate::flow::{Cargo, Flow};
use crate::model::{Class, Model};
use crate::number::Number;
use crate::position::Position;
use crate::user::User;

/// The fields of a class's rows.
pub(super) fn fields(class: Class) -> &'static [&'static str] {
    match class {
        Class::EdgeServer => &[
            "Object",
            "Time Step",
            "Instance ID",
            "Coordinates",
            "Available",
            "CPU",
            "RAM",
            "Disk",
            "CPU Demand",
            "RAM Demand",
            "Disk Demand",
            "Ongoing Migrations",
            "Services",
            "Registries",
            "Layers",
            "Images",
            "Download Queue",
            "Waiting Queue",
            "Max. Concurrent Layer Downloads",
            "Power Consumption",
        ],
        Class::Service => &[
            "Object",
            "Time Step",
            "Instance ID",
            "Available",
            "Server",
            "Being Provisioned",
            "Last Migration",
        ],
        Class::NetworkFlow => &[
            "Object",
            "Time Step",
            "Instance ID",
            "Object being Transferred",
            "Object Type",
            "Start",
            "End",
            "Source",
            "Target",
            "Path",
            "Links Bandwidth",
            "Actual Bandwidth",
            "Status",
            "Data to Transfer",
        ],
        Class::User => &[
            "Object",
            "Time Step",
            "Instance ID",
            "Coordinates",
            "Base Station",
            "Delays",
            "Communication Paths",
            "Making Requests",
            "Access History",
        ],
        Class::ContainerRegistry => &[
            "Object",
            "Time Step",
            "Available",
            "CPU Demand",
            "RAM Demand",
            "Server",
            "Images",
            "Layers",
        ],
        _ => &["Object", "Time Step", "Instance ID", "Power Consumption"],
    }
}

/// Begins the row of an object, up to what changes most often. Gives where in it the step belongs, which is not written.
pub(super) fn begin(model: &Model, class: Class, index: usize, out: &mut impl Encode) -> usize {
    let id = match class {
        Class::NetworkSwitch => model.switches[SwitchId::new(index)].id,
        Class::User => model.users[UserId::new(index)].id,
        Class::Service => model.services[ServiceId::new(index)].id,
        Class::ContainerRegistry => model.registries[RegistryId::new(index)].id,
        Class::EdgeServer => model.servers[ServerId::new(index)].id,
        _ => model.flows[FlowId::new(index)].id,
    };
    out.begin_map(fields(class).len());
    out.key("Object");
    out.text(&format!("{}_{id}", class.name()));
    out.key("Time Step");
    let step_at = out.bytes().len();
    if class != Class::ContainerRegistry {
        out.key("Instance ID");
        out.whole(id);
    }
    match class {
        Class::NetworkSwitch => {
            out.key("Power Consumption");
            out.maybe(model.switch_power(SwitchId::new(index)));
        }
        Class::User => user(model, &model.users[UserId::new(index)], out),
        Class::Service => service(model, ServiceId::new(index), out),
        Class::ContainerRegistry => registry(model, RegistryId::new(index), out),
        Class::EdgeServer => server(model, ServerId::new(index), out),
        _ => flow(model, FlowId::new(index), out),
    }
    step_at
}

/// Ends a row: with what changes most often.
pub(super) fn end(model: &Model, class: Class, index: usize, out: &mut impl Encode) {
    match class {
        Class::User => accesses(model, &model.users[UserId::new(index)], out),
        Class::NetworkFlow => progress(&model.flows[FlowId::new(index)], out),
        _ => {}
    }
    out.end_map();
}

/// The step in which what [`begin`] writes last changed, given that of the whole row.
pub(super) fn begin_changed(model: &Model, class: Class, index: usize, row: u32) -> u32 {
    match class {
        Class::User => model.users[UserId::new(index)].moved,
        Class::NetworkFlow => {
            let flow = &model.flows[FlowId::new(index)];
            flow.end.unwrap_or(flow.start)
        }
        _ => row,
    }
}

fn coordinates(model: &Model, position: Position, out: &mut impl Encode) {
    let coordinates = model.positions.coordinates(position);
    out.begin_list(coordinates.len());
    for number in coordinates {
        out.item();
        out.number(*number);
    }
    out.end_list();
}

fn server(model: &Model, place: ServerId, out: &mut impl Encode) {
    let server = &model.servers[place];
    let text = |symbol: Symbol| model.symbols.text(symbol);
    out.key("Coordinates");
    coordinates(model, server.coordinates, out);
    out.key("Available");
    out.flag(server.available);
    for (name, amount) in [
        ("CPU", server.cpu),
        ("RAM", server.memory),
        ("Disk", server.disk),
        ("CPU Demand", server.cpu_demand),
        ("RAM Demand", server.memory_demand),
        ("Disk Demand", server.disk_demand),
        ("Ongoing Migrations", Number::Int(server.ongoing_migrations)),
    ] {
        out.key(name);
        out.number(amount);
    }
    out.key("Services");
    out.wholes((server.services.iter()).map(|service| model.services[*service].id));
    out.key("Registries");
    out.wholes((server.registries.iter()).map(|registry| model.registries[*registry].id));
    out.key("Layers");
    out.texts((server.layers.iter()).map(|layer| text(model.layers[*layer].instruction)));
    out.key("Images");
    out.texts((server.images.iter()).map(|image| text(model.images[*image].name)));
    out.key("Download Queue");
    out.texts(
        (server.downloads.iter()).map(|flow| match model.flows[*flow].cargo {
            Cargo::Layer(layer) => text(model.layers[layer].instruction),
            Cargo::State(_) => "",
        }),
    );
    out.key("Waiting Queue");
    out.texts((server.waiting.iter()).map(|layer| text(model.layers[*layer].instruction)));
    out.key("Max. Concurrent Layer Downloads");
    out.number(server.max_concurrent_layer_downloads);
    out.key("Power Consumption");
    out.maybe(model.server_power(place));
}

fn service(model: &Model, place: ServiceId, out: &mut impl Encode) {
    let service = &model.services[place];
    out.key("Available");
    out.flag(service.available);
    out.key("Server");
    match service.server {
        Some(server) => out.whole(model.servers[server].id),
        None => out.null(),
    }
    out.key("Being Provisioned");
    out.flag(service.being_provisioned);
    out.key("Last Migration");
    let Some(last) = service.migrations.last() else {
        out.null();
        return;
    };
    let name = |server: ServerId| format!("EdgeServer_{}", model.servers[server].id);
    out.begin_map(8);
    out.key("status");
    out.text(last.status.name());
    out.key("origin");
    out.text(&last.origin.map_or_else(|| "None".to_owned(), name));
    out.key("target");
    out.text(&name(last.target));
    out.key("start");
    out.whole(i64::from(last.start));
    out.key("end");
    out.maybe(last.end.map(|end| Number::Int(i64::from(end))));
    for (name, steps) in [
        ("waiting", last.waiting_time),
        ("pulling", last.pulling_layers_time),
        ("migr_state", last.migrating_service_state_time),
    ] {
        out.key(name);
        out.whole(i64::from(steps));
    }
    out.end_map();
}

fn flow(model: &Model, place: FlowId, out: &mut impl Encode) {
    let flow = &model.flows[place];
    out.key("Object being Transferred");
    let kind = match flow.cargo {
        Cargo::Layer(layer) => {
            let layer = &model.layers[layer];
            let instruction = model.symbols.text(layer.instruction);
            out.text(&format!("ContainerLayer_{} ({instruction})", layer.id));
            "layer"
        }
        Cargo::State(service) => {
            out.text(&format!("Service_{}", model.services[service].id));
            "service_state"
        }
    };
    out.key("Object Type");
    out.text(kind);
    out.key("Start");
    out.whole(i64::from(flow.start));
    out.key("End");
    out.maybe(flow.end.map(|end| Number::Int(i64::from(end))));
    out.key("Source");
    out.whole(model.servers[flow.source].id);
    out.key("Target");
    out.whole(model.servers[flow.target].id);
    out.key("Path");
    out.wholes((flow.route.switches.iter()).map(|switch| model.switches[*switch].id));
}

fn progress(flow: &Flow, out: &mut impl Encode) {
    out.key("Links Bandwidth");
    out.begin_list(flow.shares.len());
    for share in &flow.shares {
        out.item();
        out.maybe(*share);
    }
    out.end_list();
    out.key("Actual Bandwidth");
    out.maybe(flow.bandwidth());
    out.key("Status");
    out.text(if flow.is_active() {
        "active"
    } else {
        "finished"
    });
    out.key("Data to Transfer");
    out.number(flow.remaining);
}

fn registry(model: &Model, place: RegistryId, out: &mut impl Encode) {
    let registry = &model.registries[place];
    out.key("Available");
    out.flag(registry.available);
    out.key("CPU Demand");
    out.number(registry.cpu_demand);
    out.key("RAM Demand");
    out.number(registry.memory_demand);
    let Some(server) = registry.server else {
        for name in ["Server", "Images", "Layers"] {
            out.key(name);
            out.null();
        }
        return;
    };
    let server = &model.servers[server];
    out.key("Server");
    out.whole(server.id);
    out.key("Images");
    out.wholes((server.images.iter()).map(|image| model.images[*image].id));
    out.key("Layers");
    out.wholes((server.layers.iter()).map(|layer| model.layers[*layer].id));
}

fn user(model: &Model, user: &User, out: &mut impl Encode) {
    out.key("Coordinates");
    coordinates(model, user.coordinates, out);
    out.key("Base Station");
    let mut station = String::from("None");
    if let Some(place) = user.station {
        let base = &model.stations[place];
        station = format!("BaseStation_{} (", base.id);
        model.positions.write_python(base.coordinates, &mut station);
        station.push(')');
    }
    out.text(&station);
    out.key("Delays");
    out.begin_map(user.delays.len());
    for (key, delay) in &user.delays {
        out.key(model.symbols.text(*key));
        out.maybe(*delay);
    }
    out.end_map();
    out.key("Communication Paths");
    out.begin_map(user.paths.len());
    for (key, routes) in &user.paths {
        out.key(model.symbols.text(*key));
        out.begin_list(routes.len());
        for route in routes {
            out.item();
            out.wholes((route.switches.iter()).map(|switch| model.switches[*switch].id));
        }
        out.end_list();
    }
    out.end_map();
}

fn accesses(model: &Model, user: &User, out: &mut impl Encode) {
    out.key("Making Requests");
    requests(model, user, out);
    out.key("Access History");
    history(model, user, out);
}

fn requests(model: &Model, user: &User, out: &mut impl Encode) {
    out.begin_map(user.requests.len());
    for (key, requests) in &user.requests {
        out.key(model.symbols.text(*key));
        let found: u32 = (requests.found.iter())
            .map(|stretch| stretch.last - stretch.first + 1)
            .sum();
        out.begin_map(requests.given.len() + found as usize);
        for (step, requesting) in &requests.given {
            out.key(step);
            out.flag(*requesting);
        }
        for stretch in &requests.found {
            out.stretch(*stretch);
        }
        out.end_map();
    }
    out.end_map();
}

fn history(model: &Model, user: &User, out: &mut impl Encode) {
    out.begin_map(user.patterns.len());
    for (key, pattern) in &user.patterns {
        out.key(model.symbols.text(*key));
        let history = &model.patterns[*pattern].history;
        out.begin_list(history.len());
        for access in history {
            out.item();
            out.begin_map(7);
            for (name, number) in [
                ("start", access.start),
                ("end", access.end),
                ("duration", access.duration),
                ("waiting_time", access.waiting_time),
                ("access_time", access.access_time),
                ("interval", access.interval),
                ("next_access", access.next_access),
            ] {
                out.key(name);
                out.number(number);
            }
            out.end_map();
        }
        out.end_list();
    }
    out.end_map();
}

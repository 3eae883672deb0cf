//! Writing datasets.

use crate::access::{Access, AccessPattern, PatternKind};
use crate::arena::{Arena, Place};
use crate::json::{Extra, Value};
use crate::model::{Class, Model};
use crate::number::Number;
use crate::position::Position;
use crate::power::SWITCH_POWER_MODEL;
use crate::server::Server;
use crate::user::User;

/// Writes a model as a dataset, without spaces. A model that was loaded and not moved on gives the dataset that it was
/// loaded from, but for the order of fields and for fields that have a default.
///
/// What is under way in a run (downloads, migrations, flows) has no place in a dataset and is left out.
pub fn save(model: &Model) -> String {
    let mut out = String::from("{");
    for class in &model.classes {
        if out.len() > 1 {
            out.push(',');
        }
        crate::json::write_text(class.name(), &mut out);
        out.push_str(":[");
        let mut first = true;
        for object in objects(model, *class) {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            object.write(&mut out);
        }
        out.push(']');
    }
    out.push('}');
    out
}

/// The objects of a class, one by one.
fn objects(model: &Model, class: Class) -> Box<dyn Iterator<Item = Value> + '_> {
    let text = |symbol| Value::Text(model.symbols.text(symbol).to_owned());
    match class {
        Class::NetworkSwitch => Box::new(model.switches.places().map(|at| switch(model, at))),
        Class::NetworkLink => Box::new(model.links.iter().map(move |link| {
            let attributes = [
                ("id", whole(link.id)),
                ("delay", number(link.delay)),
                ("bandwidth", number(link.bandwidth)),
                ("active", Value::Bool(link.active)),
            ];
            let applications: Vec<_> = link.applications.iter().copied().collect();
            let relationships = [
                ("topology", reference("Topology", 1)),
                ("active_flows", Value::List(Vec::new())),
                ("applications", many(&model.applications, &applications)),
                ("nodes", many(&model.switches, &link.nodes)),
            ];
            object(attributes, &link.extra, relationships)
        })),
        Class::BaseStation => Box::new(model.stations.iter().map(|station| {
            let attributes = [
                ("id", whole(station.id)),
                ("coordinates", coordinates(model, station.coordinates)),
                ("wireless_delay", number(station.wireless_delay)),
            ];
            let relationships = [
                ("users", many(&model.users, &station.users)),
                ("edge_servers", many(&model.servers, &station.servers)),
                ("network_switch", one(&model.switches, Some(station.switch))),
            ];
            object(attributes, &station.extra, relationships)
        })),
        Class::User => Box::new(model.users.iter().map(|at| user(model, at))),
        Class::ContainerLayer => Box::new(model.layers.iter().map(move |layer| {
            let attributes = [
                ("id", whole(layer.id)),
                ("digest", text(layer.digest)),
                ("size", number(layer.size)),
                ("instruction", text(layer.instruction)),
            ];
            let relationships = [("server", one(&model.servers, layer.server))];
            object(attributes, &layer.extra, relationships)
        })),
        Class::ContainerImage => Box::new(model.images.iter().map(move |image| {
            let attributes = [
                ("id", whole(image.id)),
                ("name", text(image.name)),
                ("tag", text(image.tag)),
                ("digest", text(image.digest)),
                (
                    "layers_digests",
                    Value::List(image.layers.iter().map(|digest| text(*digest)).collect()),
                ),
                ("architecture", text(image.architecture)),
            ];
            let relationships = [("server", one(&model.servers, image.server))];
            object(attributes, &image.extra, relationships)
        })),
        Class::Service => Box::new(model.services.iter().map(move |service| {
            let attributes = [
                ("id", whole(service.id)),
                ("label", text(service.label)),
                ("state", number(service.state)),
                ("_available", Value::Bool(service.available)),
                ("cpu_demand", number(service.cpu_demand)),
                ("memory_demand", number(service.memory_demand)),
                ("image_digest", text(service.image)),
            ];
            let application = one(&model.applications, Some(service.application));
            let relationships = [
                ("application", application),
                ("server", one(&model.servers, service.server)),
            ];
            object(attributes, &service.extra, relationships)
        })),
        Class::ContainerRegistry => {
            let there = model.registries.iter().filter(|registry| !registry.removed);
            Box::new(there.map(|registry| {
                let attributes = [
                    ("id", whole(registry.id)),
                    ("cpu_demand", number(registry.cpu_demand)),
                    ("memory_demand", number(registry.memory_demand)),
                ];
                let relationships = [("server", one(&model.servers, registry.server))];
                object(attributes, &registry.extra, relationships)
            }))
        }
        Class::Application => Box::new(model.applications.iter().map(move |application| {
            let attributes = [
                ("id", whole(application.id)),
                ("label", text(application.label)),
            ];
            let relationships = [
                ("services", many(&model.services, &application.services)),
                ("users", many(&model.users, &application.users)),
            ];
            object(attributes, &application.extra, relationships)
        })),
        Class::EdgeServer => Box::new(model.servers.iter().map(|at| server(model, at))),
        Class::RandomDurationAndIntervalAccessPattern => Box::new(
            (model.patterns.iter())
                .filter(|pattern| pattern.kind == PatternKind::Random)
                .map(|at| pattern(model, at)),
        ),
        Class::CircularDurationAndIntervalAccessPattern => Box::new(
            (model.patterns.iter())
                .filter(|pattern| pattern.kind != PatternKind::Random)
                .map(|at| pattern(model, at)),
        ),
        Class::NetworkFlow => Box::new(std::iter::empty()),
    }
}

fn switch(model: &Model, place: crate::arena::SwitchId) -> Value {
    let switch = &model.switches[place];
    let ports = (switch.power.ports.iter())
        .map(|(bandwidth, port)| (bandwidth.clone(), number(*port)))
        .collect();
    let attributes = [
        ("id", whole(switch.id)),
        ("coordinates", coordinates(model, switch.coordinates)),
        ("active", Value::Bool(switch.active)),
        (
            "power_model_parameters",
            map([
                ("chassis_power", number(switch.power.chassis)),
                ("ports_power_consumption", Value::Map(ports)),
            ]),
        ),
    ];
    let power = (switch.power.modelled).then_some(SWITCH_POWER_MODEL);
    let relationships = [
        ("power_model", name(power)),
        ("edge_servers", many(&model.servers, &switch.servers)),
        ("links", many(&model.links, &switch.links)),
        ("base_station", one(&model.stations, switch.station)),
    ];
    object(attributes, &switch.extra, relationships)
}

fn server(model: &Model, server: &Server) -> Value {
    let power = map([
        ("max_power_consumption", number(server.power.max)),
        ("static_power_percentage", number(server.power.static_share)),
    ]);
    let model_name = model.symbols.text(server.model_name).to_owned();
    let attributes = [
        ("id", whole(server.id)),
        ("available", Value::Bool(server.available)),
        ("model_name", Value::Text(model_name)),
        ("cpu", number(server.cpu)),
        ("memory", number(server.memory)),
        ("disk", number(server.disk)),
        ("cpu_demand", number(server.cpu_demand)),
        ("memory_demand", number(server.memory_demand)),
        ("disk_demand", number(server.disk_demand)),
        ("coordinates", coordinates(model, server.coordinates)),
        (
            "max_concurrent_layer_downloads",
            number(server.max_concurrent_layer_downloads),
        ),
        ("active", Value::Bool(server.active)),
        ("power_model_parameters", power),
    ];
    let power = server.power.model.map(|model| model.name());
    let registries = many(&model.registries, &server.registries);
    let relationships = [
        ("power_model", name(power)),
        ("base_station", one(&model.stations, Some(server.station))),
        ("network_switch", one(&model.switches, server.switch)),
        ("services", many(&model.services, &server.services)),
        ("container_layers", many(&model.layers, &server.layers)),
        ("container_images", many(&model.images, &server.images)),
        ("container_registries", registries),
    ];
    object(attributes, &server.extra, relationships)
}

fn user(model: &Model, user: &User) -> Value {
    let key = |symbol| model.symbols.text(symbol).to_owned();
    let delays = (user.delays.iter())
        .map(|(at, delay)| (key(*at), delay.map_or(Value::Null, number)))
        .collect();
    let paths = (user.paths.iter())
        .map(|(at, routes)| {
            let routes = (routes.iter())
                .map(|route| {
                    let switches = route.switches.iter();
                    Value::List(
                        switches
                            .map(|place| whole(model.switches[*place].id))
                            .collect(),
                    )
                })
                .collect();
            (key(*at), Value::List(routes))
        })
        .collect();
    let requests = (user.requests.iter())
        .map(|(at, requests)| {
            let given = requests.given.iter().cloned();
            let found = (requests.found.iter()).flat_map(|stretch| {
                (stretch.first..=stretch.last).map(|step| (step.to_string(), stretch.requesting))
            });
            let steps = given
                .chain(found)
                .map(|(step, requesting)| (step, Value::Bool(requesting)));
            (key(*at), Value::Map(steps.collect()))
        })
        .collect();
    let trace = user.trace.iter().map(|place| coordinates(model, place));
    let attributes = [
        ("id", whole(user.id)),
        ("coordinates", coordinates(model, user.coordinates)),
        ("coordinates_trace", Value::List(trace.collect())),
        ("delays", Value::Map(delays)),
        ("communication_paths", Value::Map(paths)),
        ("making_requests", Value::Map(requests)),
    ];
    let mut extra = mobility(user);
    extra.extend(user.extra.iter().cloned());
    let patterns = (user.patterns.iter())
        .map(|(at, place)| {
            let pattern = &model.patterns[*place];
            (key(*at), reference(pattern_class(pattern), pattern.id))
        })
        .collect();
    let relationships = [
        ("access_patterns", Value::Map(patterns)),
        (
            "mobility_model",
            name(user.mobility.kind.map(|kind| kind.name())),
        ),
        (
            "applications",
            many(&model.applications, &user.applications),
        ),
        ("base_station", one(&model.stations, user.station)),
    ];
    object(attributes, &extra, relationships)
}

/// A user's mobility parameters, if it has any.
fn mobility(user: &User) -> Extra {
    let mobility = &user.mobility;
    let parameters = [
        ("seconds_to_move", mobility.seconds_to_move),
        ("n_paths", mobility.walks.map(Number::Int)),
        ("n_moves", mobility.moves.map(Number::Int)),
    ];
    let given: Extra = (parameters.into_iter())
        .filter_map(|(name, parameter)| Some((name.to_owned(), number(parameter?))))
        .collect();
    if given.is_empty() {
        return Extra::new();
    }
    vec![("mobility_model_parameters".to_owned(), Value::Map(given))]
}

fn pattern_class(pattern: &AccessPattern) -> &'static str {
    match pattern.kind {
        PatternKind::Random => Class::RandomDurationAndIntervalAccessPattern.name(),
        PatternKind::Circular { .. } => Class::CircularDurationAndIntervalAccessPattern.name(),
    }
}

fn pattern(model: &Model, pattern: &AccessPattern) -> Value {
    let numbers =
        |numbers: &[Number]| Value::List(numbers.iter().map(|value| number(*value)).collect());
    let access = |access: &Access| {
        map([
            ("start", number(access.start)),
            ("end", number(access.end)),
            ("duration", number(access.duration)),
            ("waiting_time", number(access.waiting_time)),
            ("access_time", number(access.access_time)),
            ("interval", number(access.interval)),
            ("next_access", number(access.next_access)),
        ])
    };
    let attributes = [
        ("id", whole(pattern.id)),
        ("duration_values", numbers(&pattern.durations)),
        ("interval_values", numbers(&pattern.intervals)),
        (
            "history",
            Value::List(pattern.history.iter().map(access).collect()),
        ),
    ];
    let relationships = [
        ("user", one(&model.users, Some(pattern.user))),
        ("app", one(&model.applications, Some(pattern.application))),
    ];
    object(attributes, &pattern.extra, relationships)
}

fn object<const A: usize, const R: usize>(
    attributes: [(&str, Value); A],
    extra: &Extra,
    relationships: [(&str, Value); R],
) -> Value {
    let Value::Map(mut attributes) = map(attributes) else {
        unreachable!("a map was made");
    };
    attributes.extend(extra.iter().cloned());
    map([
        ("attributes", Value::Map(attributes)),
        ("relationships", map(relationships)),
    ])
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(
        pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn whole(whole: i64) -> Value {
    Value::Number(Number::Int(whole))
}

fn number(number: Number) -> Value {
    Value::Number(number)
}

fn name(name: Option<&str>) -> Value {
    name.map_or(Value::Null, |name| Value::Text(name.to_owned()))
}

fn coordinates(model: &Model, position: Position) -> Value {
    let coordinates = model.positions.coordinates(position);
    Value::List(coordinates.iter().map(|value| number(*value)).collect())
}

fn reference(class: &str, id: i64) -> Value {
    map([("class", Value::Text(class.to_owned())), ("id", whole(id))])
}

/// What others call an object: its class and id.
trait Named {
    const CLASS: Class;
    fn id(&self) -> i64;
}

macro_rules! named {
    ($($object:path: $class:ident),* $(,)?) => {$(
        impl Named for $object {
            const CLASS: Class = Class::$class;

            fn id(&self) -> i64 {
                self.id
            }
        }
    )*};
}

named! {
    crate::topology::Switch: NetworkSwitch,
    crate::topology::Link: NetworkLink,
    crate::topology::BaseStation: BaseStation,
    crate::user::User: User,
    crate::image::Layer: ContainerLayer,
    crate::image::Image: ContainerImage,
    crate::service::Service: Service,
    crate::registry::Registry: ContainerRegistry,
    crate::service::Application: Application,
    crate::server::Server: EdgeServer,
}

fn one<P: Place, T: Named>(arena: &Arena<P, T>, place: Option<P>) -> Value {
    place.map_or(Value::Null, |place| {
        reference(T::CLASS.name(), arena[place].id())
    })
}

fn many<P: Place, T: Named>(arena: &Arena<P, T>, places: &[P]) -> Value {
    Value::List(places.iter().map(|at| one(arena, Some(*at))).collect())
}

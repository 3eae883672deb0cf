//! The attributes of each class.

use jiter::JsonValue;

use super::DatasetError;
use super::fields::Fields;
use crate::access::{Access, AccessPattern, PatternKind, Requests};
use crate::arena::{ApplicationId, PatternId, Place, StationId, SwitchId, Symbol, UserId};
use crate::image::{Image, Layer};
use crate::mobility::Mobility;
use crate::model::{Class, Model};
use crate::number::Number;
use crate::position::Position;
use crate::power::{ServerPower, SwitchPower};
use crate::registry::Registry;
use crate::server::Server;
use crate::service::{Application, Service};
use crate::topology::{BaseStation, Link, Switch};
use crate::trace::Trace;
use crate::user::User;

const ZERO: Option<Number> = Some(Number::ZERO);

/// Adds an object of `class`. What it says of others is not known yet. Gives its place in its class; access patterns of
/// both classes are counted together.
pub(super) fn read(
    model: &mut Model,
    class: Class,
    id: i64,
    fields: &mut Fields<'_, '_>,
) -> Result<usize, DatasetError> {
    Ok(match class {
        Class::NetworkSwitch => switch(model, id, fields)?,
        Class::NetworkLink => {
            let link = Link {
                id,
                delay: fields.amount("delay", ZERO)?,
                bandwidth: fields.amount("bandwidth", ZERO)?,
                active: fields.flag("active", true)?,
                nodes: [SwitchId::new(0); 2],
                applications: Default::default(),
                extra: fields.rest(),
            };
            model.links.push(link).index()
        }
        Class::BaseStation => {
            let station = BaseStation {
                id,
                coordinates: position(model, fields)?,
                wireless_delay: fields.amount("wireless_delay", ZERO)?,
                users: Vec::new(),
                servers: Vec::new(),
                switch: SwitchId::new(0),
                extra: fields.rest(),
            };
            model.stations.push(station).index()
        }
        Class::User => user(model, id, fields)?,
        Class::ContainerLayer => {
            let layer = Layer {
                id,
                digest: symbol(model, fields, "digest", None)?,
                size: fields.amount("size", ZERO)?,
                instruction: symbol(model, fields, "instruction", Some(""))?,
                server: None,
                extra: fields.rest(),
            };
            model.add_layer(layer).index()
        }
        Class::ContainerImage => image(model, id, fields)?,
        Class::Service => {
            let service = Service {
                id,
                label: symbol(model, fields, "label", Some(""))?,
                state: fields.amount("state", ZERO)?,
                available: fields.flag("_available", false)?,
                cpu_demand: fields.amount("cpu_demand", ZERO)?,
                memory_demand: fields.amount("memory_demand", ZERO)?,
                image: symbol(model, fields, "image_digest", None)?,
                application: ApplicationId::new(0),
                server: None,
                being_provisioned: false,
                migrations: Vec::new(),
                extra: fields.rest(),
            };
            model.services.push(service).index()
        }
        Class::ContainerRegistry => {
            let registry = Registry {
                id,
                cpu_demand: fields.amount("cpu_demand", ZERO)?,
                memory_demand: fields.amount("memory_demand", ZERO)?,
                server: None,
                available: true,
                removed: false,
                extra: fields.rest(),
            };
            model.registries.push(registry).index()
        }
        Class::Application => {
            let application = Application {
                id,
                key: model.symbols.intern(&id.to_string()),
                label: symbol(model, fields, "label", Some(""))?,
                services: Vec::new(),
                users: Vec::new(),
                extra: fields.rest(),
            };
            model.applications.push(application).index()
        }
        Class::EdgeServer => server(model, id, fields)?,
        Class::RandomDurationAndIntervalAccessPattern => {
            pattern(model, id, PatternKind::Random, fields)?.index()
        }
        Class::CircularDurationAndIntervalAccessPattern => {
            pattern(model, id, PatternKind::Circular { taken: 0 }, fields)?.index()
        }
        Class::NetworkFlow => {
            return Err(fields.error("id", "a dataset has no flows"));
        }
    })
}

fn symbol(
    model: &mut Model,
    fields: &mut Fields<'_, '_>,
    name: &str,
    default: Option<&'static str>,
) -> Result<Symbol, DatasetError> {
    Ok(model.symbols.intern(fields.text(name, default)?))
}

fn position(model: &mut Model, fields: &mut Fields<'_, '_>) -> Result<Position, DatasetError> {
    let name = "coordinates";
    let value = (fields.take(name)).ok_or_else(|| fields.error(name, "it is missing"))?;
    let coordinates = fields.coordinates(name, value)?;
    Ok(model.positions.intern(&coordinates))
}

fn switch(model: &mut Model, id: i64, fields: &mut Fields<'_, '_>) -> Result<usize, DatasetError> {
    let name = "power_model_parameters";
    let mut power = SwitchPower::default();
    if let Some(parameters) = fields.take(name) {
        for (key, value) in fields.map(name, parameters)? {
            match key {
                "chassis_power" => power.chassis = fields.any_number(name, value)?,
                "ports_power_consumption" => {
                    for (bandwidth, port) in fields.map(name, value)? {
                        let port = fields.any_number(name, port)?;
                        power.ports.push((bandwidth.to_owned(), port));
                    }
                }
                _ => return Err(fields.error(name, format!("there is no parameter {key:?}"))),
            }
        }
    }
    let switch = Switch {
        id,
        coordinates: position(model, fields)?,
        active: fields.flag("active", true)?,
        power,
        servers: Vec::new(),
        links: Vec::new(),
        station: None,
        extra: fields.rest(),
    };
    Ok(model.switches.push(switch).index())
}

fn server(model: &mut Model, id: i64, fields: &mut Fields<'_, '_>) -> Result<usize, DatasetError> {
    let name = "power_model_parameters";
    let mut power = ServerPower::default();
    if let Some(parameters) = fields.take(name) {
        for (key, value) in fields.map(name, parameters)? {
            match key {
                "max_power_consumption" => power.max = fields.any_number(name, value)?,
                "static_power_percentage" => power.static_share = fields.any_number(name, value)?,
                _ => return Err(fields.error(name, format!("there is no parameter {key:?}"))),
            }
        }
    }
    let downloads = "max_concurrent_layer_downloads";
    let max_concurrent_layer_downloads = fields.capacity(downloads, Some(Number::Int(3)))?;
    if let Number::Float(most) = max_concurrent_layer_downloads
        && most.is_finite()
    {
        return Err(fields.error(downloads, "it is not a whole number"));
    }
    let server = Server {
        id,
        coordinates: position(model, fields)?,
        available: fields.flag("available", true)?,
        active: fields.flag("active", true)?,
        model_name: symbol(model, fields, "model_name", Some(""))?,
        cpu: fields.capacity("cpu", ZERO)?,
        memory: fields.capacity("memory", ZERO)?,
        disk: fields.capacity("disk", ZERO)?,
        cpu_demand: fields.amount("cpu_demand", ZERO)?,
        memory_demand: fields.amount("memory_demand", ZERO)?,
        disk_demand: fields.amount("disk_demand", ZERO)?,
        max_concurrent_layer_downloads,
        power,
        station: StationId::new(0),
        switch: None,
        services: Vec::new(),
        layers: Vec::new(),
        digests: Vec::new(),
        images: Vec::new(),
        registries: Vec::new(),
        waiting: Default::default(),
        downloads: Vec::new(),
        ongoing_migrations: 0,
        layers_changed: 0,
        extra: fields.rest(),
    };
    Ok(model.servers.push(server).index())
}

fn image(model: &mut Model, id: i64, fields: &mut Fields<'_, '_>) -> Result<usize, DatasetError> {
    let name = "layers_digests";
    let mut layers = Vec::new();
    if let Some(value) = fields.take(name) {
        for digest in fields.list(name, value)? {
            let JsonValue::Str(digest) = digest else {
                return Err(fields.error(name, "it has what is not a text"));
            };
            layers.push(model.symbols.intern(digest));
        }
    }
    let image = Image {
        id,
        name: symbol(model, fields, "name", Some(""))?,
        tag: symbol(model, fields, "tag", Some(""))?,
        digest: symbol(model, fields, "digest", None)?,
        layers: layers.into(),
        architecture: symbol(model, fields, "architecture", Some(""))?,
        server: None,
        extra: fields.rest(),
    };
    Ok(model.add_image(image).index())
}

fn user(model: &mut Model, id: i64, fields: &mut Fields<'_, '_>) -> Result<usize, DatasetError> {
    let coordinates = position(model, fields)?;
    let mut trace = Trace::default();
    let name = "coordinates_trace";
    if let Some(value) = fields.take(name) {
        for place in fields.list(name, value)? {
            let place = fields.coordinates(name, place)?;
            trace.push(model.positions.intern(&place), 1);
        }
    }
    let mut delays = Vec::new();
    let name = "delays";
    if let Some(value) = fields.take(name) {
        for (key, delay) in fields.map(name, value)? {
            let delay = match delay {
                JsonValue::Null => None,
                delay => Some(fields.any_number(name, delay)?),
            };
            delays.push((model.symbols.intern(key), delay));
        }
    }
    let mut requests = Vec::new();
    let name = "making_requests";
    if let Some(value) = fields.take(name) {
        for (key, steps) in fields.map(name, value)? {
            let mut given = Vec::new();
            for (step, requesting) in fields.map(name, steps)? {
                let JsonValue::Bool(requesting) = requesting else {
                    return Err(fields.error(name, "it has what is not true or false"));
                };
                given.push((step.to_owned(), *requesting));
            }
            let found = Vec::new();
            requests.push((model.symbols.intern(key), Requests { given, found }));
        }
    }
    let user = User {
        id,
        coordinates,
        trace,
        mobility: mobility(fields)?,
        station: None,
        applications: Vec::new(),
        patterns: Vec::new(),
        delays,
        paths: Vec::new(),
        requests,
        moved: 0,
        extra: fields.rest(),
    };
    Ok(model.users.push(user).index())
}

fn mobility(fields: &mut Fields<'_, '_>) -> Result<Mobility, DatasetError> {
    let name = "mobility_model_parameters";
    let mut mobility = Mobility {
        kind: None,
        seconds_to_move: None,
        walks: None,
        moves: None,
    };
    let Some(value) = fields.take(name) else {
        return Ok(mobility);
    };
    for (key, value) in fields.map(name, value)? {
        let number = fields.any_number(name, value)?;
        let wrong = |problem: &str| fields.error(name, format!("{key} is {problem}"));
        if number.value() < 0.0 {
            return Err(wrong("negative"));
        }
        let count = match number {
            Number::Int(count @ ..=100_000) => Ok(Some(count)),
            _ => Err(wrong("not a whole number up to 100000")),
        };
        match key {
            "seconds_to_move" => mobility.seconds_to_move = Some(number),
            "n_paths" => mobility.walks = count?,
            "n_moves" => mobility.moves = count?,
            _ => return Err(wrong("no parameter")),
        }
    }
    Ok(mobility)
}

fn pattern(
    model: &mut Model,
    id: i64,
    kind: PatternKind,
    fields: &mut Fields<'_, '_>,
) -> Result<PatternId, DatasetError> {
    let mut values = |name: &str| {
        let value = (fields.take(name)).ok_or_else(|| fields.error(name, "it is missing"))?;
        let numbers = (fields.list(name, value)?.iter())
            .map(|number| fields.any_number(name, number))
            .collect::<Result<Vec<Number>, _>>()?;
        if numbers.is_empty() {
            return Err(fields.error(name, "it is empty"));
        }
        Ok(numbers)
    };
    let durations = values("duration_values")?;
    let intervals = values("interval_values")?;
    let name = "history";
    let value = (fields.take(name)).ok_or_else(|| fields.error(name, "it is missing"))?;
    let mut history = Vec::new();
    for access in fields.list(name, value)? {
        history.push(read_access(fields, name, access)?);
    }
    if history.is_empty() {
        return Err(fields.error(name, "it is empty"));
    }
    Ok(model.patterns.push(AccessPattern {
        id,
        kind,
        durations,
        intervals,
        history,
        user: UserId::new(0),
        application: ApplicationId::new(0),
        extra: fields.rest(),
    }))
}

fn read_access(
    fields: &Fields<'_, '_>,
    name: &str,
    value: &JsonValue<'_>,
) -> Result<Access, DatasetError> {
    let mut access = Access {
        start: Number::ZERO,
        end: Number::ZERO,
        duration: Number::ZERO,
        waiting_time: Number::ZERO,
        access_time: Number::ZERO,
        interval: Number::ZERO,
        next_access: Number::ZERO,
    };
    let mut missing = vec![
        "start",
        "end",
        "duration",
        "waiting_time",
        "access_time",
        "interval",
        "next_access",
    ];
    let JsonValue::Object(map) = value else {
        return Err(fields.error(name, "it has what is not a map"));
    };
    for (key, value) in map.iter() {
        let number = fields.any_number(name, value)?;
        let field = match &**key {
            "start" => &mut access.start,
            "end" => &mut access.end,
            "duration" => &mut access.duration,
            "waiting_time" => &mut access.waiting_time,
            "access_time" => &mut access.access_time,
            "interval" => &mut access.interval,
            "next_access" => &mut access.next_access,
            _ => return Err(fields.error(name, format!("an access has no {key:?}"))),
        };
        *field = number;
        missing.retain(|name| *name != key);
    }
    match missing.first() {
        None => Ok(access),
        Some(missing) => Err(fields.error(name, format!("an access lacks {missing:?}"))),
    }
}

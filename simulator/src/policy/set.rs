//! Attributes that a policy can set.

use crate::arena::Symbol;
use crate::json::{Extra, Value};
use crate::model::{Class, find};
use crate::number::Number;
use crate::simulation::{Reason, Simulation};
use crate::symbol::Symbols;

impl Simulation {
    pub(super) fn set(
        &mut self,
        class: &str,
        id: i64,
        attribute: &str,
        value: &Value,
    ) -> Result<(), Reason> {
        let cannot = |problem| Reason::CannotSet {
            class: class.to_owned(),
            id,
            attribute: attribute.to_owned(),
            problem,
        };
        let set = match Class::named(class) {
            Some(Class::EdgeServer) => self.set_server(id, attribute, value),
            Some(Class::Service) => self.set_service(id, attribute, value),
            Some(Class::NetworkLink) => self.set_link(id, attribute, value),
            Some(Class::NetworkSwitch) => {
                find(&self.model.switches, |object| object.id == id).map(|place| {
                    let switch = &mut self.model.switches[place];
                    match attribute {
                        "active" => flag(value, &mut switch.active),
                        _ => other(&SWITCH, value, attribute, &mut switch.extra),
                    }
                })
            }
            Some(Class::ContainerRegistry) => self.model.registry(id).map(|place| {
                let registry = &mut self.model.registries[place];
                match attribute {
                    "available" => flag(value, &mut registry.available),
                    "cpu_demand" => amount(value, &mut registry.cpu_demand),
                    "memory_demand" => amount(value, &mut registry.memory_demand),
                    _ => other(&REGISTRY, value, attribute, &mut registry.extra),
                }
            }),
            Some(Class::User) => find(&self.model.users, |object| object.id == id).map(|place| {
                let user = &mut self.model.users[place];
                other(&USER, value, attribute, &mut user.extra)
            }),
            Some(Class::Application) => find(&self.model.applications, |object| object.id == id)
                .map(|place| {
                    let application = &mut self.model.applications[place];
                    match attribute {
                        "label" => text(value, &mut self.model.symbols, &mut application.label),
                        _ => other(&APPLICATION, value, attribute, &mut application.extra),
                    }
                }),
            Some(Class::BaseStation) => {
                find(&self.model.stations, |object| object.id == id).map(|place| {
                    let station = &mut self.model.stations[place];
                    other(&STATION, value, attribute, &mut station.extra)
                })
            }
            Some(_) => return Err(cannot("nothing of this class can be set")),
            None => None,
        };
        match set {
            None => {
                return Err(Reason::NoSuchObject {
                    class: class.to_owned(),
                    id,
                });
            }
            Some(set) => set.map_err(cannot)?,
        }
        if class == Class::Service.name()
            && attribute == "_available"
            && self.settings.corrections.outages
            && let Some(service) = self.model.service(id)
        {
            self.refresh_users(service)?;
        }
        Ok(())
    }

    fn set_server(&mut self, id: i64, attribute: &str, value: &Value) -> Option<Outcome> {
        let place = self.model.server(id)?;
        let server = &mut self.model.servers[place];
        Some(match attribute {
            "active" => flag(value, &mut server.active),
            "available" => flag(value, &mut server.available),
            "cpu" => capacity(value, &mut server.cpu),
            "memory" => capacity(value, &mut server.memory),
            "disk" => capacity(value, &mut server.disk),
            "cpu_demand" => amount(value, &mut server.cpu_demand),
            "memory_demand" => amount(value, &mut server.memory_demand),
            "disk_demand" => amount(value, &mut server.disk_demand),
            "max_concurrent_layer_downloads" => match value {
                Value::Number(most @ (Number::Int(0..) | Number::Float(f64::INFINITY))) => {
                    server.max_concurrent_layer_downloads = *most;
                    Ok(())
                }
                _ => Err("not a whole number from 0 on"),
            },
            "model_name" => text(value, &mut self.model.symbols, &mut server.model_name),
            _ => other(&SERVER, value, attribute, &mut server.extra),
        })
    }

    fn set_service(&mut self, id: i64, attribute: &str, value: &Value) -> Option<Outcome> {
        let place = self.model.service(id)?;
        let service = &mut self.model.services[place];
        Some(match attribute {
            "_available" => flag(value, &mut service.available),
            "state" => amount(value, &mut service.state),
            "cpu_demand" => amount(value, &mut service.cpu_demand),
            "memory_demand" => amount(value, &mut service.memory_demand),
            "label" => text(value, &mut self.model.symbols, &mut service.label),
            _ => other(&SERVICE, value, attribute, &mut service.extra),
        })
    }

    fn set_link(&mut self, id: i64, attribute: &str, value: &Value) -> Option<Outcome> {
        let place = find(&self.model.links, |object| object.id == id)?;
        let link = &mut self.model.links[place];
        Some(match attribute {
            "active" => flag(value, &mut link.active),
            "bandwidth" => {
                let set = amount(value, &mut link.bandwidth);
                self.traffic.change(place);
                set
            }
            "delay" => {
                let set = amount(value, &mut link.delay);
                self.paths.forget_delays();
                set
            }
            _ => other(&LINK, value, attribute, &mut link.extra),
        })
    }
}

type Outcome = Result<(), &'static str>;

fn flag(value: &Value, target: &mut bool) -> Outcome {
    match value {
        Value::Bool(value) => {
            *target = *value;
            Ok(())
        }
        _ => Err("not true or false"),
    }
}

fn amount(value: &Value, target: &mut Number) -> Outcome {
    match value {
        Value::Number(number) if number.value().is_infinite() => Err("it is infinite"),
        _ => capacity(value, target),
    }
}

/// Sets what can be infinite.
fn capacity(value: &Value, target: &mut Number) -> Outcome {
    match value {
        Value::Number(number) if number.value() >= 0.0 => {
            *target = *number;
            Ok(())
        }
        _ => Err("not a number from 0 on"),
    }
}

fn text(value: &Value, symbols: &mut Symbols, target: &mut Symbol) -> Outcome {
    match value {
        Value::Text(text) => {
            *target = symbols.intern(text);
            Ok(())
        }
        _ => Err("not a text"),
    }
}

// What the simulation works with, but cannot be set from outside.
const SWITCH: [&str; 7] = [
    "id",
    "coordinates",
    "power_model",
    "power_model_parameters",
    "edge_servers",
    "links",
    "base_station",
];
const LINK: [&str; 6] = [
    "id",
    "topology",
    "nodes",
    "applications",
    "active_flows",
    "bandwidth_demand",
];
const STATION: [&str; 6] = [
    "id",
    "coordinates",
    "wireless_delay",
    "users",
    "edge_servers",
    "network_switch",
];
const USER: [&str; 11] = [
    "id",
    "coordinates",
    "coordinates_trace",
    "delays",
    "communication_paths",
    "making_requests",
    "access_patterns",
    "mobility_model",
    "mobility_model_parameters",
    "applications",
    "base_station",
];
const SERVICE: [&str; 5] = [
    "id",
    "image_digest",
    "application",
    "server",
    "being_provisioned",
];
const REGISTRY: [&str; 2] = ["id", "server"];
const APPLICATION: [&str; 3] = ["id", "services", "users"];
const SERVER: [&str; 11] = [
    "id",
    "coordinates",
    "power_model",
    "power_model_parameters",
    "base_station",
    "network_switch",
    "services",
    "container_layers",
    "container_images",
    "container_registries",
    "ongoing_migrations",
];

fn other(fixed: &[&str], value: &Value, attribute: &str, extra: &mut Extra) -> Outcome {
    if fixed.contains(&attribute) {
        return Err("the simulation itself keeps it");
    }
    match extra.iter_mut().find(|(known, _)| known == attribute) {
        Some(known) => known.1 = value.clone(),
        None => extra.push((attribute.to_owned(), value.clone())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::dataset::{self, Limits};
    use crate::generate::Mesh;
    use crate::json::Value;
    use crate::number::Number;
    use crate::settings::Settings;
    use crate::simulation::Simulation;

    fn simulation() -> Simulation {
        let mesh = Mesh {
            servers: 5,
            steps: 2,
            services_per_server: 1,
        };
        let dataset = mesh.generate().dataset;
        let model = dataset::load(dataset.as_bytes(), &Limits::default()).unwrap();
        Simulation::new(model, Settings::default())
    }

    #[test]
    fn what_cannot_be_set_is_said() {
        let mut simulation = simulation();
        let mut check = |class: &str, attribute: &str, value: Value, expected: &str| {
            let error = simulation.set(class, 1, attribute, &value).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let kept = "the simulation itself keeps it";
        for (class, attribute) in [
            ("EdgeServer", "power_model"),
            ("User", "mobility_model"),
            ("NetworkLink", "nodes"),
        ] {
            let expected = format!("{attribute} of {class} 1 cannot be set to this: {kept}");
            check(class, attribute, Value::Null, &expected);
        }
        check(
            "ContainerLayer",
            "size",
            Value::Number(Number::Int(1)),
            "size of ContainerLayer 1 cannot be set to this: nothing of this class can be set",
        );
        check("Rack", "row", Value::Null, "there is no Rack 1");
        check(
            "Service",
            "state",
            Value::Number(Number::Float(f64::INFINITY)),
            "state of Service 1 cannot be set to this: it is infinite",
        );
    }

    #[test]
    fn names_that_were_set_are_saved_once() {
        let mut simulation = simulation();
        let name = Value::Text("another".to_owned());
        for (class, attribute) in [
            ("EdgeServer", "model_name"),
            ("Service", "label"),
            ("Application", "label"),
        ] {
            simulation.set(class, 1, attribute, &name).unwrap();
        }
        let saved = dataset::save(simulation.model());
        assert_eq!(saved.matches("another").count(), 3);
        dataset::load(saved.as_bytes(), &Limits::default()).unwrap();
    }
}

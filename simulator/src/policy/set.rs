//! Attributes that a policy can set.

use crate::json::{Extra, Value};
use crate::model::{Class, find};
use crate::number::Number;
use crate::simulation::{Reason, Simulation};

impl Simulation {
    pub(super) fn set(
        &mut self,
        class: &str,
        id: i64,
        attribute: &str,
        value: &Value,
    ) -> Result<(), Reason> {
        let set = match Class::named(class) {
            Some(Class::EdgeServer) => self.set_server(id, attribute, value),
            Some(Class::Service) => self.set_service(id, attribute, value),
            Some(Class::NetworkSwitch) => {
                find(&self.model.switches, |object| object.id == id).map(|place| {
                    let switch = &mut self.model.switches[place];
                    match attribute {
                        "active" => flag(value, &mut switch.active),
                        _ => other(value, attribute, &mut switch.extra),
                    }
                })
            }
            Some(Class::NetworkLink) => self.set_link(id, attribute, value),
            Some(Class::ContainerRegistry) => self.model.registry(id).map(|place| {
                let registry = &mut self.model.registries[place];
                match attribute {
                    "available" => flag(value, &mut registry.available),
                    "cpu_demand" => amount(value, &mut registry.cpu_demand),
                    "memory_demand" => amount(value, &mut registry.memory_demand),
                    _ => other(value, attribute, &mut registry.extra),
                }
            }),
            Some(Class::User) => find(&self.model.users, |object| object.id == id)
                .map(|place| other(value, attribute, &mut self.model.users[place].extra)),
            Some(Class::Application) => find(&self.model.applications, |object| object.id == id)
                .map(|place| other(value, attribute, &mut self.model.applications[place].extra)),
            Some(Class::BaseStation) => find(&self.model.stations, |object| object.id == id)
                .map(|place| other(value, attribute, &mut self.model.stations[place].extra)),
            _ => None,
        };
        match set {
            None => Err(Reason::NoSuchObject {
                class: class.to_owned(),
                id,
            }),
            Some(Err(problem)) => Err(Reason::CannotSet {
                class: class.to_owned(),
                id,
                attribute: attribute.to_owned(),
                problem,
            }),
            Some(Ok(())) => Ok(()),
        }
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
            _ => other(value, attribute, &mut server.extra),
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
            _ => other(value, attribute, &mut service.extra),
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
            _ => other(value, attribute, &mut link.extra),
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

/// Attributes that the simulation works with, but that cannot be set from outside.
const FIXED: [&str; 17] = [
    "id",
    "coordinates",
    "coordinates_trace",
    "delays",
    "communication_paths",
    "making_requests",
    "mobility_model_parameters",
    "power_model_parameters",
    "server",
    "services",
    "application",
    "applications",
    "image_digest",
    "base_station",
    "network_switch",
    "wireless_delay",
    "being_provisioned",
];

fn other(value: &Value, attribute: &str, extra: &mut Extra) -> Outcome {
    if FIXED.contains(&attribute) {
        return Err("the simulation itself keeps it");
    }
    match extra.iter_mut().find(|(known, _)| known == attribute) {
        Some(known) => known.1 = value.clone(),
        None => extra.push((attribute.to_owned(), value.clone())),
    }
    Ok(())
}

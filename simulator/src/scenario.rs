//! Scenarios: what drives a run, written down as JSON.
//!
//! ```json
//! {"algorithm": "scripted", "stop": {"kind": "steps", "steps": 30},
//!  "events": [{"step": 2, "op": "provision", "service": 1, "server": 2}]}
//! ```

use jiter::{Jiter, JsonValue};

use crate::json::Value;
use crate::number::Number;
use crate::policy::{Event, FirstFit, Operation, Policy, Script, WorstFit};
use crate::settings::{FlowScheduling, Settings};
use crate::simulation::Stop;

/// What drives a run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What decides.
    pub algorithm: Algorithm,
    /// When the run ends.
    pub stop: Stop,
    /// How flows share a link.
    pub flow_scheduling: FlowScheduling,
    /// The seconds of a step.
    pub tick_seconds: f64,
    /// What random choices follow from.
    pub seed: Option<u64>,
}

/// What decides in a scenario.
#[derive(Clone, Debug)]
pub enum Algorithm {
    /// Events.
    Scripted(Script),
    /// [`FirstFit`].
    FirstFit(FirstFit),
    /// [`WorstFit`].
    WorstFit(WorstFit),
}

impl Algorithm {
    /// The policy that decides.
    pub fn policy(&mut self) -> &mut dyn Policy {
        match self {
            Self::Scripted(script) => script,
            Self::FirstFit(policy) => policy,
            Self::WorstFit(policy) => policy,
        }
    }
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It is no JSON.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// A field cannot be used.
    #[error("{place}: {problem}")]
    Field {
        /// Where it stands: `stop.steps`, `events[3].op`.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`]: what is wrong, and where.
    pub fn read(json: &[u8]) -> Result<Self, ScenarioError> {
        let mut reader = Jiter::new(json).with_allow_inf_nan();
        let value = (reader.next_value())
            .and_then(|value| reader.finish().map(|()| value))
            .map_err(|error| {
                let position = error.get_position(&reader);
                ScenarioError::Json {
                    line: position.line,
                    column: position.column,
                    problem: error.error_type.to_string(),
                }
            })?;
        let fields = Fields::new(String::new(), &value)?;
        fields.only(&[
            "algorithm",
            "cooldown_steps",
            "events",
            "stop",
            "flow_scheduling",
            "tick_duration",
            "tick_unit",
            "python_random_seed",
            // For who checks what comes of it.
            "expect_error",
        ])?;
        let stop = fields.stop()?;
        let algorithm = match fields.text("algorithm")? {
            "scripted" => Algorithm::Scripted(Script::new(fields.events()?)),
            "first_fit" => Algorithm::FirstFit(FirstFit),
            "worst_fit_cooldown" => Algorithm::WorstFit(WorstFit {
                cooldown_steps: fields.count("cooldown_steps")?,
            }),
            other => {
                return Err(fields.error("algorithm", format!("there is no {other:?}")));
            }
        };
        Ok(Self {
            algorithm,
            stop,
            flow_scheduling: fields.flow_scheduling()?,
            tick_seconds: fields.tick_seconds()?,
            seed: fields.seed()?,
        })
    }

    /// Settings with what the scenario says of them.
    pub fn settings(&self) -> Settings {
        Settings {
            flow_scheduling: self.flow_scheduling,
            tick_seconds: self.tick_seconds,
            seed: self.seed.unwrap_or_default(),
            ..Settings::default()
        }
    }
}

/// Reads what a policy does in a turn: a list of operations, as those of a scenario's events, without their step.
///
/// # Errors
/// [`ScenarioError`].
pub fn read_operations(json: &[u8]) -> Result<Vec<Operation>, ScenarioError> {
    let mut reader = Jiter::new(json).with_allow_inf_nan();
    let value = (reader.next_value())
        .and_then(|value| reader.finish().map(|()| value))
        .map_err(|error| ScenarioError::Json {
            line: 1,
            column: error.index + 1,
            problem: error.error_type.to_string(),
        })?;
    let JsonValue::Array(list) = &value else {
        return Err(ScenarioError::Field {
            place: "actions".to_owned(),
            problem: "they are not a list".to_owned(),
        });
    };
    (list.iter().enumerate())
        .map(|(at, action)| Fields::new(format!("actions[{at}]"), action)?.operation(&[]))
        .collect()
}

/// The fields of a map, and where it stands.
struct Fields<'v, 'j> {
    place: String,
    map: &'v [(std::borrow::Cow<'j, str>, JsonValue<'j>)],
}

impl<'v, 'j> Fields<'v, 'j> {
    fn new(place: String, value: &'v JsonValue<'j>) -> Result<Self, ScenarioError> {
        match value {
            JsonValue::Object(map) => Ok(Self { place, map }),
            _ => Err(ScenarioError::Field {
                place: if place.is_empty() {
                    "scenario".to_owned()
                } else {
                    place
                },
                problem: "it is not a map".to_owned(),
            }),
        }
    }

    fn error(&self, name: &str, problem: impl Into<String>) -> ScenarioError {
        let place = if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        };
        ScenarioError::Field {
            place,
            problem: problem.into(),
        }
    }

    /// Checks that there is nothing but these fields: one that is misspelt would be one that is missing.
    fn only(&self, names: &[&str]) -> Result<(), ScenarioError> {
        match self.map.iter().find(|(key, _)| !names.contains(&&**key)) {
            None => Ok(()),
            Some((key, _)) => Err(self.error(key, "there is no such field")),
        }
    }

    fn get(&self, name: &str) -> Option<&'v JsonValue<'j>> {
        (self.map.iter().rev())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    fn required(&self, name: &str) -> Result<&'v JsonValue<'j>, ScenarioError> {
        self.get(name)
            .ok_or_else(|| self.error(name, "it is missing"))
    }

    fn text(&self, name: &str) -> Result<&'v str, ScenarioError> {
        match self.required(name)? {
            JsonValue::Str(text) => Ok(text),
            _ => Err(self.error(name, "it is not a text")),
        }
    }

    fn whole(&self, name: &str) -> Result<i64, ScenarioError> {
        match self.required(name)? {
            JsonValue::Int(whole) => Ok(*whole),
            _ => Err(self.error(name, "it is not a whole number")),
        }
    }

    fn count(&self, name: &str) -> Result<u32, ScenarioError> {
        u32::try_from(self.whole(name)?)
            .ok()
            .filter(|count| *count < u32::MAX)
            .ok_or_else(|| self.error(name, "it is not a count"))
    }

    fn seed(&self) -> Result<Option<u64>, ScenarioError> {
        let name = "python_random_seed";
        if self.get(name).is_none() {
            return Ok(None);
        }
        let seed = u64::try_from(self.whole(name)?);
        Ok(Some(seed.map_err(|_| self.error(name, "it is negative"))?))
    }

    fn amount(&self, name: &str) -> Result<Option<Number>, ScenarioError> {
        let number = match self.get(name) {
            None | Some(JsonValue::Null) => return Ok(None),
            Some(JsonValue::Int(whole)) => Number::Int(*whole),
            Some(JsonValue::Float(value)) => Number::Float(*value),
            Some(_) => return Err(self.error(name, "it is not a number")),
        };
        if number.value() >= 0.0 && number.value().is_finite() {
            Ok(Some(number))
        } else {
            Err(self.error(name, "it is not a number from 0 on"))
        }
    }

    fn stop(&self) -> Result<Stop, ScenarioError> {
        let stop = Fields::new("stop".to_owned(), self.required("stop")?)?;
        stop.only(&["kind", "steps", "max_steps"])?;
        match stop.text("kind")? {
            "steps" => Ok(Stop::Steps(stop.count("steps")?)),
            "all_services_hosted" => Ok(Stop::AllHosted {
                at_most: stop.count("max_steps")?,
            }),
            other => Err(stop.error("kind", format!("there is no {other:?}"))),
        }
    }

    fn flow_scheduling(&self) -> Result<FlowScheduling, ScenarioError> {
        let name = "flow_scheduling";
        match self.get(name) {
            None => Ok(FlowScheduling::MaxMinFairness),
            Some(_) => {
                let text = self.text(name)?;
                FlowScheduling::named(text)
                    .ok_or_else(|| self.error(name, format!("there is no {text:?}")))
            }
        }
    }

    fn tick_seconds(&self) -> Result<f64, ScenarioError> {
        let duration = match self.amount("tick_duration")? {
            None => 1.0,
            Some(duration) if duration.is_zero() => {
                return Err(self.error("tick_duration", "it is zero"));
            }
            Some(duration) => duration.value(),
        };
        let name = "tick_unit";
        let unit = match self.get(name) {
            None => "seconds",
            Some(_) => self.text(name)?,
        };
        match unit {
            "seconds" => Ok(duration),
            "milliseconds" => Ok(duration / 1000.0),
            "microseconds" => Ok(duration / 1_000_000.0),
            "nanoseconds" => Ok(duration / 1_000_000_000.0),
            "minutes" => Ok(duration * 60.0),
            other => Err(self.error(name, format!("there is no {other:?}"))),
        }
    }

    fn events(&self) -> Result<Vec<Event>, ScenarioError> {
        let name = "events";
        let JsonValue::Array(events) = self.required(name)? else {
            return Err(self.error(name, "it is not a list"));
        };
        (events.iter().enumerate())
            .map(|(at, event)| {
                let event = Fields::new(format!("events[{at}]"), event)?;
                let step = event.count("step")?;
                if step == 0 {
                    return Err(event.error("step", "steps begin with 1"));
                }
                Ok(Event {
                    step,
                    operation: event.operation(&["step"])?,
                })
            })
            .collect()
    }

    /// An operation; it can have the fields `also`, beside its own.
    fn operation(&self, also: &[&str]) -> Result<Operation, ScenarioError> {
        let op = self.text("op")?;
        let only = |names: &[&str]| self.only(&[&["op"], names, also].concat());
        Ok(match op {
            "provision" => {
                only(&["service", "server"])?;
                Operation::Provision {
                    service: self.whole("service")?,
                    server: self.whole("server")?,
                }
            }
            "provision_if_idle" => {
                only(&["service", "server"])?;
                Operation::ProvisionIfIdle {
                    service: self.whole("service")?,
                    server: self.whole("server")?,
                }
            }
            "query_capacity" => {
                only(&["service", "server"])?;
                Operation::QueryCapacity {
                    service: self.whole("service")?,
                    server: self.whole("server")?,
                }
            }
            "provision_registry" => {
                only(&["server", "cpu_demand", "memory_demand"])?;
                Operation::ProvisionRegistry {
                    server: self.whole("server")?,
                    cpu_demand: self.amount("cpu_demand")?,
                    memory_demand: self.amount("memory_demand")?,
                }
            }
            "deprovision_registry" => {
                only(&["registry", "purge_images"])?;
                if self.get("purge_images") == Some(&JsonValue::Bool(true)) {
                    return Err(self.error("purge_images", "images cannot be purged"));
                }
                Operation::DeprovisionRegistry {
                    registry: self.whole("registry")?,
                }
            }
            "set" => {
                only(&["class", "id", "attribute", "value"])?;
                Operation::Set {
                    class: self.text("class")?.to_owned(),
                    id: self.whole("id")?,
                    attribute: self.text("attribute")?.to_owned(),
                    value: Value::from(self.required("value")?),
                }
            }
            other => return Err(self.error("op", format!("there is no {other:?}"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Scenario;

    fn read(fields: &str) -> Result<Scenario, String> {
        let json = format!(
            r#"{{"algorithm": "first_fit", "stop": {{"kind": "steps", "steps": 3}}{fields}}}"#
        );
        Scenario::read(json.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_that_there_are_not_are_said() {
        let error = |fields: &str| read(fields).unwrap_err();
        assert_eq!(error(r#", "seed": 3"#), "seed: there is no such field");
        let actions = br#"[{"op": "provision", "service": 1, "server": 2, "frce": true}]"#;
        let error = super::read_operations(actions).unwrap_err().to_string();
        assert_eq!(error, "actions[0].frce: there is no such field");
        let actions = br#"[{"op": "move", "to": 1}]"#;
        let error = super::read_operations(actions).unwrap_err().to_string();
        assert_eq!(error, "actions[0].op: there is no \"move\"");
    }

    #[test]
    fn seeds_are_as_large_as_those_of_the_command_line() {
        let seed =
            |seed: &str| read(&format!(r#", "python_random_seed": {seed}"#)).map(|read| read.seed);
        assert_eq!(seed("1099511627781"), Ok(Some((1 << 40) + 5)));
        let error = "python_random_seed: it is negative".to_owned();
        assert_eq!(seed("-1"), Err(error));
    }
}

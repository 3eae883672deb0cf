//! What one object says of others.

use jiter::JsonValue;

use super::DatasetError;
use super::fields::Fields;
use super::relations::Relations;
use crate::arena::Place;
use crate::model::Class;

/// What stands under a relationship.
pub(super) enum Said {
    Nothing,
    Name(String),
    One(Reference),
    Many(Vec<Reference>),
    Keyed(Vec<(String, Reference)>),
}

pub(super) struct Reference {
    class: String,
    id: i64,
}

impl Said {
    pub(super) fn read(
        name: &str,
        value: &JsonValue<'_>,
        fields: &Fields<'_, '_>,
    ) -> Result<Self, DatasetError> {
        Ok(match value {
            JsonValue::Null => Self::Nothing,
            JsonValue::Str(name) => Self::Name(name.to_string()),
            JsonValue::Array(list) => Self::Many(
                (list.iter())
                    .map(|value| Reference::read(name, value, fields))
                    .collect::<Result<_, _>>()?,
            ),
            JsonValue::Object(map) if map.iter().any(|(key, _)| key == "class") => {
                Self::One(Reference::read(name, value, fields)?)
            }
            JsonValue::Object(_) => {
                let mut keyed = Vec::new();
                for (key, value) in fields.map(name, value)? {
                    keyed.push((key.to_owned(), Reference::read(name, value, fields)?));
                }
                Self::Keyed(keyed)
            }
            _ => return Err(fields.error(name, "it names no object")),
        })
    }
}

impl Reference {
    fn read(
        name: &str,
        value: &JsonValue<'_>,
        fields: &Fields<'_, '_>,
    ) -> Result<Self, DatasetError> {
        let wrong = || fields.error(name, "it is not {\"class\": .., \"id\": ..}");
        let JsonValue::Object(map) = value else {
            return Err(wrong());
        };
        match &map[..] {
            [(class, JsonValue::Str(of)), (id, JsonValue::Int(number))]
            | [(id, JsonValue::Int(number)), (class, JsonValue::Str(of))]
                if class == "class" && id == "id" =>
            {
                Ok(Self {
                    class: of.to_string(),
                    id: *number,
                })
            }
            _ => Err(wrong()),
        }
    }
}

/// What one object says of others, taken out bit by bit.
pub(super) struct Saying<'r> {
    relations: &'r Relations,
    class: Class,
    id: i64,
    said: Vec<(String, Said)>,
}

impl<'r> Saying<'r> {
    pub(super) fn new(
        relations: &'r Relations,
        class: Class,
        id: i64,
        said: Vec<(String, Said)>,
    ) -> Self {
        Self {
            relations,
            class,
            id,
            said,
        }
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    pub(super) fn error(&self, name: &str, problem: impl Into<String>) -> DatasetError {
        DatasetError::Field {
            class: self.class.name(),
            object: self.id.to_string(),
            field: name.to_owned(),
            problem: problem.into(),
        }
    }

    fn take(&mut self, name: &str) -> Said {
        match self.said.iter().position(|(known, _)| known == name) {
            Some(at) => self.said.remove(at).1,
            None => Said::Nothing,
        }
    }

    pub(super) fn nothing_else(&self) -> Result<(), DatasetError> {
        match self.said.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.error(name, "there is no such relationship")),
        }
    }

    /// The place of the object that is meant.
    fn resolve(
        &self,
        name: &str,
        reference: &Reference,
        among: &[Class],
    ) -> Result<usize, DatasetError> {
        let Reference { class, id } = reference;
        let known = among.iter().find(|known| known.name() == class);
        let Some(known) = known else {
            return Err(self.error(
                name,
                format!("it names {class} {id}, where {} belongs", among[0]),
            ));
        };
        match self.relations.find(*known, *id) {
            Some((place, false)) => Ok(place),
            Some((_, true)) => Err(self.error(
                name,
                format!("it names {class} {id}, but several have this id"),
            )),
            None if self.relations.is_empty(*known) => Err(self.error(
                name,
                format!("it names {class} {id}, but the dataset has no {class}"),
            )),
            None => Err(self.error(
                name,
                format!("it names {class} {id}, but there is no such object"),
            )),
        }
    }

    /// The object under a relationship, if there is any.
    pub(super) fn one<P: Place>(
        &mut self,
        name: &str,
        class: Class,
    ) -> Result<Option<P>, DatasetError> {
        match self.take(name) {
            Said::Nothing => Ok(None),
            Said::One(reference) => Ok(Some(P::new(self.resolve(name, &reference, &[class])?))),
            _ => Err(self.error(name, format!("it does not name one {class}"))),
        }
    }

    pub(super) fn required<P: Place>(
        &mut self,
        name: &str,
        class: Class,
    ) -> Result<P, DatasetError> {
        (self.one(name, class)?).ok_or_else(|| self.error(name, format!("it names no {class}")))
    }

    /// The objects under a relationship.
    pub(super) fn many<P: Place>(
        &mut self,
        name: &str,
        class: Class,
    ) -> Result<Vec<P>, DatasetError> {
        match self.take(name) {
            Said::Nothing => Ok(Vec::new()),
            Said::Many(references) => (references.iter())
                .map(|reference| Ok(P::new(self.resolve(name, reference, &[class])?)))
                .collect(),
            _ => Err(self.error(name, format!("it is not a list of {class}"))),
        }
    }

    /// The access patterns under a relationship, by their keys.
    pub(super) fn keyed<P: Place>(&mut self, name: &str) -> Result<Vec<(String, P)>, DatasetError> {
        let classes = [
            Class::CircularDurationAndIntervalAccessPattern,
            Class::RandomDurationAndIntervalAccessPattern,
        ];
        match self.take(name) {
            Said::Nothing => Ok(Vec::new()),
            Said::Keyed(references) => (references.into_iter())
                .map(|(key, reference)| {
                    let place = self.resolve(name, &reference, &classes)?;
                    Ok((key, P::new(place)))
                })
                .collect(),
            _ => Err(self.error(name, "it is not a map of access patterns")),
        }
    }

    /// The name under a relationship: one of those known.
    pub(super) fn name(
        &mut self,
        name: &str,
        known: &[&str],
    ) -> Result<Option<String>, DatasetError> {
        match self.take(name) {
            Said::Nothing => Ok(None),
            Said::Name(said) if known.contains(&said.as_str()) => Ok(Some(said)),
            Said::Name(said) => Err(self.error(
                name,
                format!("there is no {said:?}, only {}", known.join(", ")),
            )),
            _ => Err(self.error(name, "it is not a name")),
        }
    }

    /// There is one topology, and all links are part of it.
    pub(super) fn topology(&mut self) -> Result<(), DatasetError> {
        let name = "topology";
        match self.take(name) {
            Said::Nothing => Ok(()),
            Said::One(reference) if reference.class == "Topology" && reference.id == 1 => Ok(()),
            _ => Err(self.error(name, "it does not name Topology 1, the only one")),
        }
    }

    /// A dataset is a state without transfers.
    pub(super) fn no_flows(&mut self) -> Result<(), DatasetError> {
        let name = "active_flows";
        match self.take(name) {
            Said::Nothing => Ok(()),
            Said::Many(flows) if flows.is_empty() => Ok(()),
            _ => Err(self.error(name, "flows under way cannot be loaded")),
        }
    }
}

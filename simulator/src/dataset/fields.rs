//! The fields of an object, read one by one.

use jiter::JsonValue;
use rustc_hash::FxHashSet;

use super::DatasetError;
use crate::json::{Extra, Value};
use crate::model::Class;
use crate::number::Number;

/// The fields of an object. What is read is taken out; the rest can be kept.
pub(crate) struct Fields<'v, 'j> {
    class: Class,
    object: String,
    fields: Vec<(&'v str, Option<&'v JsonValue<'j>>)>,
}

/// The first key that stands there a second time.
fn twice<'k>(keys: impl ExactSizeIterator<Item = &'k str> + Clone) -> Option<&'k str> {
    if keys.len() <= FEW {
        let mut before = keys.clone().enumerate();
        return before
            .find(|(at, key)| keys.clone().take(*at).any(|known| known == *key))
            .map(|(_, key)| key);
    }
    let mut known = FxHashSet::default();
    keys.into_iter().find(|key| !known.insert(*key))
}

/// So many keys are compared with each other faster than looked up.
const FEW: usize = 16;

/// The largest whole number that is exact as a fraction too.
const LARGEST: i64 = 1 << 53;

impl<'v, 'j> Fields<'v, 'j> {
    pub(crate) fn empty(class: Class, object: String) -> Self {
        Self {
            class,
            object,
            fields: Vec::new(),
        }
    }

    pub(crate) fn new(
        class: Class,
        object: String,
        name: &str,
        value: &'v JsonValue<'j>,
    ) -> Result<Self, DatasetError> {
        let mut fields = Self::empty(class, object);
        let JsonValue::Object(map) = value else {
            return Err(fields.error(name, "it is not a map"));
        };
        if let Some(key) = twice(map.iter().map(|(key, _)| &**key)) {
            return Err(fields.error(key, "it stands twice"));
        }
        (fields.fields).extend(map.iter().map(|(key, value)| (&**key, Some(value))));
        Ok(fields)
    }

    pub(crate) fn error(&self, field: &str, problem: impl Into<String>) -> DatasetError {
        DatasetError::Field {
            class: self.class.name(),
            object: self.object.clone(),
            field: field.to_owned(),
            problem: problem.into(),
        }
    }

    /// Takes a field out.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'v JsonValue<'j>> {
        self.fields
            .iter_mut()
            .find(|(known, _)| *known == name)
            .and_then(|(_, value)| value.take())
    }

    /// Checks that all was taken.
    pub(crate) fn nothing_else(&self) -> Result<(), DatasetError> {
        match self.fields.iter().find(|(_, value)| value.is_some()) {
            None => Ok(()),
            Some((name, _)) => Err(self.error(name, "there is no such field")),
        }
    }

    /// Takes out all that was not taken yet.
    pub(crate) fn take_all(
        &mut self,
    ) -> impl Iterator<Item = (&'v str, &'v JsonValue<'j>)> + use<'v, 'j> {
        let fields = std::mem::take(&mut self.fields);
        (fields.into_iter()).filter_map(|(name, value)| Some((name, value?)))
    }

    /// What was not taken.
    pub(crate) fn rest(&mut self) -> Extra {
        self.fields
            .iter_mut()
            .filter_map(|(name, value)| Some(((*name).to_owned(), Value::from(value.take()?))))
            .collect()
    }

    /// The object's id; errors name it from here on.
    pub(crate) fn id(&mut self) -> Result<i64, DatasetError> {
        let id = match self.take("id") {
            Some(JsonValue::Int(id)) => *id,
            Some(_) => return Err(self.error("id", "it is not a whole number")),
            None => return Err(self.error("id", "it is missing")),
        };
        self.object = id.to_string();
        Ok(id)
    }

    /// A number, which may be infinite.
    pub(crate) fn any_number(
        &self,
        name: &str,
        value: &JsonValue<'_>,
    ) -> Result<Number, DatasetError> {
        match value {
            JsonValue::Int(whole) if whole.unsigned_abs() <= LARGEST.unsigned_abs() => {
                Ok(Number::Int(*whole))
            }
            JsonValue::Int(_) => Err(self.error(name, "it is too large a number")),
            JsonValue::Float(value) if !value.is_nan() => Ok(Number::Float(*value)),
            _ => Err(self.error(name, "it is not a number")),
        }
    }

    /// An amount: a number from 0 on, or `default` where it is missing.
    pub(crate) fn amount(
        &mut self,
        name: &str,
        default: Option<Number>,
    ) -> Result<Number, DatasetError> {
        let number = self.capacity(name, default)?;
        if number.value().is_infinite() {
            return Err(self.error(name, "it is infinite"));
        }
        Ok(number)
    }

    /// An amount of what is asked for, but never added up: it can be infinite.
    pub(crate) fn capacity(
        &mut self,
        name: &str,
        default: Option<Number>,
    ) -> Result<Number, DatasetError> {
        let Some(value) = self.take(name) else {
            return default.ok_or_else(|| self.error(name, "it is missing"));
        };
        let number = self.any_number(name, value)?;
        if number.value() < 0.0 {
            return Err(self.error(name, format!("{} is negative", number.python())));
        }
        Ok(number)
    }

    pub(crate) fn flag(&mut self, name: &str, default: bool) -> Result<bool, DatasetError> {
        match self.take(name) {
            None => Ok(default),
            Some(JsonValue::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.error(name, "it is not true or false")),
        }
    }

    pub(crate) fn text(
        &mut self,
        name: &str,
        default: Option<&'static str>,
    ) -> Result<&'v str, DatasetError> {
        match self.take(name) {
            None => default.ok_or_else(|| self.error(name, "it is missing")),
            Some(JsonValue::Str(text)) => Ok(text),
            Some(_) => Err(self.error(name, "it is not a text")),
        }
    }

    pub(crate) fn list(
        &self,
        name: &str,
        value: &'v JsonValue<'j>,
    ) -> Result<&'v [JsonValue<'j>], DatasetError> {
        match value {
            JsonValue::Array(list) => Ok(list),
            _ => Err(self.error(name, "it is not a list")),
        }
    }

    pub(crate) fn map(
        &self,
        name: &str,
        value: &'v JsonValue<'j>,
    ) -> Result<impl Iterator<Item = (&'v str, &'v JsonValue<'j>)> + use<'v, 'j>, DatasetError>
    {
        match value {
            JsonValue::Object(map) => {
                if let Some(key) = twice(map.iter().map(|(key, _)| &**key)) {
                    return Err(self.error(name, format!("{key:?} stands twice")));
                }
                Ok(map.iter().map(|(key, value)| (&**key, value)))
            }
            _ => Err(self.error(name, "it is not a map")),
        }
    }

    /// Coordinates: a list of finite numbers.
    pub(crate) fn coordinates(
        &self,
        name: &str,
        value: &'v JsonValue<'j>,
    ) -> Result<Vec<Number>, DatasetError> {
        let mut coordinates = Vec::with_capacity(2);
        for number in self.list(name, value)? {
            let number = self.any_number(name, number)?;
            if !number.value().is_finite() {
                return Err(self.error(name, "it is infinite"));
            }
            coordinates.push(number);
        }
        Ok(coordinates)
    }
}

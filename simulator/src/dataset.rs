//! Datasets: JSON in EdgeSimPy's format.
//!
//! ```json
//! {"EdgeServer": [{"attributes": {"id": 1, "cpu": 8}, "relationships": {"base_station": {"class": "BaseStation", "id": 1}}}]}
//! ```
//!
//! Reading is strict: whatever could not be simulated is an error that names the class, the object and the field.
//! Attributes that the simulation does not know are kept. `Infinity` is read where Python's JSON has it.

mod fields;
mod objects;
mod relations;
mod save;
mod saying;

use jiter::{Jiter, JsonValue};

use crate::model::{Class, Model};
use crate::topology::Topology;
use fields::Fields;
use relations::Relations;

pub use save::save;

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that a dataset may have.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 512 << 20 }
    }
}

impl Limits {
    /// Checks the size of a dataset, which can be known before it is read.
    ///
    /// # Errors
    /// [`DatasetError::TooLarge`].
    pub fn check(&self, bytes: u64) -> Result<(), DatasetError> {
        if bytes > self.bytes {
            return Err(DatasetError::TooLarge {
                bytes,
                limit: self.bytes,
            });
        }
        Ok(())
    }
}

/// Why a dataset cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// It is larger than allowed.
    #[error("the dataset has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// It is no JSON, or ends before its end.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// A class is unknown, stands twice, or is missing.
    #[error("{class}: {problem}")]
    Class {
        /// The class.
        class: String,
        /// What is wrong.
        problem: String,
    },
    /// A field of an object cannot be used.
    #[error("{class} {object}: {field}: {problem}")]
    Field {
        /// The object's class.
        class: &'static str,
        /// The object's id, or `at position N` of its class, from 1, if it has none.
        object: String,
        /// The field.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

/// The classes without which there is nothing to simulate.
const REQUIRED: [Class; 3] = [Class::NetworkSwitch, Class::BaseStation, Class::EdgeServer];

/// Reads a dataset.
///
/// # Errors
/// [`DatasetError`]: what is wrong, and where.
pub fn load(json: &[u8], limits: &Limits) -> Result<Model, DatasetError> {
    limits.check(json.len() as u64)?;
    let mut loading = Loading::default();
    loading.model.unique_ids = 1;
    let mut reader = Reader(Jiter::new(json).with_allow_inf_nan());
    let mut class = reader.read(|json| json.next_object().map(|key| key.map(str::to_owned)))?;
    while let Some(name) = class {
        loading.read_class(&name, &mut reader)?;
        class = reader.read(|json| json.next_key().map(|key| key.map(str::to_owned)))?;
    }
    reader.read(Jiter::finish)?;
    loading.finish()
}

struct Reader<'j>(Jiter<'j>);

impl<'j> Reader<'j> {
    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Jiter<'j>) -> Result<T, jiter::JiterError>,
    ) -> Result<T, DatasetError> {
        read(&mut self.0).map_err(|error| {
            let position = error.get_position(&self.0);
            DatasetError::Json {
                line: position.line,
                column: position.column,
                problem: error.error_type.to_string(),
            }
        })
    }
}

/// A model that is being read, and what its objects say of each other.
#[derive(Default)]
pub(crate) struct Loading {
    pub(crate) model: Model,
    pub(crate) relations: Relations,
}

impl Loading {
    fn read_class(&mut self, name: &str, reader: &mut Reader<'_>) -> Result<(), DatasetError> {
        let problem = |problem: &str| DatasetError::Class {
            class: name.to_owned(),
            problem: problem.to_owned(),
        };
        let class = Class::named(name).ok_or_else(|| problem("there is no such class"))?;
        if self.model.classes.contains(&class) {
            return Err(problem("it stands twice"));
        }
        self.model.classes.push(class);
        let mut element = reader.read(Jiter::next_array)?;
        let mut position = 0;
        while let Some(peek) = element {
            let object = reader.read(|json| json.known_value(peek))?;
            position += 1;
            self.read_object(class, position, &object)?;
            element = reader.read(Jiter::array_step)?;
        }
        Ok(())
    }

    fn read_object(
        &mut self,
        class: Class,
        position: usize,
        object: &JsonValue<'_>,
    ) -> Result<(), DatasetError> {
        let at = format!("at position {position}");
        let mut whole = Fields::new(class, at.clone(), "object", object)?;
        let attributes = whole.take("attributes");
        let relationships = whole.take("relationships");
        whole.nothing_else()?;
        let Some(attributes) = attributes else {
            return Err(whole.error("attributes", "it is missing"));
        };
        let mut fields = Fields::new(class, at, "attributes", attributes)?;
        let id = fields.id()?;
        let mut relationships = match relationships {
            Some(relationships) => {
                Fields::new(class, id.to_string(), "relationships", relationships)?
            }
            None => Fields::empty(class, id.to_string()),
        };
        let place = objects::read(&mut self.model, class, id, &mut fields)?;
        self.relations.read(class, id, place, &mut relationships)?;
        if !matches!(
            class,
            Class::RandomDurationAndIntervalAccessPattern
                | Class::CircularDurationAndIntervalAccessPattern
        ) {
            self.model.unique_id();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Model, DatasetError> {
        for class in REQUIRED {
            if self.relations.is_empty(class) {
                return Err(DatasetError::Class {
                    class: class.name().to_owned(),
                    problem: "the dataset has none".to_owned(),
                });
            }
        }
        let Self { model, relations } = &mut self;
        relations.connect(model)?;
        let ends = model
            .links
            .entries()
            .map(|(place, link)| (place, link.nodes));
        model.topology = Topology::new(model.switches.len(), ends);
        relations.trace_paths(model)?;
        model.index_ids();
        check_digests(model)?;
        Ok(self.model)
    }
}

/// Checks that there is what services and images name by its digest. EdgeSimPy finds out when one of them is provisioned.
fn check_digests(model: &Model) -> Result<(), DatasetError> {
    let missing = |class: Class, id: i64, field: &str, what: &str, digest| {
        Err(DatasetError::Field {
            class: class.name(),
            object: id.to_string(),
            field: field.to_owned(),
            problem: format!("no {what} has digest {:?}", model.symbols.text(digest)),
        })
    };
    for service in model.services.iter() {
        if model.image(service.image).is_none() {
            return missing(
                Class::Service,
                service.id,
                "image_digest",
                "image",
                service.image,
            );
        }
    }
    for image in model.images.iter() {
        let lacks = |digest: &&_| model.layer(**digest).is_none();
        if let Some(digest) = image.layers.iter().find(lacks) {
            return missing(
                Class::ContainerImage,
                image.id,
                "layers_digests",
                "layer",
                *digest,
            );
        }
    }
    Ok(())
}

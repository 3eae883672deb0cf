//! What tests of whole runs have in common.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use simulator::dataset::{self, Limits};
use simulator::metrics::{JsonLines, Recorder};
use simulator::model::{Class, Model};

/// What EdgeSimPy was given and what it gave.
pub(crate) const VECTORS: [&str; 16] = [
    "01_first_fit_placement",
    "02_stateless_migration",
    "03_stateful_migration",
    "04_contention_max_min",
    "04b_contention_equal_share",
    "05_download_queue_limit",
    "06_registry_far",
    "07_multi_bottleneck",
    "08a_fuzz",
    "09_paper_verification",
    "10_quirks",
    "11_power_models",
    "13_mobility_and_access",
    "14a_error_same_switch",
    "14b_error_no_registry_has_layer",
    "14c_error_colocated_state",
];

/// A file of a vector.
pub(crate) fn read(vector: &str, file: &str) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(vector)
        .join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A vector's dataset.
pub(crate) fn load(vector: &str) -> Model {
    dataset::load(&read(vector, "dataset.json"), &Limits::default()).unwrap()
}

/// A dataset as JSON, infinities as text.
pub(crate) fn parse(json: &str) -> Value {
    serde_json::from_str(&json.replace("Infinity", "\"Infinity\"")).unwrap()
}

/// A vector's dataset with something changed.
pub(crate) fn load_changed(vector: &str, change: impl FnOnce(&mut Value)) -> Model {
    let mut dataset = parse(std::str::from_utf8(&read(vector, "dataset.json")).unwrap());
    change(&mut dataset);
    let json = dataset.to_string().replace("\"Infinity\"", "Infinity");
    dataset::load(json.as_bytes(), &Limits::default()).unwrap()
}

/// A hash in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

type Open = fn(Class) -> std::io::Result<Cursor<Vec<u8>>>;

/// The metrics of a run, as JSON lines by class.
pub(crate) struct Lines(Option<Recorder<JsonLines, Cursor<Vec<u8>>, Open>>);

impl Default for Lines {
    fn default() -> Self {
        Self(Some(Recorder::new(|_| Ok(Cursor::default()))))
    }
}

impl Lines {
    /// Notes how the model is now.
    pub(crate) fn record(&mut self, model: &Model) {
        let recorder = self.0.as_mut().expect("the run goes on");
        recorder.record(model).unwrap();
    }

    /// The lines of each class.
    pub(crate) fn finish(&mut self) -> Vec<(String, String)> {
        let recorder = self.0.take().expect("the run ends once");
        (recorder.finish().unwrap().into_iter())
            .map(|(class, file)| {
                let text = String::from_utf8(file.into_inner()).unwrap();
                (class.name().to_owned(), text)
            })
            .collect()
    }

    /// All of them as Python's `json.dumps` writes them without spaces, infinities as text.
    pub(crate) fn python(&self, metrics: &[(String, String)]) -> String {
        let classes: Vec<String> = (metrics.iter())
            .map(|(class, lines)| {
                let rows: Vec<&str> = lines.lines().collect();
                format!("\"{class}\":[{}]", rows.join(","))
            })
            .collect();
        format!("{{{}}}", classes.join(",")).replace("Infinity", "\"Infinity\"")
    }
}

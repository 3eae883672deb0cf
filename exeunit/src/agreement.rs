//! What an exe-unit needs to know of its agreement; prices are not among it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

const GIB: f64 = (1u64 << 30) as f64;

/// What the requestor and the provider have agreed on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Agreement {
    /// The names of the usage counters, in the order that they are reported in.
    pub(crate) usage_vector: Vec<String>,
    /// Where the image is, and its hash: `hash:sha3:<hex>:<url>`.
    pub(crate) task_package: Option<String>,
    /// The processor threads that were offered.
    pub(crate) cpu_threads: Option<u64>,
    /// The memory that was offered, in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// The disk space that was offered, in bytes.
    pub(crate) storage_bytes: Option<u64>,
}

/// Why an agreement cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgreementError {
    #[error("cannot read the agreement {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the agreement {} is no JSON", .path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("the agreement {} has no {property}, or one that makes no sense", .path.display())]
    Property {
        path: PathBuf,
        property: &'static str,
    },
}

impl Agreement {
    /// Reads the agreement that the market has given out, as JSON.
    pub(crate) fn read(path: &Path) -> Result<Self, AgreementError> {
        let path_buf = || path.to_owned();
        let text = fs::read_to_string(path).map_err(|source| AgreementError::Read {
            path: path_buf(),
            source,
        })?;
        let agreement = serde_json::from_str(&text).map_err(|source| AgreementError::Json {
            path: path_buf(),
            source,
        })?;
        Self::parse(&agreement).map_err(|property| AgreementError::Property {
            path: path_buf(),
            property,
        })
    }

    /// Picks the properties; the error is the name of one that is needed.
    fn parse(agreement: &Value) -> Result<Self, &'static str> {
        const USAGE_VECTOR: &str = "golem.com.usage.vector";
        let of = |side: &str, name| property(agreement.get(side)?.get("properties")?, name);
        let names = of("offer", USAGE_VECTOR).and_then(Value::as_array);
        let name = |name: &Value| name.as_str().map(str::to_owned);
        let usage_vector = names.and_then(|names| names.iter().map(name).collect());
        let task_package = of("demand", "golem.srv.comp.task_package").and_then(Value::as_str);
        let gib = |name| {
            of("offer", name)
                .and_then(Value::as_f64)
                .map(|gib| (gib * GIB) as u64)
        };
        Ok(Self {
            usage_vector: usage_vector.ok_or(USAGE_VECTOR)?,
            task_package: task_package.map(str::to_owned),
            cpu_threads: of("offer", "golem.inf.cpu.threads").and_then(Value::as_u64),
            memory_bytes: gib("golem.inf.mem.gib"),
            storage_bytes: gib("golem.inf.storage.gib"),
        })
    }
}

/// A property by its full name, among flat properties, nested ones, or any mixture.
fn property<'a>(properties: &'a Value, name: &str) -> Option<&'a Value> {
    properties.get(name).or_else(|| {
        name.match_indices('.')
            .find_map(|(dot, _)| property(properties.get(&name[..dot])?, &name[dot + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flat_and_nested_properties_are_the_same() {
        let flat = json!({
            "golem.com.usage.vector": ["golem.usage.cpu_sec", "golem.usage.duration_sec"],
            "golem.inf.mem.gib": 0.5,
            "golem.inf.storage.gib": 10,
            "golem.inf.cpu.threads": 2,
        });
        let nested = json!({"golem": {
            "com": {"usage": {"vector": ["golem.usage.cpu_sec", "golem.usage.duration_sec"]}},
            "inf": {"mem": {"gib": 0.5}, "storage.gib": 10, "cpu": {"threads": 2}},
        }});
        let package = "hash:sha3:00:gftp://a/b";
        let demands = [
            json!({"golem.srv.comp.task_package": package}),
            json!({"golem.srv": {"comp": {"task_package": package}}}),
        ];
        let expected = Agreement {
            usage_vector: vec![
                "golem.usage.cpu_sec".to_owned(),
                "golem.usage.duration_sec".to_owned(),
            ],
            task_package: Some(package.to_owned()),
            cpu_threads: Some(2),
            memory_bytes: Some(1 << 29),
            storage_bytes: Some(10 << 30),
        };
        for offer in [&flat, &nested] {
            for demand in &demands {
                let agreement =
                    json!({"offer": {"properties": offer}, "demand": {"properties": demand}});
                assert_eq!(
                    Agreement::parse(&agreement).as_ref(),
                    Ok(&expected),
                    "{agreement}"
                );
            }
        }
    }

    #[test]
    fn what_is_needed_is_named() {
        let vector =
            |vector: Value| json!({"offer": {"properties": {"golem.com.usage.vector": vector}}});
        for agreement in [
            json!({}),
            json!([]),
            json!({"offer": {}}),
            vector(json!("x")),
            vector(json!([1])),
        ] {
            assert_eq!(
                Agreement::parse(&agreement),
                Err("golem.com.usage.vector"),
                "{agreement}"
            );
        }
        let agreement = Agreement::parse(&vector(json!([]))).expect("nothing else is needed");
        assert_eq!(
            (agreement.task_package, agreement.memory_bytes),
            (None, None)
        );
    }
}

//! What a provider asks of an exe-unit before there is any activity: what its runtime can do, and whether it works.

use std::{io, path::PathBuf, process::Output};

use serde_json::{Map, Value, json};

use super::command_line::{CommandLine, RuntimeKind};
use crate::{
    cause::in_one_line,
    runtime::{self, SelfTestError, say},
};

/// Why a runtime cannot be offered.
#[derive(Debug, thiserror::Error)]
pub(super) enum OfferError {
    #[error("cannot run the runtime {}", .path.display())]
    Run { path: PathBuf, source: io::Error },
    #[error("the runtime {} does not work here: its test has ended with {}", .path.display(), .output.status)]
    Test { path: PathBuf, output: Output },
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    #[error("the runtime {} has not printed what its offers say: {reason}", .path.display())]
    Template { path: PathBuf, reason: String },
}

/// Prints what an offer says of the runtime, with what the exe-unit itself can do.
pub(super) fn print(command_line: &CommandLine) -> Result<(), OfferError> {
    let template = match &command_line.binary {
        RuntimeKind::Sandbox => runtime::sandbox_template(),
        RuntimeKind::Vm => runtime::machine_template(),
        RuntimeKind::External(path) => external(path.clone(), &command_line.runtime_arguments)?,
    };
    println!("{}", with_ours(template));
    Ok(())
}

/// Checks that the runtime works on this machine, and prints what its test has printed.
pub(super) fn test(command_line: &CommandLine) -> Result<(), OfferError> {
    match &command_line.binary {
        RuntimeKind::Sandbox => {
            runtime::test_sandbox()?;
            Ok(())
        }
        RuntimeKind::Vm => {
            if let Some(warning) = runtime::test_machine(command_line.vm_folder.as_deref())? {
                eprintln!("exe-unit: {warning}");
            }
            Ok(())
        }
        RuntimeKind::External(path) => {
            let path = path.clone();
            let said = say(&path, &command_line.runtime_arguments, "test");
            let output = said.map_err(|source| OfferError::Run {
                path: path.clone(),
                source,
            })?;
            print!("{}", String::from_utf8_lossy(&output.stdout));
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            match output.status.success() {
                true => Ok(()),
                false => Err(OfferError::Test { path, output }),
            }
        }
    }
}

fn external(path: PathBuf, arguments: &[String]) -> Result<Value, OfferError> {
    let output = match say(&path, arguments, "offer-template") {
        Ok(output) => output,
        Err(source) => return Err(OfferError::Run { path, source }),
    };
    if !output.status.success() {
        // As other exe-units have it: such a runtime has nothing to say of itself.
        let status = output.status;
        eprintln!(
            "exe-unit: {} offer-template has ended with {status}",
            path.display()
        );
        return Ok(json!({}));
    }
    parse(&output.stdout).map_err(|error| OfferError::Template {
        path,
        reason: in_one_line(&error),
    })
}

/// What comes after the JSON is not part of it.
fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Map<String, Value>>();
    Ok(Value::Object(
        values.next().unwrap_or_else(|| Ok(Map::new()))?,
    ))
}

/// The runtime's template under what the exe-unit can do by itself.
fn with_ours(template: Value) -> Value {
    let mut properties = match template.get("properties") {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    };
    let constraints = template.get("constraints").and_then(Value::as_str);
    let ours = json!({
        "golem.com.usage.vector": [
            "golem.usage.duration_sec",
            "golem.usage.cpu_sec",
            "golem.usage.gib",
            "golem.usage.storage_gib",
        ],
        "golem.activity.caps.transfer.protocol": ["http", "https", "gftp"],
        "golem.activity.caps.transfer.report-progress": true,
        "golem.activity.caps.deploy.report-progress": true,
    });
    if let Value::Object(ours) = ours {
        properties.extend(ours);
    }
    json!({"properties": properties, "constraints": constraints.unwrap_or_default()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_kept_under_ours() {
        let text = br#"{"properties": {"golem.inf.cpu.vendor": "x", "golem.com.usage.vector": []}, "constraints": "(a=b)"} trailing"#;
        let template = with_ours(parse(text).expect("JSON"));
        assert_eq!(template["constraints"], "(a=b)");
        assert_eq!(template["properties"]["golem.inf.cpu.vendor"], "x");
        let vector = &template["properties"]["golem.com.usage.vector"];
        assert_eq!(vector[0], "golem.usage.duration_sec");
        let caps = "golem.activity.caps";
        for what in ["transfer", "deploy"] {
            assert_eq!(
                template["properties"][format!("{caps}.{what}.report-progress")],
                true
            );
        }
    }

    #[test]
    fn a_template_of_nothing_is_ours_alone() {
        let template = with_ours(parse(b"").expect("nothing"));
        assert_eq!(template["constraints"], "");
        assert!(parse(b"[1]").is_err() && parse(b"{").is_err());
    }
}

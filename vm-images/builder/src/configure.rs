//! What instructions change in what a container is like.

use gvmi::Configuration;
use serde_json::{Map, Value, json};

use crate::dockerfile::Instruction;

/// Where programs are looked for if neither the base nor the Dockerfile says; as Docker has it.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration, in which a `PATH` is set.
pub(crate) fn with_path(mut configuration: Configuration) -> Configuration {
    if !configuration
        .env
        .iter()
        .any(|variable| variable.starts_with("PATH="))
    {
        configuration.env.insert(0, DEFAULT_PATH.to_owned());
    }
    configuration
}

/// Makes the changes of an instruction. `has_command` is whether the stage itself has said a `CMD`.
pub(crate) fn configure(
    instruction: &Instruction,
    configuration: &mut Configuration,
    has_command: &mut bool,
) {
    match instruction {
        Instruction::Copy(_) | Instruction::Run(_) | Instruction::Arg => {}
        Instruction::Env(pairs) => pairs.iter().for_each(|(name, value)| {
            let prefix = format!("{name}=");
            configuration
                .env
                .retain(|variable| !variable.starts_with(&prefix));
            configuration.env.push(prefix + value);
        }),
        Instruction::WorkingDir(path) => configuration.working_dir.clone_from(path),
        Instruction::User(user) => configuration.user = Some(user.clone()),
        Instruction::Shell(shell) => {
            configuration.other.insert("Shell".into(), json!(shell));
        }
        Instruction::Volume(paths) => {
            paths.iter().for_each(|path| configuration.add_volume(path));
        }
        Instruction::Entrypoint(command) => {
            // The arguments of the base's program are none for this one.
            if !*has_command {
                configuration.cmd = None;
            }
            configuration.entrypoint = Some(command.clone());
        }
        Instruction::Cmd(command) => {
            *has_command = true;
            configuration.cmd = Some(command.clone());
        }
        Instruction::Label(pairs) => configuration.labels.extend(pairs.iter().cloned()),
        Instruction::Expose(ports) => {
            let mut exposed = match configuration.other.remove("ExposedPorts") {
                Some(Value::Object(exposed)) => exposed,
                // Whatever the base has there, it is no list of ports.
                _ => Map::new(),
            };
            exposed.extend(ports.iter().map(|port| (port.clone(), json!({}))));
            let exposed = Value::Object(exposed);
            configuration.other.insert("ExposedPorts".into(), exposed);
        }
        Instruction::StopSignal(signal) => {
            configuration
                .other
                .insert("StopSignal".into(), json!(signal));
        }
    }
}

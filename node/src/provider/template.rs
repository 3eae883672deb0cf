//! What the exe-unit says of a runtime on this machine, as ya-provider asks it.

use std::{ffi::OsStr, process::Stdio, time::Duration};

use exeunit::Program;
use serde_json::Value;
use tokio::{process::Command, time::timeout};

use super::{exe_unit::binary, spec::Runtime};

/// Which limits hold for all of an activity together.
pub(super) const LIMITS: &str = "golem.runtime.limits";

/// How long the exe-unit may take to say it: a sandbox is started meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// The limits that the template of a runtime has, if it has any.
pub(crate) async fn limits(program: &Program, runtime: &Runtime) -> Option<Value> {
    let mut command = Command::from(program.exe_unit());
    command
        .args([
            OsStr::new("-b"),
            binary(runtime),
            OsStr::new("offer-template"),
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let said = timeout(PATIENCE, command.output()).await;
    let Ok(Ok(output)) = said else {
        tracing::warn!(runtime = ?binary(runtime), "it is not known what its offers may promise");
        return None;
    };
    let template: Value = serde_json::from_slice(&output.stdout).ok()?;
    template["properties"].get(LIMITS).cloned()
}

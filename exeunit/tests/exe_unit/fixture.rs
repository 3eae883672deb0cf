//! An exe-unit in a process of its own, and an image for it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use exeunit::{
    Program,
    gsb::{
        CallError,
        message::{Exec, GetExecBatchResults, StreamExecBatchResults},
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use ya_client_model::activity::{ActivityState, ExeScriptCommandResult, State, StatePair};

pub(crate) use crate::{
    node::{Files, Node},
    programs::HostPrograms,
    web::Web,
};

/// A small image in a file, and its hash.
pub(crate) struct Image {
    pub(crate) content: Vec<u8>,
    pub(crate) hash: String,
}

impl Image {
    /// A shell and a few programs, with volumes at `/golem/in` and `/golem/out`.
    pub(crate) fn build() -> Self {
        let tree = HostPrograms::copy(&[
            "sh", "cat", "chmod", "env", "head", "ln", "ls", "mkdir", "mkfifo", "rmdir", "setsid",
            "sleep", "true",
        ]);
        let configuration = json!({
            "Env": ["PATH=/bin", "COLOUR=green"],
            "WorkingDir": "/golem/in",
            "Volumes": {"/golem/in": {}, "/golem/out": {}},
        });
        let configuration = serde_json::from_value(configuration).expect("a configuration");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("image.gvmi");
        gvmi::pack(tree.path(), &configuration, &file).expect("an image");
        Self {
            hash: gvmi::Hash::of_file(&file).expect("a hash").to_string(),
            content: std::fs::read(&file).expect("an image"),
        }
    }

    /// What an agreement says of the image, if it is at this URL.
    pub(crate) fn package(&self, url: &str) -> String {
        format!("hash:sha3:{}:{url}", self.hash)
    }
}

/// What an exe-unit is started with.
pub(crate) struct Setup {
    pub(crate) files: Files,
    pub(crate) cache: PathBuf,
    pub(crate) task_package: Option<String>,
    /// Nobody takes reports.
    pub(crate) deaf: bool,
}

/// An exe-unit, its bus and its folders.
pub(crate) struct Unit {
    pub(crate) node: Node,
    pub(crate) child: Child,
    pub(crate) folder: TempDir,
    /// Where its image is, if no other exe-unit shares it.
    cache: Option<TempDir>,
    batches: std::cell::Cell<u32>,
}

pub(crate) const USAGE: [&str; 5] = [
    "golem.usage.cpu_sec",
    "golem.usage.duration_sec",
    "golem.usage.gib",
    "golem.usage.storage_gib",
    "golem.usage.own",
];

impl Unit {
    pub(crate) fn start(setup: Setup) -> Self {
        Self::start_with(&["-b", "sandbox"], setup)
    }

    /// Starts an exe-unit whose command line says what its runtime is.
    pub(crate) fn start_with(runtime: &[&str], setup: Setup) -> Self {
        Self::start_as(runtime, setup, 1, &[])
    }

    /// Starts an exe-unit with more in its environment.
    pub(crate) fn start_in(environment: &[(&str, &Path)], setup: Setup) -> Self {
        Self::start_as(&["-b", "sandbox"], setup, 1, environment)
    }

    /// Starts an exe-unit with so much storage, and with more in its environment.
    fn start_as(
        runtime: &[&str],
        setup: Setup,
        storage_gib: u32,
        environment: &[(&str, &Path)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node::open(&folder.path().join("bus"), setup.files, setup.deaf);
        let mut demand = json!({});
        if let Some(package) = setup.task_package {
            demand["golem.srv.comp.task_package"] = json!(package);
        }
        let offer = json!({"golem.com.usage.vector": USAGE, "golem": {"inf": {"mem.gib": 0.25, "storage": {"gib": storage_gib}}}});
        let agreement = json!({"offer": {"properties": offer}, "demand": {"properties": demand}});
        let agreement = agreement.to_string();
        let child = spawn_with(runtime, &folder, &setup.cache, &agreement, environment);
        Self {
            node,
            child,
            folder,
            cache: None,
            batches: 0.into(),
        }
    }

    /// An exe-unit of its own image, deployed and started.
    pub(crate) async fn ready() -> (Self, Files) {
        Self::ready_within(1).await
    }

    /// An exe-unit of its own image with so much storage, deployed and started.
    pub(crate) async fn ready_within(storage_gib: u32) -> (Self, Files) {
        let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
        let image = Image::build();
        let setup = Setup {
            task_package: Some(image.package(&files.publish("image", image.content.clone()))),
            cache: cache.path().to_owned(),
            files: files.clone(),
            deaf: false,
        };
        let mut unit = Self::start_as(&["-b", "sandbox"], setup, storage_gib, &[]);
        let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
        assert_eq!(messages(&results), ["Ok", "Ok"]);
        unit.cache = Some(cache);
        (unit, files)
    }

    pub(crate) async fn exec(&self, script: Value) -> String {
        self.batches.set(self.batches.get() + 1);
        let batch_id = format!("batch-{}", self.batches.get());
        let exec = Exec {
            activity_id: "activity".to_owned(),
            batch_id: batch_id.clone(),
            exe_script: serde_json::from_value(script).expect("a script"),
            timeout: None,
        };
        assert_eq!(self.node.call(&exec).await, Ok(batch_id.clone()));
        batch_id
    }

    pub(crate) async fn results(
        &self,
        batch_id: &str,
        timeout: f32,
        command_index: Option<usize>,
    ) -> Result<Vec<ExeScriptCommandResult>, CallError> {
        let get = GetExecBatchResults {
            activity_id: "activity".to_owned(),
            batch_id: batch_id.to_owned(),
            timeout: Some(timeout),
            command_index,
        };
        self.node.call(&get).await
    }

    /// Runs a script to its end.
    pub(crate) async fn run(&self, script: Value) -> Vec<ExeScriptCommandResult> {
        let batch_id = self.exec(script).await;
        self.results(&batch_id, 60.0, None).await.expect("results")
    }

    /// What happens in a batch, from its first event to its last.
    pub(crate) async fn events(&self, batch_id: &str) -> Vec<Value> {
        let stream = StreamExecBatchResults {
            activity_id: "activity".to_owned(),
            batch_id: batch_id.to_owned(),
            window: None,
        };
        let events = self.node.stream(&stream).await;
        events.into_iter().map(|event| json!(event.kind)).collect()
    }

    /// Runs a shell script, and gives what it has written.
    pub(crate) async fn sh(&self, text: &str) -> String {
        let results = self.run(json!([sh(text)])).await;
        assert_eq!(messages(&results), ["Ok"], "{text}: {results:?}");
        match json!(results[0].stdout) {
            Value::String(text) => text,
            _ => String::new(),
        }
    }

    /// The next state that is reported, and the message with it.
    pub(crate) async fn state(&mut self) -> (String, Option<String>) {
        let state = self.node.states.recv().await.expect("a state");
        (tell(&state), state.error_message.or(state.reason))
    }

    /// The states that were reported until one is reached.
    pub(crate) async fn states_until(&mut self, last: &str) -> Vec<String> {
        let mut states = Vec::new();
        while states.last().is_none_or(|state| state != last) {
            states.push(self.state().await.0);
        }
        states
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The most memory that the exe-unit itself has had resident, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let id = self.child.id().expect("it lives");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it lives");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        kilobytes
            .and_then(|text| text.parse::<u64>().ok())
            .expect("a number")
            << 10
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.work().join("logs/exe-unit.log")).expect("a log")
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // Whoever has waited for its end has reaped it.
        let _ = self.child.start_kill();
    }
}

/// Starts an exe-unit whose folders and bus are in a folder.
pub(crate) fn spawn(folder: &TempDir, cache: &PathBuf, agreement: &str) -> Child {
    spawn_with(&["-b", "sandbox"], folder, cache, agreement, &[])
}

fn spawn_with(
    runtime: &[&str],
    folder: &TempDir,
    cache: &PathBuf,
    agreement: &str,
    environment: &[(&str, &Path)],
) -> Child {
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("agreement.json"), agreement).expect("an agreement");
    let mut command = Command::from(Program::at(env!("CARGO_BIN_EXE_exe-unit")).exe_unit());
    command
        .args(runtime)
        .args(["service-bus", "activity", "/local/activity", "-a"])
        .arg(at("agreement.json"))
        .arg("-w")
        .arg(at("work"))
        .arg("-c")
        .arg(cache)
        .env_clear()
        .env("GSB_URL", format!("unix:{}", at("bus").display()))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("an exe-unit")
}

/// A shell script as a command whose output is kept.
pub(crate) fn sh(text: &str) -> Value {
    let capture = json!({"stdout": {"atEnd": {}}, "stderr": {"atEnd": {}}});
    json!({"run": {"entry_point": "/bin/sh", "args": ["-c", text], "capture": capture}})
}

/// Whether each command succeeded, or else why not.
pub(crate) fn messages(results: &[ExeScriptCommandResult]) -> Vec<String> {
    let tell = |result: &ExeScriptCommandResult| result.message.clone().unwrap_or("Ok".to_owned());
    results.iter().map(tell).collect()
}

fn tell(state: &ActivityState) -> String {
    let name = |state: State| format!("{state:?}");
    match state.state {
        StatePair(current, None) => name(current),
        StatePair(current, Some(target)) => name(current) + ">" + &name(target),
    }
}

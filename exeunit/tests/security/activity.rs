//! An activity that attackers are at work in.

use std::{
    fs,
    future::Future,
    io::Cursor,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backhand::{FilesystemReader, FilesystemWriter, NodeHeader};
use exeunit::{
    Program,
    gsb::message::{Exec, GetExecBatchResults, GetRunningCommand},
};
use rustix::process::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use ya_client_model::activity::{CommandOutput, ExeScriptCommandResult, StatePair};

use crate::{
    attack,
    node::{Files, Node},
    programs::HostPrograms,
};

/// How long whatever must happen may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The memory that is agreed on, in bytes, and the storage.
pub(crate) const MEMORY: u64 = 192 << 20;
pub(crate) const STORAGE: u64 = 64 << 20;

/// An exe-unit, its bus and its folders.
pub(crate) struct Activity {
    pub(crate) node: Node,
    pub(crate) child: Child,
    pub(crate) folder: TempDir,
    batches: u32,
    image: Arc<Image>,
}

/// An image with the attacker in it, and where exe-units keep it unpacked.
struct Image {
    folder: TempDir,
    content: Vec<u8>,
    hash: String,
}

/// Where the attacker is: on this machine, and at the same path in the image.
pub(crate) fn attacker() -> PathBuf {
    std::env::current_exe().expect("this test is a program")
}

/// The content of the image of most tests.
pub(crate) fn image_content() -> Vec<u8> {
    image().content.clone()
}

/// The same for all tests of this process, until it is [forgotten](forget_image).
fn image() -> Arc<Image> {
    let mut image = IMAGE.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(image.get_or_insert_with(|| Arc::new(build_image())))
}

static IMAGE: Mutex<Option<Arc<Image>>> = Mutex::new(None);

/// Removes the image's files; to be called after the last test.
pub(crate) fn forget_image() {
    IMAGE.lock().unwrap_or_else(PoisonError::into_inner).take();
}

fn build_image() -> Image {
    let attacker = attacker();
    let attacker = attacker.to_str().expect("UTF-8");
    let tree = HostPrograms::copy(&["sh", "cat", "sleep", attacker]);
    let set_user_id = tree.at("/bin/set-user-id");
    fs::copy(tree.at("/bin/cat"), &set_user_id).expect("a copy");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o6755);
    fs::set_permissions(&set_user_id, mode).expect("a mode");
    let configuration = json!({"Env": ["PATH=/bin"], "Volumes": {attack::VOLUME: {}}});
    let configuration = serde_json::from_value(configuration).expect("a configuration");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("image.gvmi");
    gvmi::pack(tree.path(), &configuration, &file).expect("an image");
    let content = with_devices(&fs::read(&file).expect("an image"));
    fs::write(&file, &content).expect("an image");
    Image {
        hash: gvmi::Hash::of_file(&file).expect("a hash").to_string(),
        content,
        folder,
    }
}

/// An image with devices in it, which whoever packs images with other programs can put there.
fn with_devices(image: &[u8]) -> Vec<u8> {
    let squashfs = Cursor::new(image.to_owned());
    let reader = FilesystemReader::from_reader(squashfs).expect("an image");
    let mut writer = FilesystemWriter::from_fs_reader(&reader).expect("an image");
    let anyone = NodeHeader {
        permissions: 0o666,
        ..NodeHeader::default()
    };
    // The machine's memory, and its first disk.
    let [memory, disk] = attack::DEVICES;
    writer
        .push_char_device(0x0101, memory, anyone)
        .expect("a device");
    writer
        .push_block_device(0xfe00, disk, anyone)
        .expect("a device");
    let mut written = Cursor::new(Vec::new());
    writer.write(&mut written).expect("an image");
    let (length, _) = trailer(image);
    [written.get_ref(), &image[image.len() - length..]].concat()
}

/// How long the trailer of an image is, and the JSON in it.
pub(crate) fn trailer(image: &[u8]) -> (usize, usize) {
    let digits = std::str::from_utf8(&image[image.len() - 8..]).expect("digits");
    let json: usize = digits.parse().expect("a length");
    (4 + json + 8, json)
}

/// Runs a test to its end.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test());
}

impl Activity {
    /// An exe-unit that has not been told anything yet.
    pub(crate) fn start() -> Self {
        Self::of(image(), &[])
    }

    /// Another one of the same image, after this one.
    pub(crate) fn next(&self) -> Self {
        Self::of(Arc::clone(&self.image), &[])
    }

    /// One whose image is a file with this content, whatever that is. Nobody has it yet.
    pub(crate) fn of_image(content: Vec<u8>) -> Self {
        Self::of_image_with(content, &[])
    }

    /// Like [`of_image`](Self::of_image), with more arguments for the exe-unit.
    pub(crate) fn of_image_with(content: Vec<u8>, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("image.gvmi");
        fs::write(&file, &content).expect("an image");
        let image = Image {
            hash: gvmi::Hash::of_file(&file).expect("a hash").to_string(),
            content,
            folder,
        };
        Self::of(Arc::new(image), arguments)
    }

    fn of(image: Arc<Image>, arguments: &[&str]) -> Self {
        let files = Files::default();
        let url = files.publish("image", image.content.clone());
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node::open(&folder.path().join("bus"), files, false);
        let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
        let offer = json!({
            "golem.com.usage.vector": ["golem.usage.cpu_sec", "golem.usage.gib", "golem.usage.storage_gib"],
            "golem.inf.mem.gib": gib(MEMORY),
            "golem.inf.storage.gib": gib(STORAGE),
            "golem.inf.cpu.threads": 1,
        });
        let demand =
            json!({"golem.srv.comp.task_package": format!("hash:sha3:{}:{url}", image.hash)});
        let agreement = json!({"offer": {"properties": offer}, "demand": {"properties": demand}});
        let child = spawn(
            folder.path(),
            &image.folder.path().join("cache"),
            &agreement,
            arguments,
        );
        Self {
            node,
            child,
            folder,
            batches: 0,
            image,
        }
    }

    /// One whose image is deployed and started.
    pub(crate) async fn ready() -> Self {
        let mut activity = Self::start();
        let results = activity.run(json!([{"deploy": {}}, {"start": {}}])).await;
        assert!(
            results.len() == 2 && results.iter().all(|result| result.message.is_none()),
            "{results:?}"
        );
        activity
    }

    pub(crate) fn pid(&self) -> Pid {
        let id = self.child.id().expect("it lives");
        Pid::from_raw(id.cast_signed()).expect("an id")
    }

    pub(crate) async fn exec(&mut self, script: Value) -> String {
        self.batches += 1;
        let batch_id = format!("batch-{}", self.batches);
        let exec = Exec {
            activity_id: "activity".to_owned(),
            batch_id: batch_id.clone(),
            exe_script: serde_json::from_value(script).expect("a script"),
            timeout: None,
        };
        assert_eq!(self.node.call(&exec).await, Ok(batch_id.clone()));
        batch_id
    }

    pub(crate) async fn results(&self, batch_id: &str) -> Vec<ExeScriptCommandResult> {
        let get = GetExecBatchResults {
            activity_id: "activity".to_owned(),
            batch_id: batch_id.to_owned(),
            timeout: Some(PATIENCE.as_secs_f32()),
            command_index: None,
        };
        self.node.call(&get).await.expect("results")
    }

    /// The results of the batch that was sent last.
    pub(crate) async fn last_results(&self) -> Vec<ExeScriptCommandResult> {
        self.results(&format!("batch-{}", self.batches)).await
    }

    /// Runs a script to its end.
    pub(crate) async fn run(&mut self, script: Value) -> Vec<ExeScriptCommandResult> {
        let batch_id = self.exec(script).await;
        self.results(&batch_id).await
    }

    /// Runs the attacker to its end.
    pub(crate) async fn attack(&mut self, arguments: &[&str]) -> Attacked {
        let result = self.run(json!([command(arguments)])).await.remove(0);
        Attacked {
            said: text(result.stdout),
            message: result.message,
        }
    }

    /// Asks the exe-unit for something that it always knows.
    pub(crate) async fn ping(&self) {
        let get = GetRunningCommand {
            activity_id: "activity".to_owned(),
        };
        // That nothing runs is an answer, too.
        let answer = tokio::time::timeout(PATIENCE, self.node.call(&get)).await;
        let _ = answer.expect("the exe-unit answers");
    }

    /// Whether its sandbox still does what it is told.
    pub(crate) async fn assert_unharmed(&mut self) {
        let attacked = self.attack(&["say", "unharmed"]).await;
        assert_eq!(attacked.said, "unharmed\n", "{attacked:?}");
    }

    /// Waits for its end, and the reason that it gives.
    pub(crate) async fn ended(&mut self) -> String {
        let ended = async {
            loop {
                let state = self.node.states.recv().await.expect("a state");
                if matches!(
                    state.state,
                    StatePair(ya_client_model::activity::State::Terminated, _)
                ) {
                    break state.error_message.or(state.reason).unwrap_or_default();
                }
            }
        };
        let reason = tokio::time::timeout(PATIENCE, ended).await;
        let reason = reason.expect("the activity ends");
        self.child.wait().await.expect("the exe-unit ends");
        reason
    }

    /// Where exe-units keep its image unpacked.
    pub(crate) fn cache(&self) -> PathBuf {
        self.image.folder.path().join("cache")
    }

    /// Where its image is before it is whole.
    pub(crate) fn partial_image(&self) -> PathBuf {
        self.cache().join(format!("{}.partial", self.image.hash))
    }

    /// Where its volumes and logs are.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        // Whoever has waited for its end has reaped it.
        let _ = self.child.start_kill();
    }
}

/// What has become of an attempt.
#[derive(Debug)]
pub(crate) struct Attacked {
    pub(crate) said: String,
    pub(crate) message: Option<String>,
}

/// A command that runs the attacker.
pub(crate) fn command(arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = [attack::ARGUMENT]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let capture = json!({"stdout": {"atEnd": {}}, "stderr": {"atEnd": {}}});
    json!({"run": {"entry_point": attacker(), "args": arguments, "capture": capture}})
}

fn text(output: Option<CommandOutput>) -> String {
    match json!(output) {
        Value::String(text) => text,
        _ => String::new(),
    }
}

/// What the exe-unit's own environment has that nobody else is to see.
pub(crate) const SECRET: &str = "KILN_SECRET_OF_THE_HOST";

fn spawn(folder: &Path, cache: &Path, agreement: &Value, arguments: &[&str]) -> Child {
    let at = |name: &str| folder.join(name);
    fs::write(at("agreement.json"), agreement.to_string()).expect("an agreement");
    let mut command = Command::from(Program::at(env!("CARGO_BIN_EXE_exe-unit")).exe_unit());
    command
        .args([
            "-b",
            "sandbox",
            "service-bus",
            "activity",
            "/local/activity",
        ])
        .args([Path::new("-a"), &at("agreement.json")])
        .args([Path::new("-w"), &at("work")])
        .args([Path::new("-c"), cache])
        .args(arguments)
        .env_clear()
        .env("GSB_URL", format!("unix:{}", at("bus").display()))
        .env(SECRET, "secret")
        // A standard input that somebody has typed into, and that a command must not get to read.
        .stdin(Stdio::from(typed_into()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("an exe-unit")
}

fn typed_into() -> std::io::PipeReader {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut writer, b"what somebody types\n").expect("a pipe has room");
    reader
}

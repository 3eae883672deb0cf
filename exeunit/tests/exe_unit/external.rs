//! Runtimes that are programs of somebody else's: our own, and one that says what was recorded of a stock one.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    ends::{assert_all_end, descendants, exit_code, pid},
    fixture::{Files, Image, Setup, Unit, messages, sh},
    processes::Watched,
};

const OURS: &str = env!("CARGO_BIN_EXE_kiln-runtime");
const RECORDING: &str = include_str!("../vectors/exe-unit-to-runtime.jsonl");

/// An exe-unit whose runtime is this program, and where its image is.
fn unit(runtime: &[&str]) -> (Unit, Files, TempDir) {
    let (files, cache) = (Files::default(), tempfile::tempdir().expect("a folder"));
    let image = Image::build();
    let unit = Unit::start_with(
        runtime,
        Setup {
            task_package: Some(image.package(&files.publish("image", image.content.clone()))),
            cache: cache.path().to_owned(),
            files: files.clone(),
            deaf: false,
        },
    );
    (unit, files, cache)
}

#[tokio::test]
async fn our_runtime_runs_under_our_exe_unit() {
    let (mut unit, files, _cache) = unit(&["-b", OURS, "--cap-handoff"]);
    let text = files.publish("text", b"from outside".to_vec());
    let results = unit
        .run(json!([
            {"deploy": {}},
            {"start": {}},
            {"transfer": {"from": text, "to": "container:/golem/in/text"}},
            sh("cat text; echo; echo $COLOUR; echo complaint >&2"),
            {"transfer": {"from": "container:/golem/in/text", "to": Files::url("back")}},
            sh("exit 7"),
        ]))
        .await;
    let expected = [
        "Ok",
        "Ok",
        "Ok",
        "Ok",
        "Ok",
        "ExeScript command exited with code 7",
    ];
    assert_eq!(messages(&results), expected);
    assert_eq!(json!(results[3].stdout), "from outside\ngreen\n");
    assert_eq!(json!(results[3].stderr), "complaint\n");
    assert_eq!(files.taken("back").as_deref(), Some(&b"from outside"[..]));

    // What one command leaves running is there for the next, and more output than any buffer holds arrives.
    unit.sh("mkfifo pipe; (cat pipe > got; echo done > got2) > /dev/null 2>&1 &")
        .await;
    unit.sh("echo word > pipe").await;
    let big = unit
        .sh("head -c 3000000 /dev/zero; while ! [ \"$(cat got2)\" = done ]; do :; done 2> /dev/null; cat got got2")
        .await;
    assert!(big.ends_with("\0word\ndone\n"), "{}", big.len());
    assert_eq!(big.len(), 3_000_000 + "word\ndone\n".len());

    let results = unit
        .run(json!([{"run": {"entry_point": "/bin/none"}}]))
        .await;
    let message = &messages(&results)[0];
    assert!(message.contains("/bin/none: no such program"), "{message}");
    let results = unit
        .run(json!([{"run": {"entry_point": "/bin/env", "env": {"A": "b"}}}]))
        .await;
    let message = &messages(&results)[0];
    assert!(message.contains("takes no environment"), "{message}");

    let results = unit
        .run(json!([{"terminate": {}}, {"deploy": {}}, {"start": {}}, sh("ls")]))
        .await;
    assert_eq!(messages(&results), ["Ok"; 4]);
    kill_process(pid(&unit), Signal::TERM).expect("it lives");
    assert_eq!(exit_code(&mut unit).await, Some(0));
}

/// An exe-unit over our runtime, with a command and a daemon at work, and all processes below it.
async fn at_work() -> (Unit, String, Vec<Watched>, TempDir) {
    let (unit, _files, cache) = unit(&["-b", OURS]);
    let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
    assert_eq!(messages(&results), ["Ok", "Ok"]);
    unit.sh("mkfifo began; sleep 1000 > /dev/null 2>&1 &").await;
    let batch_id = unit.exec(json!([sh("echo > began; sleep 1000")])).await;
    let began = unit.work().join("vol-0/began");
    let read = tokio::task::spawn_blocking(move || fs::read(began)).await;
    read.expect("no panic").expect("a pipe");
    let processes = descendants(pid(&unit));
    // The warden, the runtime, its launcher, builder and agent, the daemon and the command.
    assert!(processes.len() >= 7, "{processes:?}");
    let processes = processes.into_iter().map(Watched::new).collect();
    (unit, batch_id, processes, cache)
}

#[tokio::test]
async fn nothing_is_left_when_the_exe_unit_is_killed() {
    let (mut unit, _, processes, _cache) = at_work().await;
    kill_process(pid(&unit), Signal::KILL).expect("it lives");
    assert_eq!(exit_code(&mut unit).await, None);
    assert_all_end(&processes);
}

#[tokio::test]
async fn a_runtime_that_is_killed_ends_the_activity() {
    // The warden, and the runtime itself.
    for killed in [0, 1] {
        let (mut unit, batch_id, processes, _cache) = at_work().await;
        processes[killed].kill();
        let results = unit.results(&batch_id, 60.0, None).await.expect("results");
        assert_ne!(messages(&results), ["Ok"]);
        unit.states_until("Terminated").await;
        assert_eq!(exit_code(&mut unit).await, Some(1));
        assert_all_end(&processes);
    }
}

#[tokio::test]
async fn an_interrupted_command_is_killed_and_the_next_runs() {
    let (unit, batch_id, _, _cache) = at_work().await;
    let results = unit
        .run(json!([{"terminate": {}}, {"deploy": {}}, {"start": {}}, sh("echo again")]))
        .await;
    assert_eq!(messages(&results), ["Ok"; 4]);
    let results = unit.results(&batch_id, 60.0, None).await.expect("results");
    assert_ne!(messages(&results), ["Ok"]);
}

/// A program of a few lines.
fn program(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    // Written by another process: one that this process forks meanwhile would hold it open for writing.
    let copy = folder.join("text");
    fs::write(&copy, format!("#!/bin/sh\n{text}\n")).expect("a file");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("a mode");
    let copied = Command::new("cp").arg("-p").arg(&copy).arg(&path).status();
    assert!(copied.expect("cp").success());
    path
}

/// What was recorded in one direction, as bytes.
fn recorded(direction: &str) -> Vec<Vec<u8>> {
    let lines = RECORDING.lines().map(serde_json::from_str::<Value>);
    let hex = lines.filter_map(|line| Some(line.expect("JSON")[direction].as_str()?.to_owned()));
    let bytes = hex.map(|text| hex::decode(text).expect("hexadecimal"));
    bytes.collect()
}

/// An event: the counter `golem.usage.own` is at 7.5.
fn counter() -> Vec<u8> {
    let name = b"golem.usage.own";
    let mut counter = vec![0x0a, name.len() as u8];
    counter.extend_from_slice(name);
    counter.push(0x11);
    counter.extend_from_slice(&7.5f64.to_le_bytes());
    let mut status = vec![0x12, counter.len() as u8];
    status.extend(counter);
    let mut event = vec![0x08, 0x01, 0xaa, 0x01, status.len() as u8];
    event.extend(status);
    [vec![event.len() as u8], event].concat()
}

#[tokio::test]
async fn a_recorded_runtime_is_sent_the_recorded_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let requests = recorded("to_runtime");
    let answers = recorded("from_runtime");
    let [deployed, answers @ ..] = &answers[..] else {
        panic!("a recording");
    };
    fs::write(at("deployed"), deployed).expect("a file");
    // What was answered to each request: the hello, two commands, and one of a program that is not there.
    let groups = [
        &answers[0..1],
        &answers[1..4],
        &answers[4..9],
        &answers[9..10],
    ];
    let mut script =
        "case \" $* \" in *' deploy '*) echo \"$*\" > $D/call; cat $D/deployed; exit;; esac\n"
            .to_owned();
    script += "case \" $* \" in *' start foo ') ;; *) echo \"unexpected: $*\" >&2; exit 9;; esac\n";
    script += ": > $D/requests\n";
    for (number, (request, group)) in requests.iter().zip(groups).enumerate() {
        let mut answer = group.concat();
        if number == 0 {
            answer.extend(counter());
        }
        fs::write(at(&number.to_string()), answer).expect("a file");
        script += &format!(
            "head -c {} >> $D/requests; cat $D/{number}\n",
            request.len()
        );
    }
    // The shell stays: one that closes its standard output has ended.
    script += "cat > /dev/null";
    let script = script.replace("$D", folder.path().to_str().expect("UTF-8"));
    let runtime = program(folder.path(), "runtime", &script);

    let runtime = runtime.to_str().expect("UTF-8");
    let (mut unit, _files, _cache) = unit(&["-b", runtime, "--cap-handoff"]);
    let capture = json!({"stdout": {"atEnd": {}}, "stderr": {"atEnd": {}}});
    let shell = |text: &str| json!({"run": {"entry_point": "/bin/sh", "args": ["-c", text], "capture": capture}});
    let results = unit
        .run(json!([
            {"deploy": {"volumes": ["/golem/x"], "hostname": "hh"}},
            {"start": {"args": ["foo"]}},
            shell("echo out; echo err >&2"),
            shell("for i in 1 2 3; do echo $i; sleep 0.1; done"),
            {"run": {"entry_point": "/nonexistent"}},
        ]))
        .await;
    assert_eq!(results.len(), 5, "{results:?}");
    assert_eq!(messages(&results)[..4], ["Ok"; 4]);
    let message = &messages(&results)[4];
    assert!(message.contains("FileNotFoundError"), "{message}");
    assert_eq!(json!(results[2].stdout), "out\n");
    assert_eq!(json!(results[2].stderr), "err\n");
    assert_eq!(json!(results[3].stdout), "1\n2\n3\n");
    let call = fs::read_to_string(at("call")).expect("a call");
    let end = r#"--mem-gib 0.25 --storage-gib 1 --volume-override {"/golem/x":{"host":{}}} --hostname hh deploy --"#;
    assert!(call.trim_end().ends_with(end), "{call}");
    let sent = fs::read(at("requests")).expect("requests");
    assert_eq!(hex::encode(sent), hex::encode(requests.concat()));
    // The runtime's own counter is in the usage that is reported.
    while let Some(usage) = unit.node.usage.recv().await {
        if usage.current_usage.expect("a vector").last() == Some(&7.5) {
            break;
        }
    }
    assert!(unit.work().join("vol-work").is_dir(), "{}", unit.log());
}

#[tokio::test]
async fn a_runtime_may_run_each_command_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
mode=; for word in "$@"; do case $word in deploy|start|run) mode=$word; break;; esac; done
case $mode in
  deploy) echo 'log line'; echo '{"valid": {"Ok": ""}, "vols": [{"name": "vol-a", "path": "/a"}]}';;
  start) echo ready;;
  run) while [ "$1" != -- ]; do [ "$1" = --entrypoint ] && entry=$2; shift; done; shift
       sleep 1000 > /dev/null 2>&1 & exec "$entry" "$@";;
esac"#;
    let runtime = program(folder.path(), "runtime", script);
    let (unit, _files, _cache) = unit(&["-b", runtime.to_str().expect("UTF-8")]);
    let results = unit
        .run(json!([
            {"deploy": {}},
            {"start": {}},
            sh("pwd; echo complaint >&2; head -c 1000000 /dev/zero"),
            sh("exit 3"),
        ]))
        .await;
    let expected = ["Ok", "Ok", "Ok", "ExeScript command exited with code 3"];
    assert_eq!(messages(&results), expected);
    let stdout = json!(results[2].stdout);
    let work = unit.work().canonicalize().expect("a folder");
    let stdout = stdout.as_str().expect("text");
    assert!(stdout.starts_with(work.to_str().expect("UTF-8")));
    assert!(stdout.len() > 1_000_000);
    assert_eq!(json!(results[2].stderr), "complaint\n");
    assert!(
        descendants(pid(&unit)).is_empty(),
        "what a call leaves running is killed"
    );

    // One that is broken off as well, and before anything else is done.
    unit.sh("mkfifo vol-a/began").await;
    let script = "echo > vol-a/began; while :; do echo x > vol-a/file; done";
    let batch_id = unit.exec(json!([sh(script)])).await;
    let began = unit.work().join("vol-a/began");
    let read = tokio::task::spawn_blocking(move || fs::read(began)).await;
    read.expect("no panic").expect("a pipe");
    assert_eq!(
        messages(&unit.run(json!([{"terminate": {}}])).await),
        ["Ok"]
    );
    assert!(descendants(pid(&unit)).is_empty());
    assert!(!unit.work().join("vol-a").exists());
    let results = unit.results(&batch_id, 60.0, None).await.expect("results");
    assert_eq!(messages(&results), ["the command was interrupted"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_runtime_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let deploys = r#"case "$*" in *deploy*) echo '{"startMode": "blocking"}'; exit;; esac; "#;
    for (text, message) in [
        (
            "echo no such image >&2; exit 5",
            "failed to deploy (exit status: 5): no such image",
        ),
        ("kill -9 $$", "failed to deploy"),
        (r#"echo '{"valid": {"Err": "too big"}}'"#, "too big"),
        (
            r#"echo '{"vols": [{"name": "vol-a", "path": "/a"}, {"name": "../x", "path": "/x"}]}'"#,
            "no name of a folder",
        ),
        (
            &format!("{deploys} echo bad state >&2; exit 4"),
            "instead of saying hello: bad state",
        ),
        (
            &format!("{deploys} head -c 20 /dev/zero | tr '\\000' '\\377'; cat > /dev/null"),
            "cannot talk to the runtime",
        ),
    ] {
        let runtime = program(folder.path(), "runtime", text);
        let (unit, _files, _cache) = unit(&["-b", runtime.to_str().expect("UTF-8")]);
        let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
        let last = messages(&results).pop().expect("a result");
        assert!(last.contains(message), "{text}: {last}");
        let left = fs::read_dir(unit.work()).expect("a folder").flatten();
        let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["logs"], "{text}");
        fs::remove_file(runtime).expect("a file");
    }
    let (unit, _files, _cache) = unit(&["-b", "/no/such/runtime"]);
    let results = unit.run(json!([{"deploy": {}}])).await;
    let message = &messages(&results)[0];
    assert!(message.contains("cannot run /no/such/runtime"), "{message}");
}

#[tokio::test]
async fn a_call_that_is_broken_off_has_ended_before_anything_else_begins() {
    // The first call of each kind tells that it is at work, and goes on with it.
    let script = r#"
case "$*" in *deploy*) call=deploy;; *) call=start;; esac
[ -e $D/$call-1 ] && case $call in
  deploy) echo '{"vols": [{"name": "vol-a", "path": "/a"}]}'; exit;;
  start) exit;;
esac
: > $D/$call-1
mkdir -p vol-a
echo $call > $D/began
while :; do echo x > vol-a/file; done"#;
    let folder = tempfile::tempdir().expect("a folder");
    let began = folder.path().join("began");
    let made = Command::new("mkfifo").arg(&began).status().expect("mkfifo");
    assert!(made.success());
    let script = script.replace("$D", folder.path().to_str().expect("UTF-8"));
    let runtime = program(folder.path(), "runtime", &script);
    let (unit, _files, _cache) = unit(&["-b", runtime.to_str().expect("UTF-8")]);
    for call in ["deploy", "start"] {
        let batch_id = unit.exec(json!([{"deploy": {}}, {"start": {}}])).await;
        let pipe = began.clone();
        let read = tokio::task::spawn_blocking(move || fs::read_to_string(pipe)).await;
        let read = read.expect("no panic").expect("a pipe");
        assert_eq!(read.trim(), call);
        assert_eq!(
            messages(&unit.run(json!([{"terminate": {}}])).await),
            ["Ok"]
        );
        assert!(descendants(pid(&unit)).is_empty(), "{call} goes on");
        assert!(!unit.work().join("vol-a").exists() || call == "deploy");
        unit.results(&batch_id, 60.0, None).await.expect("results");
    }
    let results = unit.run(json!([{"deploy": {}}, {"start": {}}])).await;
    assert_eq!(messages(&results), ["Ok"; 2]);
}

fn exe_unit(arguments: &[&str]) -> Output {
    let mut command = exeunit::Program::at(env!("CARGO_BIN_EXE_exe-unit")).exe_unit();
    command.args(arguments).output().expect("an exe-unit")
}

#[test]
fn our_runtime_refuses_networks() {
    for option in ["--vpn-endpoint", "--inet-endpoint"] {
        let mut command = Command::new(OURS);
        command.args(["--workdir", "/", option, "udp://127.0.0.1:9", "start"]);
        let output = command.output().expect("a runtime");
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let expected = format!("{option} was given, and there are no networks here");
        assert!(stderr.contains(&expected), "{stderr}");
    }
}

#[test]
fn templates_and_tests_are_those_of_the_runtime() {
    for runtime in ["sandbox", OURS] {
        let output = exe_unit(&["-b", runtime, "offer-template"]);
        assert!(output.status.success(), "{output:?}");
        let template: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let vector = &template["properties"]["golem.com.usage.vector"];
        assert_eq!(vector[1], "golem.usage.cpu_sec");
        assert_eq!(
            template["properties"]["golem.runtime.capabilities"],
            json!([])
        );
        let output = exe_unit(&["-b", runtime, "test"]);
        assert!(output.status.success(), "{output:?}");
    }
    let output = exe_unit(&["-b", "vm", "offer-template"]);
    let template: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let limits = &template["properties"]["golem.runtime.limits"];
    assert_eq!(*limits, json!(["cpu", "memory", "storage"]));
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"case "$*" in
        "--fast offer-template") echo '{"properties": {"golem.inf.cpu.vendor": "pyrt"}, "constraints": "(x=y)"}';;
        "--fast test") echo tested; echo badly >&2; exit 3;;
        *) exit 1;; esac"#;
    let runtime = program(folder.path(), "runtime", script);
    let runtime = runtime.to_str().expect("UTF-8");
    let output = exe_unit(&["-b", runtime, "-r", "--fast", "offer-template"]);
    let template: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(template["properties"]["golem.inf.cpu.vendor"], "pyrt");
    assert_eq!(template["constraints"], "(x=y)");
    let output = exe_unit(&["-b", runtime, "-r", "--fast", "test"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"tested\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("badly") && stderr.contains("exit status: 3"),
        "{stderr}"
    );
}

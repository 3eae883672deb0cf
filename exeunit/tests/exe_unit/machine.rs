//! Commands in a virtual machine, emulated where the processor cannot be used.
//!
//! These tests need QEMU and the folder that `kiln vm setup` fills; without them they say so and show nothing, or fail where
//! `KILN_TESTS_SKIP_NOTHING` is set.

use std::fs;

use exeunit::vm::Parts;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use sha3::{Digest, Sha3_256};
use tempfile::TempDir;

use crate::{
    ends::{assert_all_end, descendants, exit_code, pid},
    fixture::{Files, Image, Setup, Unit, messages, sh},
    processes::Watched,
};

const OURS: &str = env!("CARGO_BIN_EXE_kiln-runtime");

/// The folder of the parts of virtual machines, if they are all there.
fn parts() -> Option<String> {
    match Parts::find(None) {
        Ok(parts) => Some(parts.folder.to_str().expect("UTF-8").to_owned()),
        Err(error) => {
            let may_skip = std::env::var_os("KILN_TESTS_SKIP_NOTHING").is_none();
            assert!(may_skip, "no virtual machine can be started here: {error}");
            eprintln!("\n!!! NOT TESTED: no virtual machine can be started here: {error}\n");
            None
        }
    }
}

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

/// Runs a script to its end, however slow the machine.
async fn run(unit: &Unit, script: Value) -> Vec<(String, String)> {
    let batch_id = unit.exec(script).await;
    let results = unit.results(&batch_id, 300.0, None).await.expect("results");
    let messages = messages(&results);
    let stdout = results.iter().map(|result| match json!(result.stdout) {
        Value::String(text) => text,
        _ => String::new(),
    });
    messages.into_iter().zip(stdout).collect()
}

fn texts(results: &[(String, String)]) -> Vec<(&str, &str)> {
    results
        .iter()
        .map(|(message, stdout)| (message.as_str(), stdout.as_str()))
        .collect()
}

#[tokio::test]
async fn a_script_runs_behind_a_kernel_of_its_own() {
    let Some(folder) = parts() else { return };
    let (mut unit, files, _cache) = unit(&["-b", "vm", "--vm-folder", &folder]);
    let text = files.publish("text", vec![b'x'; 1_000_000]);
    let hash = hex::encode(Sha3_256::digest(vec![b'x'; 2_000_000]));
    let twice = format!("hash:sha3:{hash}:CONTAINER:/golem/in/deep/twice");
    let results = run(
        &unit,
        json!([
            {"deploy": {"hostname": "guest"}},
            {"start": {}},
            sh("cat /proc/sys/kernel/hostname; echo $COLOUR; cat /proc/self/mounts"),
            sh("mkfifo pipe; (cat pipe > got; echo done >> got) > /dev/null 2>&1 &"),
            sh("echo word > pipe; while ! [ \"$(cat got)\" = \"word\ndone\" ]; do :; done; cat got"),
            sh("head -c 3000000 /dev/zero"),
            sh("echo x > /bin/new; cat /bin/new; ls /dev; cat /proc/self/status"),
            {"transfer": {"from": text, "to": "container:/golem/in/deep/text"}},
            sh("head -c 5 deep/text; cat deep/text deep/text > deep/twice; echo"),
            {"transfer": {"from": twice, "to": Files::url("back")}},
            {"transfer": {"from": "container:/golem/in/got", "to": "container:/golem/out/copy"}},
            sh("cat ../out/copy"),
            {"transfer": {"from": "container:/golem/in/none", "to": Files::url("none")}},
        ]),
    )
    .await;
    let [
        _,
        _,
        (_, kernel),
        (_, daemon),
        (_, next),
        (_, zeros),
        (_, own),
        _,
        (_, head),
        _,
        _,
        (_, copy),
        last,
    ] = &texts(&results)[..]
    else {
        let messages: Vec<_> = results.iter().map(|(message, _)| message).collect();
        panic!("{messages:?}");
    };
    assert!(
        kernel.starts_with("guest\ngreen\noverlay / overlay"),
        "{kernel}"
    );
    assert!(
        kernel.contains("/golem/in ext4"),
        "the disk has the agreed size: {kernel}"
    );
    assert_eq!((*daemon, *next), ("", "word\ndone\n"));
    assert_eq!(zeros.len(), 3_000_000);
    assert!(own.starts_with("x\nfd\nfull\nnull\nrandom\nshm\n"), "{own}");
    assert!(
        own.contains("NoNewPrivs:\t1") && own.contains("Seccomp:\t2"),
        "{own}"
    );
    assert_eq!((*head, *copy), ("xxxxx\n", "word\ndone\n"));
    assert_eq!(files.taken("back"), Some(vec![b'x'; 2_000_000]));
    assert!(last.0.contains("/golem/in/none"), "{last:?}");

    // What it uses is measured from outside.
    while let Some(usage) = unit.node.usage.recv().await {
        let usage = usage.current_usage.expect("a vector");
        if usage[0] > 0.1 && usage[2] > 0.01 {
            break;
        }
    }
    let results = run(
        &unit,
        json!([{"terminate": {}}, {"deploy": {}}, {"start": {}}, sh("cat /bin/new")]),
    )
    .await;
    let (message, _) = texts(&results)[3];
    assert_eq!(
        message, "ExeScript command exited with code 1",
        "nothing is left of the machine before"
    );
    let processes = watch(&unit);
    kill_process(pid(&unit), Signal::TERM).expect("it lives");
    assert_eq!(exit_code(&mut unit).await, Some(0));
    assert_all_end(&processes);
    let left = fs::read_dir(unit.work()).expect("a folder").flatten();
    assert_eq!(
        left.map(|entry| entry.file_name()).collect::<Vec<_>>(),
        ["logs"]
    );
}

#[tokio::test]
async fn volumes_have_their_sizes_and_names_their_addresses() {
    let Some(folder) = parts() else { return };
    let (mut unit, files, _cache) = unit(&["-b", "vm", "--vm-folder", &folder]);
    let given = files.publish("given", b"from outside".to_vec());
    let volumes = json!({
        "/data": {"storage": {"size": "32MiB", "preallocate": "24MiB", "errors": "remount-ro"}},
        "/data/below": {"storage": {"size": "16MiB"}},
        "/ram": {"ram": {"size": "4MiB"}},
        "/host": {"host": {}},
    });
    let results = run(
        &unit,
        json!([
            {"deploy": {"volumes": volumes, "hosts": {"db": "10.0.0.7"}}},
            {"start": {}},
            {"transfer": {"from": given, "to": "container:/data/given"}},
            {"transfer": {"from": "container:/data/given", "to": "container:/ram/copy"}},
            sh("cat /ram/copy /data/given; echo; ls /data /ram /host; cat /proc/self/mounts"),
            sh("cat /etc/hosts"),
            sh("head -c 1000000 /dev/zero > /data/fits || echo full"),
            sh("head -c 30000000 /dev/zero > /data/below/fits-not || echo full"),
            sh("head -c 5000000 /dev/zero > /ram/fits-not || echo full"),
            {"transfer": {"from": "container:/ram/copy", "to": Files::url("back")}},
        ]),
    )
    .await;
    let texts = texts(&results);
    let [.., (_, seen), (_, hosts), fits, below, ram, (back, _)] = &texts[..] else {
        panic!("{texts:?}");
    };
    assert_eq!(texts.len(), 10, "{texts:?}");
    let begin = "from outsidefrom outside\n/data:\nbelow\ngiven\n\n/host:\n\n/ram:\ncopy\n";
    assert!(seen.starts_with(begin), "{seen}");
    let mount = |point: &str| {
        let mut lines = seen.lines();
        let line = lines.find(|line| line.split(' ').nth(1) == Some(point));
        line.unwrap_or_else(|| panic!("no {point} in {seen}"))
    };
    for (point, options) in [
        ("/data", "ext4 rw,nosuid,nodev,relatime,errors=remount-ro"),
        ("/data/below", "ext4 rw,nosuid,nodev"),
        ("/ram", "tmpfs rw,nosuid,nodev,relatime,size=4096k"),
        ("/host", "ext4 rw,nosuid,nodev"),
    ] {
        assert!(mount(point).contains(options), "{}", mount(point));
    }
    assert_eq!(
        *hosts,
        "10.0.0.7\tdb\n127.0.0.1\tlocalhost\n127.0.0.1\tactivity\n"
    );
    assert_eq!([fits.1, below.1, ram.1], ["", "full\n", "full\n"]);
    assert_eq!(
        (*back, files.taken("back")),
        ("Ok", Some(b"from outside".to_vec()))
    );
    // The disks are on this machine, and as large as what was written, or taken at once; what a machine writes zeros to may
    // be given back.
    use std::os::unix::fs::MetadataExt;
    let disks = fs::read_dir(unit.work()).expect("a folder").flatten();
    let disks = disks.filter(|entry| entry.file_name().to_string_lossy().ends_with(".img"));
    let sizes = disks.map(|disk| disk.metadata().expect("a file").blocks() * 512);
    assert_eq!(sizes.filter(|size| *size >= 20 << 20).count(), 1);
    assert_eq!(run(&unit, json!([{"terminate": {}}])).await[0].0, "Ok");
    let left = fs::read_dir(unit.work()).expect("a folder").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["logs"]);

    // What there is no room for is refused, and so are networks.
    let network = json!({"id": "n", "ip": "10.0.0.0", "nodeIp": "10.0.0.2", "nodes": {}});
    for (deploy, reason) in [
        (
            json!({"volumes": {"/ram": {"ram": {"size": "1GiB"}}}}),
            "of memory are agreed on",
        ),
        (
            json!({"volumes": {"/data": {"storage": {"size": "2GiB"}}}}),
            "of storage are agreed on",
        ),
        (
            json!({"net": [network]}),
            "virtual machines cannot be part of networks, and n is to be joined",
        ),
    ] {
        let results = run(&unit, json!([{"deploy": deploy}])).await;
        assert!(results[0].0.contains(reason), "{results:?}");
    }
    kill_process(pid(&unit), Signal::TERM).expect("it lives");
    assert_eq!(exit_code(&mut unit).await, Some(0));
}

/// The warden, and QEMU.
fn watch(unit: &Unit) -> Vec<Watched> {
    let processes = descendants(pid(unit));
    assert!(processes.len() >= 2, "{processes:?}");
    processes.into_iter().map(Watched::new).collect()
}

#[tokio::test]
async fn nothing_is_left_whoever_is_killed_and_whenever() {
    let Some(folder) = parts() else { return };
    for (runs, killed) in [
        (false, None),
        (true, None),
        (false, Some(1)),
        (true, Some(0)),
        (true, Some(1)),
    ] {
        let (mut unit, _files, _cache) = unit(&["-b", "vm", "--vm-folder", &folder]);
        let deployed = run(&unit, json!([{"deploy": {}}])).await;
        assert_eq!(texts(&deployed)[0].0, "Ok");
        let batch_id = if runs {
            let started = run(&unit, json!([{"start": {}}])).await;
            assert_eq!(texts(&started)[0].0, "Ok");
            unit.exec(json!([sh("sleep 1000")])).await
        } else {
            let batch_id = unit.exec(json!([{"start": {}}])).await;
            // QEMU is there long before its machine has started.
            while descendants(pid(&unit)).len() < 2 {
                tokio::task::yield_now().await;
            }
            batch_id
        };
        let processes = watch(&unit);
        match killed {
            None => {
                kill_process(pid(&unit), Signal::KILL).expect("it lives");
                assert_eq!(exit_code(&mut unit).await, None);
            }
            Some(number) => {
                processes[number].kill();
                let results = unit.results(&batch_id, 300.0, None).await.expect("results");
                assert_ne!(messages(&results), ["Ok"]);
                kill_process(pid(&unit), Signal::TERM).expect("it is there, or ends");
                exit_code(&mut unit).await;
                let left = fs::read_dir(unit.work()).expect("a folder").flatten();
                assert_eq!(
                    left.map(|entry| entry.file_name()).collect::<Vec<_>>(),
                    ["logs"]
                );
            }
        }
        assert_all_end(&processes);
    }
}

#[tokio::test]
async fn our_runtime_program_runs_it_too() {
    let Some(folder) = parts() else { return };
    let runtime = [
        "-b",
        OURS,
        "--cap-handoff",
        "-r",
        "--in",
        "-r",
        "vm",
        "-r",
        "--vm-folder",
        "-r",
        &folder,
    ];
    let (mut unit, files, _cache) = unit(&runtime);
    let text = files.publish("text", b"from outside".to_vec());
    let results = run(
        &unit,
        json!([
            {"deploy": {}},
            {"start": {}},
            {"transfer": {"from": text, "to": "container:/golem/in/text"}},
            sh("cat text text > twice; echo hello"),
            {"transfer": {"from": "container:/golem/in/twice", "to": Files::url("back")}},
            sh("exit 3"),
        ]),
    )
    .await;
    let expected = [("Ok", ""), ("Ok", ""), ("Ok", "hello\n"), ("Ok", "")];
    assert_eq!(texts(&results)[1..5], expected);
    assert_eq!(texts(&results)[5].0, "ExeScript command exited with code 3");
    assert_eq!(
        files.taken("back").as_deref(),
        Some(&b"from outsidefrom outside"[..])
    );
    let processes = watch(&unit);
    kill_process(pid(&unit), Signal::KILL).expect("it lives");
    assert_eq!(exit_code(&mut unit).await, None);
    assert_all_end(&processes);
}

#[tokio::test]
async fn without_its_parts_it_says_what_to_do() {
    let (unit, _files, _cache) = unit(&["-b", "vm", "--vm-folder", "/no/such/folder"]);
    let results = run(&unit, json!([{"deploy": {}}, {"start": {}}])).await;
    let (message, _) = texts(&results)[1];
    assert!(
        message.contains("/no/such/folder/vmlinuz") && message.contains("kiln vm setup"),
        "{message}"
    );
}

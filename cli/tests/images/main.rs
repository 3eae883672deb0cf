//! `kiln image`, as a user meets it.

#[path = "../place/mod.rs"]
mod place;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use oci::Digest;

use crate::place::{Place, Said};

impl Place {
    fn image(&self, arguments: &[&str]) -> Said {
        self.ask("image", arguments)
    }

    /// What a command prints that succeeds.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let said = self.image(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        said.out
    }

    /// The one error of a command that fails, in one line.
    #[track_caller]
    fn error(&self, arguments: &[&str]) -> String {
        let said = self.image(arguments);
        assert_eq!(said.out, "", "{arguments:?}: {said:?}");
        said.error()
    }

    /// Copies a program of this machine, with the libraries that it needs, to `rootfs`.
    fn program(&self, name: &str) {
        let path = std::env::var_os("PATH").unwrap();
        let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
        let program = found.find(|program| program.is_file()).unwrap();
        let ldd = Command::new("ldd").arg(&program).output().unwrap();
        let libraries = String::from_utf8(ldd.stdout).unwrap();
        let rootfs = self.path("rootfs");
        let libraries = libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for library in libraries {
            copy(
                Path::new(library),
                &rootfs.join(library.trim_start_matches('/')),
            );
        }
        copy(&program, &rootfs.join("bin").join(name));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, path, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn a_container_image_is_packed_looked_into_and_unpacked() {
    let place = Place::new();
    let layer = archive(&[("etc/greeting", b"hello")]);
    let configuration = format!(
        r#"{{"os": "linux", "config": {{"Env": ["A=1"]}}, "rootfs": {{"diff_ids": ["{}"]}}}}"#,
        Digest::of(&layer)
    );
    let manifest = br#"[{"Config": "c", "RepoTags": ["it:1"], "Layers": ["l"]}]"#;
    let parts = archive(&[
        ("manifest.json", manifest),
        ("c", configuration.as_bytes()),
        ("l", &layer),
    ]);
    place.write("it.tar", parts);
    let packed = place.done(&["pack", "it.tar"]);
    let (hash, file) = packed.trim_end().split_once(' ').unwrap();
    assert_eq!(file, "it.gvmi");
    assert_eq!(
        place.done(&["pack", "it.tar", "-o", "again.gvmi"]),
        format!("{hash} again.gvmi\n")
    );
    let again = place.error(&["pack", "it.tar"]);
    assert_eq!(again, "it.gvmi is there already; --force replaces it");
    place.done(&["pack", "it.tar", "--force"]);
    assert!(
        place
            .error(&["pack", "it.tar", "--name", "x", "--force"])
            .ends_with("in it.tar: it:1")
    );

    let shown = place.done(&["inspect", "it.gvmi"]);
    assert!(shown.contains(hash) && shown.contains("A=1"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&place.done(&["inspect", "--json", "it.gvmi"])).unwrap();
    assert_eq!(json["Hash"], hash);
    assert_eq!(json["Configuration"]["Env"][0], "A=1");
    let files = place.done(&["inspect", "--files", "it.gvmi"]);
    assert!(
        files.contains("-0644         0:0            5 /etc/greeting\n"),
        "{files}"
    );

    assert_eq!(
        place.done(&["verify", "it.gvmi", hash]),
        format!("{hash} it.gvmi\n")
    );
    let other = hash.replace(|digit: char| digit.is_ascii_digit(), "0");
    assert!(
        place
            .error(&["verify", "it.gvmi", &other])
            .contains("tampered with or damaged")
    );
    place.done(&["unpack", "it.gvmi", "tree"]);
    assert_eq!(
        fs::read_to_string(place.path("tree/etc/greeting")).unwrap(),
        "hello"
    );
    assert!(
        place
            .error(&["unpack", "it.gvmi", "tree"])
            .contains("cannot unpack tree: File exists")
    );

    // A folder of files, with the configuration that the image had.
    place.write("configuration.json", json["Configuration"].to_string());
    place.done(&["pack", "tree", "--configuration", "configuration.json"]);
    let json: serde_json::Value =
        serde_json::from_str(&place.done(&["inspect", "--json", "tree.gvmi"])).unwrap();
    assert_eq!(json["Configuration"]["Env"][0], "A=1");
    assert_eq!(
        fs::read_dir(place.folder())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with(".kiln-")
            })
            .count(),
        0
    );
}

#[test]
fn what_is_wrong_is_said_in_a_line() {
    let place = Place::new();
    place.write("text", "no image");
    place.write("empty.tar", archive(&[]));
    place.write("lzo.gvmi", {
        let mut bytes = vec![0; 200];
        bytes[..4].copy_from_slice(b"hsqs");
        bytes[20] = 3;
        bytes[28] = 4;
        bytes
    });
    for (arguments, why) in [
        (
            &["inspect", "none"][..],
            "cannot read the image none: No such file",
        ),
        (
            &["inspect", "text"],
            "text is no image: it is not a squashfs file system",
        ),
        (
            &["verify", "lzo.gvmi"],
            "it is compressed with lzo, which cannot be read",
        ),
        (
            &["verify", "lzo.gvmi"],
            "`unsquashfs`, then `kiln image pack`",
        ),
        (&["pack", "text"], "text is no container image"),
        (&["pack", "empty.tar"], "empty.tar is no container image"),
        (&["pack", "none"], "cannot read none"),
        (&["run", "text"], "text is no image"),
        (&["push", "text", "--app-key", "x"], "text is no image"),
        (
            &["build", "none"],
            "cannot read the Dockerfile none/Dockerfile",
        ),
    ] {
        let error = place.error(arguments);
        assert!(
            error.contains(why),
            "{arguments:?}: {error:?} does not say {why:?}"
        );
    }
}

#[test]
fn an_image_is_built_and_its_commands_run() {
    let place = Place::new();
    ["sh", "cat", "pwd"]
        .iter()
        .for_each(|name| place.program(name));
    place.write("Dockerfile", "FROM scratch AS base\nCOPY rootfs /\nFROM base\nARG who=world\nENV greeting=hello\nRUN echo $who >/who\nVOLUME /golem/in\nWORKDIR /work\nCMD cat /who");
    let built = place.done(&["build", "--build-arg", "who=me", "-o", "me.gvmi"]);
    assert!(built.ends_with(" me.gvmi\n"), "{built}");
    assert_eq!(place.done(&["run", "me.gvmi"]), "me\n");
    assert_eq!(
        place.done(&[
            "run",
            "-e",
            "greeting=bye",
            "me.gvmi",
            "--",
            "sh",
            "-c",
            "echo $greeting; pwd"
        ]),
        "bye\n/work\n"
    );
    place.write("in/data", "data");
    assert_eq!(
        place.done(&[
            "run",
            "-v",
            "in:/golem/in",
            "me.gvmi",
            "cat",
            "/golem/in/data"
        ]),
        "data"
    );
    let failed = place.image(&["run", "me.gvmi", "sh", "-c", "echo oh >&2; exit 7"]);
    assert_eq!(
        (failed.code, failed.out.as_str(), failed.err.as_str()),
        (Some(7), "", "oh\n")
    );
    assert!(
        place
            .error(&["run", "me.gvmi", "none"])
            .contains("none: no such program")
    );

    place.write("Dockerfile", "FROM me.gvmi AS x\nRUN echo more >>/who\n");
    place.done(&[
        "build",
        "-o",
        "more.gvmi",
        "--target",
        "x",
        "--with",
        "kiln",
    ]);
    assert_eq!(place.done(&["run", "more.gvmi"]), "me\nmore\n");
    place.write("Dockerfile", "FROM scratch\nHEALTHCHECK NONE\n");
    let beyond = place.error(&["build", "--with", "kiln"]);
    assert_eq!(beyond, "./Dockerfile:2: HEALTHCHECK is not built in");
}

#[test]
fn a_build_prints_the_hash_and_the_path_or_one_error() {
    let place = Place::new();
    place.write("context/a.txt", "a");
    place.write(
        "context/Dockerfile",
        "FROM scratch\nCOPY --from=./x a.txt /",
    );
    let build = ["build", "context", "--build-context", "./x=context"];
    let built = place.image(&build);
    assert_eq!(built.code, Some(0), "{built:?}");
    let (hash, path) = built.out.trim_end().split_once(' ').unwrap();
    let images = place.path("cache/kiln/images");
    assert!(path.starts_with(images.to_str().unwrap()), "{path}");
    assert_eq!(
        gvmi::Hash::of_file(path.as_ref()).unwrap().to_string(),
        hash
    );
    let said: Vec<_> = built.err.lines().collect();
    assert_eq!(
        said,
        [
            "step 1 of 1: COPY --from=./x a.txt /",
            "packing the image",
            &format!("built the image {path}")
        ]
    );
    let again = place.image(&build);
    assert_eq!(again.out, built.out);
    assert_eq!(again.err, format!("found the image {path}\n"));

    assert_eq!(
        place.error(&["build", "context"]),
        "context/Dockerfile:2: COPY --from=./x a.txt /: there is no image context/x"
    );
    let wrong = place.image(&["build", "context", "--build-context", "x"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn a_missing_cargo_is_named() {
    let place = Place::new();
    let build = || {
        let mut kiln = place.kiln();
        let arguments = ["image", "build", "--programs", "x=package"];
        let output = kiln.args(arguments).env("CARGO", "/no/cargo").output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    // The Dockerfile is read first: what is wrong there can be known at once.
    let error = build();
    assert!(error.contains("cannot read the Dockerfile"), "{error}");

    place.write("Dockerfile", "FROM scratch");
    let error = build();
    assert!(
        error.contains("cannot run /no/cargo, which compiles the programs of images"),
        "{error}"
    );
    assert!(error.contains("No such file"), "{error}");
}

/// A node, until it is dropped.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_image_is_pushed_to_a_node_and_found_there() {
    let place = Place::new();
    place.write("tree/file", "contents");
    let packed = place.done(&["pack", "tree"]);
    let hash = packed.split_whitespace().next().unwrap();
    let mut node = Node(
        place
            .kiln()
            .arg("node")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    // To the end of the test: a node that nobody listens to any more ends.
    let mut lines = BufReader::new(node.0.stdout.take().unwrap()).lines();
    let (mut url, mut key) = (None, None);
    for line in lines.by_ref() {
        let line = line.unwrap();
        url = line
            .strip_prefix("export YAGNA_API_URL=")
            .map(str::to_owned)
            .or(url);
        key = line
            .strip_prefix("export YAGNA_APPKEY=")
            .map(str::to_owned)
            .or(key);
        if url.is_some() && key.is_some() {
            break;
        }
    }
    let (url, key) = (url.unwrap(), key.unwrap());
    let push = |key: &str| {
        place.image(&[
            "push",
            "tree.gvmi",
            "--tag",
            "me/tree:1",
            "--url",
            &url,
            "--app-key",
            key,
        ])
    };
    let refused = push("wrong");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("the node refuses it (401"),
        "{refused:?}"
    );
    let pushed = push(&key);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    assert!(
        pushed
            .out
            .starts_with(&format!("{hash} {url}/v1/image/file/{hash}.gvmi")),
        "{pushed:?}"
    );
}

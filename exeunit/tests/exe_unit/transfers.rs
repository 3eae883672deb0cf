//! Files to and from the sandbox.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::{Files, Unit, Web, messages};

fn transfer(from: &str, to: &str) -> Value {
    json!({"transfer": {"from": from, "to": to}})
}

#[tokio::test]
async fn files_go_in_and_come_out() {
    let (unit, files) = Unit::ready().await;
    let web = Web::open().await;
    let large: Vec<u8> = (0..1_000_003u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let from_requestor = files.publish("large", large.clone());
    let empty = files.publish("empty", "");
    let from_web = web.publish("/text", b"from the web");
    let results = unit
        .run(json!([
            transfer(&from_requestor, "container:/golem/in/large"),
            transfer(&empty, "container:/golem/in/deep/empty"),
            transfer(&from_web, "/golem/in/text"),
            transfer("container:/golem/in/large", "container:/golem/out/copy"),
            transfer("container:/golem/out/copy", &Files::url("back")),
            transfer("container:/golem/in/deep/empty", &Files::url("nothing")),
            transfer("container:/golem/in/text", &web.url("/back")),
        ]))
        .await;
    assert_eq!(messages(&results), ["Ok"; 7]);
    assert_eq!(files.taken("back"), Some(large));
    assert_eq!(files.taken("nothing"), Some(Vec::new()));
    assert_eq!(web.file("/back").as_deref(), Some(&b"from the web"[..]));
    // What came from outside is the sandbox's own.
    unit.sh("cat text >> large; echo more > deep/more; [ $(cat text | head -c 4) = from ]")
        .await;
}

#[tokio::test]
async fn a_hash_is_verified_before_anything_is_there() {
    let (unit, files) = Unit::ready().await;
    let url = files.publish("file", "content");
    let hash = |content: &str| {
        use sha3::Digest;
        hex::encode(sha3::Sha3_256::digest(content))
    };
    let right = format!("hash:sha3:{}:{url}", hash("content"));
    let wrong = format!("hash:sha3:{}:{url}", hash("other"));
    let results = unit
        .run(json!([
            transfer(&right, "/golem/in/right"),
            transfer(&wrong, "/golem/in/wrong")
        ]))
        .await;
    let message = format!(
        "the file's hash is {}, and should be {}",
        hash("content"),
        hash("other")
    );
    assert_eq!(messages(&results), ["Ok", &message]);
    assert_eq!(unit.sh("ls").await, "right\n");
}

#[tokio::test]
async fn a_failed_transfer_says_why_and_leaves_nothing() {
    let (unit, files) = Unit::ready().await;
    let web = Web::open().await;
    unit.sh("echo text > text").await;
    let (given, gone) = (files.publish("given", "given"), Files::url("gone"));
    let cases = [
        (gone.as_str(), "/golem/in/x", "there is no file gone"),
        (&web.url("/gone"), "/golem/in/x", "404 Not Found"),
        ("/golem/in/text", &web.url("/forbidden"), "403 Forbidden"),
        (&given, "/etc/x", "/etc/x: not in a volume of the image"),
        (&given, "ftp://host/x", "the scheme ftp is not known"),
        (&given, &gone, "is in the sandbox"),
        ("/golem/in/none", &gone, "cannot open /golem/in/none"),
        ("/golem/in", &gone, "/golem/in: not a file"),
    ];
    for (from, to, reason) in cases {
        let message = messages(&unit.run(json!([transfer(from, to)])).await).remove(0);
        assert!(message.contains(reason), "{from} {to}: {message}");
    }
    let no_archive = json!({"transfer": {"from": given, "to": "/golem/in/x", "format": "tar"}});
    let message = messages(&unit.run(json!([no_archive])).await).remove(0);
    assert!(message.starts_with("the archive is damaged"), "{message}");
    let no_format = json!({"transfer": {"from": given, "to": "/golem/in/y", "depth": 1}});
    let message = messages(&unit.run(json!([no_format])).await).remove(0);
    assert!(message.contains("has no `format`"), "{message}");
    unit.sh("rmdir x").await;
    assert_eq!(unit.sh("ls").await, "text\n");
}

#[tokio::test]
async fn no_path_leads_out_of_the_sandbox() {
    let (unit, files) = Unit::ready().await;
    let given = files.publish("harm", "harm");
    let secret = unit.folder.path().join("secret");
    fs::write(&secret, "secret").expect("a file");
    // A program of the sandbox can make any link; here the test does it in its place.
    let volume = unit.work().join("vol-0");
    std::os::unix::fs::symlink(&secret, volume.join("absolute")).expect("a link");
    std::os::unix::fs::symlink("../../secret", volume.join("relative")).expect("a link");
    std::os::unix::fs::symlink("../..", volume.join("up")).expect("a link");
    let before = fs::read_dir(unit.folder.path()).expect("a folder").count();
    for path in [
        "container:/golem/in/../../secret",
        "container:/golem/in/..%2f..%2fsecret",
        "container:/golem/in/%2e%2e/%2e%2e/secret",
        "container:/golem/in/up/secret",
        "container:/golem/in/absolute",
        "container:/golem/in/relative",
        "container:/etc/passwd",
    ] {
        let name = path.replace('/', "-");
        let read = messages(&unit.run(json!([transfer(path, &Files::url(&name))])).await).remove(0);
        assert_ne!(read, "Ok", "{path}");
        assert_eq!(files.taken(&name), None, "{path}");
        unit.run(json!([transfer(&given, path)])).await;
        assert_eq!(fs::read(&secret).expect("a file"), b"secret", "{path}");
    }
    assert_eq!(
        fs::read_dir(unit.folder.path()).expect("a folder").count(),
        before
    );
}

fn large() -> Vec<u8> {
    let bytes = (0..2_000_003u32).map(|number| (number % 251) as u8);
    bytes.collect()
}

#[tokio::test]
async fn a_web_server_that_breaks_off_is_asked_for_the_rest() {
    let (unit, _files) = Unit::ready().await;
    let web = Web::open().await;
    let large = large();
    for path in ["/cut/large", "/whole/large", "/busy/large"] {
        web.publish(path, &large);
        let hash = hex::encode(<sha3::Sha3_256 as sha3::Digest>::digest(&large));
        let from = format!("hash:sha3:{hash}:{}", web.url(path));
        let results = unit.run(json!([transfer(&from, "/golem/in/large")])).await;
        assert_eq!(messages(&results), ["Ok"], "{path}");
        let found = fs::read(unit.work().join("vol-0/large")).expect("a file");
        assert!(found == large, "{path}");
        assert_eq!(web.requests(path).len(), 3, "{path}");
    }
    let ranges: Vec<_> = web
        .requests("/cut/large")
        .iter()
        .map(|head| head.contains("range: bytes=") && head.contains("if-range: \"one\""))
        .collect();
    assert_eq!(ranges, [false, true, true]);
    // Enough is enough, and nothing is left of it.
    web.publish("/cut/always", &large);
    let results = unit
        .run(json!([transfer(&web.url("/cut/always"), "/golem/in/half")]))
        .await;
    let message = &messages(&results)[0];
    assert!(message.contains("its answer breaks off"), "{message}");
    assert_eq!(web.requests("/cut/always").len(), 3);
    assert_eq!(unit.sh("ls").await, "large\n");
    // What is uploaded is sent once more, too.
    let results = unit
        .run(json!([transfer("/golem/in/large", &web.url("/busy/back"))]))
        .await;
    assert_eq!(messages(&results), ["Ok"]);
    assert_eq!(web.file("/busy/back"), Some(large));
}

#[tokio::test]
async fn a_name_and_a_password_are_given_and_never_told() {
    let (unit, _files) = Unit::ready().await;
    let web = Web::open().await;
    let with_password = |path| web.url(path).replace("http://", "http://me:secret@");
    web.publish("/mine", b"mine");
    let script = json!([
        transfer(&with_password("/mine"), "/golem/in/mine"),
        transfer(&with_password("/gone"), "/golem/in/gone"),
    ]);
    let messages = messages(&unit.run(script).await);
    assert_eq!(messages[0], "Ok");
    assert!(
        messages[1].contains("404 Not Found") && !messages[1].contains("secret"),
        "{messages:?}"
    );
    let credentials = "authorization: basic bwu6c2vjcmv0";
    assert!(web.requests("/mine")[0].contains(credentials));
}

#[tokio::test]
async fn archives_are_packed_and_unpacked_on_the_way() {
    let (unit, files) = Unit::ready().await;
    let web = Web::open().await;
    unit.sh("mkdir -p tree/sub; echo text > tree/sub/file; echo more > tree/more; ln -s more tree/link; echo tmp > tree/x.tmp")
        .await;
    for format in ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "zip.0"] {
        let (there, back) = (Files::url(format), web.url(&format!("/{format}")));
        let script = json!([
            {"transfer": {"from": "/golem/in/tree", "to": there, "format": format, "fileset": {"excludes": "**/*.tmp"}}},
            {"transfer": {"from": "/golem/in/tree", "to": back, "format": format, "depth": 0}},
        ]);
        assert_eq!(messages(&unit.run(script).await), ["Ok", "Ok"], "{format}");
        let packed = files.taken(format).expect("an archive");
        let from = files.publish("archive", packed);
        let script = json!([
            {"transfer": {"from": from, "to": format!("/golem/out/{format}/gftp"), "format": format}},
            {"transfer": {"from": back, "to": format!("/golem/out/{format}/web"), "format": format}},
        ]);
        assert_eq!(messages(&unit.run(script).await), ["Ok", "Ok"], "{format}");
        let found = unit.sh(&format!("cd /golem/out/{format}; ls gftp gftp/sub web; cat gftp/sub/file gftp/link; echo x >> web/more")).await;
        let expected = "gftp:\nlink\nmore\nsub\n\ngftp/sub:\nfile\n\nweb:\nlink\nmore\nsub\nx.tmp\ntext\nmore\n";
        assert_eq!(found, expected, "{format}");
    }
}

#[tokio::test]
async fn an_archive_cannot_leave_the_sandbox() {
    let (unit, files) = Unit::ready().await;
    let secret = unit.folder.path().join("secret");
    fs::write(&secret, "secret").expect("a file");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().expect("it is").name[..15].copy_from_slice(b"../../../secret");
    header.set_size(4);
    header.set_cksum();
    builder.append(&header, &b"harm"[..]).expect("it is packed");
    let from = files.publish("archive", builder.into_inner().expect("it is packed"));
    let script = json!([{"transfer": {"from": from, "to": "/golem/in", "format": "tar"}}]);
    let message = "the archive's \"../../../secret\" is refused: its path has `..`";
    assert_eq!(messages(&unit.run(script).await), [message]);
    assert_eq!(fs::read(&secret).expect("a file"), b"secret");
}

#[tokio::test]
async fn progress_is_told_if_it_is_asked_for() {
    let (unit, files) = Unit::ready().await;
    let (large, size) = (large(), 2_000_003);
    let from = files.publish("large", large);
    let script = json!([
        {"transfer": {"from": from, "to": "/golem/in/x", "progress": {"updateStep": 500_000}}},
        {"transfer": {"from": from, "to": "/golem/in/y"}},
    ]);
    let batch_id = unit.exec(script).await;
    let events = unit.events(&batch_id).await;
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event.as_object()?.keys().next())
        .map(String::as_str)
        .collect();
    assert!(kinds.len() > 6, "{kinds:?}");
    assert_eq!(
        kinds[kinds.len() - 3..],
        ["finished", "started", "finished"]
    );
    let progress: Vec<&Value> = events
        .iter()
        .filter_map(|event| event.get("progress"))
        .collect();
    let last = json!({"step": [0, 1], "message": null, "progress": [size, size], "unit": "Bytes"});
    assert_eq!(progress.last(), Some(&&last));
    let done: Vec<u64> = progress
        .iter()
        .filter_map(|event| event["progress"][0].as_u64())
        .collect();
    assert!(done.is_sorted() && done.len() >= 3, "{done:?}");
}

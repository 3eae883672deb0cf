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
    let archive = json!({"transfer": {"from": given, "to": "/golem/in/x", "format": "tar"}});
    let message = messages(&unit.run(json!([archive])).await).remove(0);
    assert_eq!(message, "archives cannot be packed or unpacked: Tar");
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

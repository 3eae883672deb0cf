use serde_json::{Value, json};

use super::*;
use crate::gsb::{decode, encode};

fn read(command: &Value) -> Command {
    serde_json::from_value(command.clone()).unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn deployment(fields: Value) -> Deployment {
    match read(&json!({"deploy": fields})) {
        Command::Deploy(deployment) => deployment,
        other => panic!("{other:?}"),
    }
}

/// One of each command, with all of its fields.
fn all() -> Value {
    json!([
        {"deploy": {
            "net": [{"id": "n", "ip": "192.168.0.0", "mask": "255.255.255.0", "gateway": "192.168.0.254", "nodeIp": "192.168.0.2",
                     "nodes": {"192.168.0.1": "0xdf627924bd43b69256380b8f333244450ab14ec3"}}],
            "hosts": {"db": "192.168.0.3", "v6": "fd00::1"},
            "hostname": "worker",
            "env": {"A": "1"},
            "progress": {"updateInterval": "300ms", "updateStep": 1000},
            "volumes": {"/a": {"host": {}}, "/b": {"ram": {"size": "1048576B"}},
                        "/c": {"storage": {"size": "10B", "preallocate": "2B", "errors": "remount-ro"}}},
        }},
        {"start": {"args": ["x"]}},
        {"run": {"entry_point": "/bin/sh", "args": ["-c", "date"], "env": {"B": "2"}, "timeout": "1m 30s",
                 "capture": {"stdout": {"atEnd": {"headTail": 7, "format": "bin"}}, "stderr": {"stream": {"limit": 9}}}}},
        {"transfer": {"from": "gftp://a/b", "to": "/c", "format": "tar.gz", "depth": 2,
                      "fileset": [{"desc": null, "includes": "**/*.o", "excludes": ["a", "b"]}], "progress": {"updateStep": 5}}},
        {"terminate": {}},
        {"sign": {}},
    ])
}

#[test]
fn all_commands_are_read_and_written_in_json_and_on_the_bus() {
    let script = parse(&all().to_string()).expect("a script");
    assert_eq!(json!(script), all());
    let bytes = encode(&script).expect("it can be encoded");
    assert_eq!(decode::<Vec<Command>>(&bytes), Ok(script));
}

#[test]
fn unknown_fields_are_ignored() {
    for (written, meant) in [
        (
            json!({"deploy": {"future": [1, {"a": null}]}}),
            json!({"deploy": {}}),
        ),
        (
            json!({"start": {"future": 1}}),
            json!({"start": {"args": []}}),
        ),
        (
            json!({"run": {"entry_point": "/x", "args": [], "future": "y"}}),
            json!({"run": {"entry_point": "/x", "args": []}}),
        ),
        (
            json!({"transfer": {"from": "/a", "to": "/b", "args": {"format": "tar"}}}),
            json!({"transfer": {
                "from": "/a", "to": "/b", "format": null, "depth": null, "fileset": null, "progress": null,
            }}),
        ),
        (
            json!({"terminate": {"now": true}}),
            json!({"terminate": {}}),
        ),
    ] {
        assert_eq!(json!(read(&written)), meant);
        // As it comes from the bus.
        let bytes = encode(&written).expect("it can be encoded");
        assert_eq!(decode::<Command>(&bytes), Ok(read(&meant)));
    }
}

#[test]
fn volumes_are_a_list_or_a_map() {
    let paths = deployment(json!({"volumes": ["/b", "/a"]})).volumes;
    let expected = ["/a", "/b"].map(|path| (path.to_owned(), Mount::Host {}));
    assert_eq!(paths, BTreeMap::from(expected));
    let sizes = deployment(json!({"volumes": {"/r": {"ram": {"size": "1MiB"}}}})).volumes;
    let size = Size(1 << 20);
    assert_eq!(
        sizes,
        BTreeMap::from([("/r".to_owned(), Mount::Ram { size })])
    );
}

#[test]
fn progress_is_told_by_time_or_by_bytes() {
    let interval = |fields: Value| {
        let progress = deployment(json!({"progress": fields})).progress;
        progress.expect("it is asked for").interval()
    };
    assert_eq!(interval(json!({})), Some(Duration::from_secs(1)));
    assert_eq!(interval(json!({"updateStep": 5})), None);
    let both = json!({"updateInterval": "2s", "updateStep": 5});
    assert_eq!(interval(both), Some(Duration::from_secs(2)));
}

#[test]
fn what_is_no_command_is_refused_with_its_index() {
    for (command, reason) in [
        (json!({"destroy": {}}), "unknown variant `destroy`"),
        (json!("deploy"), "invalid type"),
        (json!({"run": {}}), "missing field `entry_point`"),
        (json!({"run": {"entry_point": 5}}), "invalid type"),
        (
            json!({"run": {"entry_point": "/x", "timeout": "soon"}}),
            "\"soon\" is no time",
        ),
        (json!({"transfer": {"from": "/a"}}), "missing field `to`"),
        (
            json!({"transfer": {"from": "/a", "to": "/b", "format": "rar"}}),
            "unknown variant `rar`",
        ),
        (
            json!({"deploy": {"hosts": {"a": "b"}}}),
            "the host a has the address \"b\"",
        ),
        (
            json!({"deploy": {"volumes": {"/a": {"disk": {}}}}}),
            "`volumes` is neither",
        ),
        (json!({}), "expected value"),
        (json!(null), "expected value"),
    ] {
        let script = json!([{"deploy": {}}, {"start": {}}, command, {"terminate": {}}]);
        let error = parse(&script.to_string())
            .expect_err("no script")
            .to_string();
        assert!(
            error.starts_with("command 2: ") && error.contains(reason),
            "{error}"
        );
        assert_eq!(error.matches("at line").count(), 1, "{error}");
    }
    for script in ["", "{}", "[{\"deploy\": {}}", "[] []", "null"] {
        parse(script).expect_err(script);
    }
}

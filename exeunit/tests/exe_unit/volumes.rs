//! Volumes that a `deploy` asks for.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Files, Image, Setup, Unit, messages, sh};

/// An exe-unit that was told to deploy and start with these volumes, and how that went.
async fn with_volumes(volumes: Value) -> (Unit, (Files, TempDir), Vec<String>) {
    let files = Files::default();
    let image = Image::build();
    let folder = tempfile::tempdir().expect("a folder");
    let unit = Unit::start(Setup {
        task_package: Some(image.package(&files.publish("image", image.content.clone()))),
        cache: folder.path().to_owned(),
        files: files.clone(),
        deaf: false,
    });
    let script = json!([{"deploy": {"volumes": volumes}}, {"start": {}}]);
    let results = messages(&unit.run(script).await);
    (unit, (files, folder), results)
}

#[tokio::test]
async fn a_volume_in_memory_is_filled_and_emptied_and_has_its_size() {
    let (unit, (files, _cache), results) =
        with_volumes(json!({"/ram": {"ram": {"size": "4MiB"}}})).await;
    assert_eq!(results, ["Ok", "Ok"]);
    let given = files.publish("given", "from the requestor");
    let taken = Files::url("taken");
    let script = json!([
        {"transfer": {"from": given, "to": "container:/ram/sub/given"}},
        sh("cat /ram/sub/given; echo; cat /proc/self/mounts; echo back > /ram/taken"),
        {"transfer": {"from": "container:/ram/taken", "to": taken}},
        sh("head -c 5000000 /dev/zero > /ram/large"),
    ]);
    let results = unit.run(script).await;
    let told = messages(&results);
    assert_eq!(told[..3], ["Ok", "Ok", "Ok"], "{results:?}");
    assert_ne!(told[3], "Ok");
    let said = json!(results[1].stdout).to_string();
    assert!(said.contains("from the requestor"), "{said}");
    let mount = said.split("\\n").find(|line| line.contains(" /ram tmpfs"));
    let mount = mount.unwrap_or_else(|| panic!("no /ram in {said}"));
    assert!(
        mount.contains("nosuid,nodev") && mount.contains("size=4096k"),
        "{mount}"
    );
    assert_eq!(files.taken("taken").as_deref(), Some(&b"back\n"[..]));
    // What a program has made there, with whatever bits, is out of reach of this machine's other users.
    let mode = std::fs::metadata(unit.work())
        .expect("a folder")
        .permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o700
    );
    let full = json!(results[3].stderr).to_string();
    assert!(full.contains("No space left"), "{full}");
}

#[tokio::test]
async fn volumes_for_which_there_is_no_room_are_refused() {
    // 256 MiB of memory and 1 GiB of storage are agreed on.
    for (volumes, reason) in [
        (
            json!({"/ram": {"ram": {"size": "1GiB"}}}),
            "268435456 of memory are agreed on",
        ),
        (
            json!({"/data": {"storage": {"size": "2GiB"}}}),
            "1073741824 of storage are agreed on",
        ),
        (json!({"/../data": {"host": {}}}), "/../data"),
    ] {
        let (_unit, _kept, results) = with_volumes(volumes).await;
        assert!(
            results.len() == 1 && results[0].contains(reason),
            "{results:?}"
        );
    }
}

#[tokio::test]
async fn a_volume_that_outgrows_its_size_ends_the_activity() {
    let volumes = json!({"/data": {"storage": {"size": "1MiB"}}});
    let (mut unit, _kept, results) = with_volumes(volumes).await;
    assert_eq!(results, ["Ok", "Ok"]);
    let script = json!([sh("head -c 3000000 /dev/zero > /data/large; sleep 1000")]);
    let results = unit.run(script).await;
    let message = &messages(&results)[0];
    assert!(
        message.contains("bytes of the volume /data, and 1048576 are agreed on"),
        "{message}"
    );
    unit.states_until("Ready>Terminated").await;
    let (state, reason) = unit.state().await;
    assert_eq!(state, "Terminated");
    assert!(reason.is_some_and(|reason| reason.contains("the volume /data")));
}

#[tokio::test]
async fn whatever_is_in_a_volume_the_next_deploy_finds_none_of_it() {
    let (unit, _files, results) = with_volumes(json!({})).await;
    assert_eq!(results, ["Ok", "Ok"]);
    // Deeper than any path can be long, and locked.
    let script = "n=0123456789; n=$n$n$n$n$n$n$n$n$n$n; i=0; \
                  while [ $i -lt 50 ]; do mkdir $n && cd -P $n || exit 1; i=$((i+1)); done; \
                  echo x > file; chmod 0 . /golem/in/$n";
    unit.sh(script).await;
    let script = json!([{"terminate": {}}, {"deploy": {}}, {"start": {}}]);
    assert_eq!(messages(&unit.run(script).await), ["Ok"; 3]);
    assert_eq!(unit.sh("ls").await, "");
}

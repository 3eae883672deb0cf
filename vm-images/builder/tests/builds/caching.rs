//! The cache: what is built once is not built again, and what is not finished is not there.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
};

use builder::Event;

use crate::place::{Place, Recorder, until};

const TEXT: &str = "COPY a.txt /\nLABEL a=b";

fn place() -> Place {
    let place = Place::new();
    place.write("a.txt", "a");
    place
}

#[tokio::test]
async fn a_second_build_finds_the_image_and_does_nothing() {
    let place = place();
    let (first, second) = (Recorder::default(), Recorder::default());
    let built = place.build(TEXT).run(&first).await.unwrap();
    let found = place.build(TEXT).run(&second).await.unwrap();
    assert!(built.is_new() && !found.is_new());
    assert_eq!((built.path(), built.hash()), (found.path(), found.hash()));
    assert_eq!(gvmi::Hash::of_file(built.path()).unwrap(), built.hash());
    assert!(
        built
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("context-")
    );

    let step = |number, text: &str| Event::Step {
        number,
        total: 2,
        text: text.into(),
    };
    let ready = |is_new| Event::Ready {
        path: built.path().into(),
        is_new,
    };
    let expected = [
        step(1, "COPY a.txt /"),
        step(2, "LABEL a=b"),
        Event::Packing,
        ready(true),
    ];
    assert_eq!(first.events(), expected);
    assert_eq!(second.events(), [ready(false)]);
}

#[tokio::test]
async fn whatever_decides_the_contents_makes_another_image() {
    let place = place();
    let first = place.build(TEXT).run(&()).await.unwrap();
    let mut paths = vec![first.path().to_owned()];
    place.write("a.txt", "b");
    paths.push(place.build(TEXT).run(&()).await.unwrap().path().into());
    place.write_with_mode("a.txt", 0o755, "a");
    paths.push(place.build(TEXT).run(&()).await.unwrap().path().into());
    paths.push(
        place
            .build("COPY a.txt /\nLABEL a=c")
            .run(&())
            .await
            .unwrap()
            .path()
            .into(),
    );
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 4);
    assert_eq!(place.cached().len(), 4);

    // Neither the time of a file nor what is not copied decides anything.
    place.write("a.txt", "a");
    place.write("other", "other");
    assert!(!place.build(TEXT).run(&()).await.unwrap().is_new());
}

#[tokio::test]
async fn the_same_image_is_the_same_everywhere() {
    let (one, other) = (place(), place());
    let (first, second) = tokio::join!(one.build(TEXT).run(&()), other.build(TEXT).run(&()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.hash(), second.hash());
    assert_eq!(first.path().file_name(), second.path().file_name());
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_at_the_same_time_do_not_disturb_each_other() {
    let place = place();
    place.programs(&["sh"]);
    let text = "COPY rootfs a.txt /\nRUN [\"/bin/sh\", \"-c\", \"echo $$ $0 >/by\"]";
    let builds = (0..6).map(|_| tokio::spawn(async_build(place.build(text))));
    let images = futures::future::join_all(builds).await;
    let images: Vec<_> = images.into_iter().map(Result::unwrap).collect();
    for image in &images {
        assert_eq!(image.path(), images[0].path());
        assert_eq!(gvmi::Hash::of_file(image.path()).unwrap(), image.hash());
    }
    assert_eq!(place.cached().len(), 1);
}

async fn async_build(build: builder::Build) -> builder::BuiltImage {
    build.run(&()).await.unwrap()
}

#[tokio::test]
async fn a_damaged_image_is_built_again() {
    let place = place();
    let image = place.build(TEXT).run(&()).await.unwrap();
    for damage in [&b""[..], b"hsqs", &fs::read(image.path()).unwrap()[..4000]] {
        fs::write(image.path(), damage).unwrap();
        let again = place.build(TEXT).run(&()).await.unwrap();
        assert!(again.is_new());
        assert_eq!((again.path(), again.hash()), (image.path(), image.hash()));
        assert_eq!(place.cached().len(), 1);
    }
}

#[tokio::test]
async fn what_a_killed_build_has_left_is_removed_by_the_next() {
    let place = place();
    let remains = place.cache().join(".building-killed/tree/locked");
    fs::create_dir_all(&remains).unwrap();
    fs::write(remains.join("file"), "").unwrap();
    fs::set_permissions(&remains, PermissionsExt::from_mode(0o500)).unwrap();
    let another = File::create(place.cache().join(".lock")).unwrap();

    another.lock_shared().unwrap();
    place.build(TEXT).run(&()).await.unwrap();
    assert!(
        remains.exists(),
        "another build is under way; it may be its"
    );

    another.unlock().unwrap();
    place.build("LABEL a=c").run(&()).await.unwrap();
    assert!(!remains.exists());
    assert_eq!(place.cached().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_given_up_leaves_nothing() {
    let place = place();
    place.programs(&["sh", "sleep"]);
    // No other process has this argument.
    let marker = format!("31{:07}", std::process::id());
    let script = format!("echo at work; while :; do echo x >>/log; sleep {marker}; done");
    let text = format!(
        "COPY rootfs /\nRUN {}",
        serde_json::json!(["/bin/sh", "-c", script])
    );
    let recorder = Recorder::default();
    let at_work = || recorder.events().contains(&Event::Output("at work".into()));
    tokio::select! {
        outcome = place.build(&text).run(&recorder) => panic!("{outcome:?}"),
        () = until("the program at work", || at_work() && runs(&marker)) => {}
    }
    until("the end of the program", || !runs(&marker)).await;
    until("the end of what was built", || place.cached().is_empty()).await;
}

/// Whether a program runs with this last argument.
fn runs(argument: &str) -> bool {
    let last = format!("\0{argument}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|process| process.path().join("cmdline"))
        .any(|path| fs::read_to_string(path).is_ok_and(|arguments| arguments.ends_with(&last)))
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_named() {
    let place = place();
    fs::write(place.cache(), "no folder").unwrap();
    let error = place.build(TEXT).run(&()).await.unwrap_err();
    let message = place.shortened(&error);
    assert!(message.contains("cannot create the folder "), "{message}");
    assert!(message.contains("cache: File exists"), "{message}");
}

//! `RUN`, in the sandbox.

use builder::{BuildError, Event, RunError, StepError};
use exeunit::sandbox::ExitStatus;

use crate::place::{Item, Place, Recorder};

fn place() -> Place {
    let place = Place::new();
    place.programs(&["sh", "cat", "chmod", "env", "mkdir", "rm", "sleep", "stat"]);
    place
}

/// `RUN` of a shell script.
fn script(text: &str) -> String {
    format!("RUN {}", serde_json::json!(["/bin/sh", "-c", text]))
}

#[tokio::test]
async fn what_programs_write_is_in_the_image() {
    let place = place();
    let text = format!(
        "COPY rootfs /\nENV greeting=hello PATH=/bin\nWORKDIR /work\n{}\nENV greeting=bye\n{}",
        script("echo $greeting >first; mkdir -p /new; cat first >/new/second; rm /bin/rm"),
        "RUN [\"sh\", \"-c\", \"cat first; echo $greeting >third; chmod 700 third; env >env\"]",
    );
    let recorder = Recorder::default();
    let image = place.build(&text).run(&recorder).await.unwrap();
    let contents = place.contents_of(&image);
    assert_eq!(contents.text("work/first"), "hello\n");
    assert_eq!(contents.text("new/second"), "hello\n");
    assert_eq!(
        contents.items["work/third"],
        Item::File(0o700, "bye\n".into())
    );
    assert!(!contents.items.contains_key("bin/rm"));
    let env = contents.text("work/env");
    assert!(
        env.contains("greeting=bye\n") && env.contains("PATH=/bin\n"),
        "{env}"
    );
    assert!(
        !env.contains("CARGO"),
        "nothing of the host's environment: {env}"
    );
    assert!(recorder.events().contains(&Event::Output("hello".into())));
}

#[tokio::test]
async fn all_that_was_copied_is_the_programs_own() {
    let place = place();
    place.write_with_mode("setuid", 0o4711, "");
    let owners = script(
        "stat -c '%u:%g %a' /setuid / /bin/sh >/owners; echo changed >>/setuid; chmod 4711 /setuid",
    );
    let text = format!(
        "COPY rootfs /\nCOPY setuid /\n{owners}\nCOPY setuid /later\n{}",
        script("stat -c %a /setuid /later >/modes")
    );
    let contents = place.contents(&text).await;
    assert_eq!(contents.text("owners"), "0:0 4711\n0:0 755\n0:0 755\n");
    assert_eq!(contents.text("modes"), "4711\n4711\n");
    assert_eq!(contents.text("setuid"), "changed\n");
}

#[tokio::test]
async fn what_is_left_running_writes_no_more() {
    let place = place();
    let text = format!(
        "COPY rootfs /\n{}\n{}",
        script(
            "(while :; do echo x >>/log; done) >/dev/null 2>&1 & while ! [ -s /log ]; do :; done"
        ),
        script("cat /log >/one; sleep 0.05; cat /log >/other"),
    );
    let contents = place.contents(&text).await;
    assert!(contents.text("one").starts_with("x\n"));
    assert!(
        contents.text("one") == contents.text("other"),
        "something wrote on"
    );
}

#[tokio::test]
async fn a_program_that_fails_is_named_with_its_output() {
    let place = place();
    let failing = script("echo out; echo err >&2; exit 3");
    let text = format!("COPY rootfs /\n{failing}\nCOPY never /");
    place.write("never", "");
    let error = place.build(&text).run(&()).await.unwrap_err();
    place.check_that_nothing_is_left();
    let message = place.shortened(&error);
    let expected =
        format!("context/Dockerfile:3: {failing}: it ended with exit code 3; its output:\n");
    let output = message
        .strip_prefix(&expected)
        .unwrap_or_else(|| panic!("{message}"));
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["    err", "    out"]);
    let BuildError::Step { source, .. } = error else {
        panic!("{error:?}");
    };
    let StepError::Run(RunError::Failed { status, .. }) = *source else {
        panic!("{source:?}");
    };
    assert_eq!(status, ExitStatus::Code(3));
}

#[tokio::test]
async fn all_ways_to_fail_are_told_apart() {
    let place = place();
    place.write_with_mode("rootfs/data", 0o644, "no program");
    let cases = [
        (
            script("kill -9 $$"),
            "it was killed by signal 9 and has written nothing",
        ),
        (
            "RUN [\"/none\", \"x\"]".to_owned(),
            "/none: no such program",
        ),
        ("RUN [\"none\"]".to_owned(), "none: no such program"),
        ("RUN [\"/data\"]".to_owned(), "/data: not executable"),
        (
            script("i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; done; exit 1"),
            "the last lines of its output:\n    31\n",
        ),
    ];
    for (instruction, why) in cases {
        let failure = place
            .failure(&format!("COPY rootfs /\n{instruction}"))
            .await;
        assert!(
            failure.starts_with("context/Dockerfile:3: RUN "),
            "{failure}"
        );
        assert!(failure.contains(why), "{failure:?} does not say {why:?}");
    }
}

#[tokio::test]
async fn what_programs_lock_can_still_be_removed() {
    let place = place();
    let lock = script("mkdir -p /a/b; echo x >/a/b/c; chmod 0 /a/b; chmod 500 /a; exit 1");
    place.failure(&format!("COPY rootfs /\n{lock}")).await;
}

#[tokio::test]
async fn without_a_program_for_the_sandbox_nothing_runs() {
    let place = place();
    let text = "FROM scratch\nCOPY rootfs /\nRUN [\"/bin/env\"]";
    let dockerfile = builder::Dockerfile::parse(place.context().join("Dockerfile"), text).unwrap();
    let error = builder::Build::new(dockerfile)
        .cache(place.cache())
        .run(&())
        .await
        .unwrap_err();
    assert!(
        place
            .shortened(&error)
            .contains("put `exeunit::enter();` first in its `main`"),
        "{error:?}"
    );
    place.check_that_nothing_is_left();
}

//! What does not start, and what is said of it.

use std::fs;

use exeunit::{
    Program,
    sandbox::{Command, Root, RunError, Sandbox, SandboxConfig, SandboxError, Volume},
};

use crate::fixture::{config, overlay, programs, start, write};

#[tokio::test]
async fn a_program_that_does_not_start_says_why() {
    let image = programs();
    write(&image, "/bin/text", 0o644, b"no program");
    write(&image, "/bin/noise", 0o755, b"\x01\x02\x03\x04");
    write(&image, "/bin/script", 0o755, b"#!/usr/bin/python3 -u\n");
    let loader = fs::read(image.at("/bin/sh")).expect("a shell");
    write(&image, "/alone/bin/sh", 0o755, &loader);
    let cases = [
        ("/bin/none", 127, "/bin/none: no such program"),
        ("none", 127, "none: no such program"),
        ("/bin/sh/none", 127, "/bin/sh/none: no such program"),
        ("/bin/text", 126, "/bin/text: not executable"),
        ("/bin", 126, "/bin: not a program but a folder"),
        (
            "/bin/noise",
            126,
            "/bin/noise: not a program that this machine can run",
        ),
        (
            "/bin/script",
            127,
            "/bin/script: the program is there, but not /usr/bin/python3, which it needs",
        ),
    ];
    let sandbox = start(&image).await;
    for (program, code, reason) in cases {
        let reason = reason.to_owned();
        let refused = sandbox.run(Command::new(program)).await.err();
        assert_eq!(
            refused,
            Some(RunError::Refused { code, reason }),
            "{program}"
        );
    }
    let nowhere = Command {
        working_dir: "/nowhere".to_owned(),
        ..Command::new("/bin/sh")
    };
    let reason = "/bin/sh: there is no folder /nowhere to run it in".to_owned();
    let refused = sandbox.run(nowhere).await.err();
    assert_eq!(refused, Some(RunError::Refused { code: 126, reason }));
}

#[tokio::test]
async fn a_program_without_its_loader_says_so() {
    let image = programs();
    for folder in ["lib", "lib64", "usr"] {
        let _ = fs::remove_dir_all(image.at(folder));
    }
    let sandbox = start(&image).await;
    let refused = sandbox
        .run(Command::new("/bin/sh"))
        .await
        .expect_err("no loader");
    let reason =
        "/bin/sh: the program is there, but not the loader of its shared libraries, which it needs";
    assert_eq!(refused.to_string(), reason);
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_built_names_the_part() {
    let image = programs();
    let nowhere = || "/no/such/folder".into();
    let with_volume = |folder, path: &str| SandboxConfig {
        volumes: vec![Volume {
            folder,
            path: path.to_owned(),
        }],
        ..config(overlay(&image))
    };
    let folder = || image.at("/bin");
    let cases = [
        (
            config(Root::InPlace(nowhere())),
            "open the folder /no/such/folder",
        ),
        (
            config(Root::InPlace(image.at("/bin/sh"))),
            "open the folder",
        ),
        (
            with_volume(nowhere(), "/v"),
            "open the folder /no/such/folder",
        ),
        (with_volume(folder(), "/../v"), "mount the volume /../v"),
        (with_volume(folder(), "/bin/sh"), "mount the volume /bin/sh"),
        (
            SandboxConfig {
                hostname: "x".repeat(65),
                ..config(overlay(&image))
            },
            "set the host name",
        ),
    ];
    for (config, part) in cases {
        let error = Sandbox::start(config).await.expect_err(part);
        assert!(matches!(error, SandboxError::Build(_)), "{error:?}");
        assert!(error.to_string().contains(part), "{error}: {part}");
    }
}

#[tokio::test]
async fn a_program_that_becomes_no_sandbox_is_found_out() {
    let image = programs();
    let with = |program: &str| SandboxConfig {
        program: Program::at(program),
        ..config(overlay(&image))
    };
    let mute = Sandbox::start(with("/bin/true")).await;
    assert!(matches!(mute, Err(SandboxError::Mute { .. })), "{mute:?}");
    let none = Sandbox::start(with("/no/such/program")).await;
    assert!(matches!(none, Err(SandboxError::Launch { .. })), "{none:?}");
}

#[test]
fn a_program_that_never_entered_does_not_start_itself() {
    let error = Program::this().expect_err("this test's main is not ours");
    assert!(error.to_string().contains("exeunit::enter();"));
}

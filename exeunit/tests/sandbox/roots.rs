//! What is written where, and what is seen of the host.

use std::{fs, os::unix::fs::symlink};

use exeunit::sandbox::{Root, Sandbox, adopt};

use crate::fixture::{config, overlay, programs, sh, start, start_with_volume, stdout, write};

#[tokio::test]
async fn an_image_is_shared_and_never_written() {
    let image = programs();
    write(&image, "/etc/motd", 0o644, b"hello\n");
    adopt(image.path()).expect("the image is the caller's");
    let (one, other) = (start(&image).await, start(&image).await);
    stdout(
        &one,
        "echo changed > /etc/motd; rm /bin/ls; mkdir /new; echo > /new/file",
    )
    .await;
    assert_eq!(
        stdout(
            &one,
            "cat /etc/motd; ls_gone() { [ ! -e /bin/ls ]; }; ls_gone"
        )
        .await,
        "changed\n"
    );
    assert_eq!(
        stdout(&other, "cat /etc/motd; [ ! -e /new ]; ls /bin/ls").await,
        "hello\n/bin/ls\n"
    );
    assert_eq!(fs::read(image.at("/etc/motd")).expect("a file"), b"hello\n");
    assert!(!image.at("/proc").exists() && !image.at("/dev").exists());
}

#[tokio::test]
async fn scratch_space_has_an_end() {
    let image = programs();
    let sandbox = start(&image).await;
    for file in ["/file", "/dev/shm/file", "/dev/file"] {
        let captured = sh(
            &sandbox,
            &format!("head -c 20000000 /dev/zero > {file}; code=$?; rm {file}; exit $code"),
        )
        .await;
        assert!(
            captured.stderr.contains("No space left"),
            "{file}: {captured:?}"
        );
        assert!(!captured.status.is_success());
    }
}

#[tokio::test]
async fn a_tree_in_place_is_written() {
    let image = programs();
    let sandbox = Sandbox::start(config(Root::InPlace(image.path().to_owned())));
    let sandbox = sandbox.await.expect("a sandbox");
    stdout(&sandbox, "echo built > /result; mkdir /out; rm /bin/cat").await;
    sandbox.stop().await;
    assert_eq!(fs::read(image.at("/result")).expect("a file"), b"built\n");
    assert!(image.at("/out").is_dir() && !image.at("/bin/cat").exists());
    // What the sandbox has mounted there is not there for the host.
    for mount_point in ["/proc", "/dev"] {
        assert_eq!(
            fs::read_dir(image.at(mount_point))
                .expect("a folder")
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn a_volume_is_the_hosts_folder() {
    let (image, folder) = (programs(), tempfile::tempdir().expect("a folder"));
    fs::write(folder.path().join("in"), "from the host").expect("a file");
    let sandbox = start_with_volume(&image, folder.path(), "/golem/work").await;
    assert_eq!(
        stdout(&sandbox, "cat /golem/work/in; echo back > /golem/work/out").await,
        "from the host"
    );
    let back = fs::read(folder.path().join("out")).expect("a file");
    assert_eq!(back, b"back\n");
    let mounts = stdout(&sandbox, "cat /proc/self/mounts").await;
    let volume = mounts.lines().find(|line| line.contains(" /golem/work "));
    let options = volume.expect("it is mounted");
    assert!(
        options.contains("nosuid") && options.contains("nodev"),
        "{options}"
    );
}

#[tokio::test]
async fn a_link_in_the_image_does_not_lead_a_mount_out_of_it() {
    let image = programs();
    let outside = tempfile::tempdir().expect("a folder");
    symlink(outside.path(), image.at("/golem")).expect("a link");
    symlink("/elsewhere", image.at("/dev")).expect("a link");
    let folder = tempfile::tempdir().expect("a folder");
    // The link leads to a folder that is not in the image.
    let error = Sandbox::start(exeunit::sandbox::SandboxConfig {
        volumes: vec![exeunit::sandbox::Volume {
            folder: folder.path().to_owned(),
            path: "/golem/work".to_owned(),
        }],
        ..config(overlay(&image))
    });
    assert!(error.await.is_err());
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 0);
}

//! What a sandbox has of networks: the interfaces that it is given, and nothing else.

use std::net::Ipv4Addr;

use exeunit::sandbox::{Interface, Network, Sandbox, SandboxError};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::read,
};

use crate::fixture::{HostPrograms, config, devices, overlay, script, sh, stdout, write};

const INTERFACE: Interface = Interface {
    mac: [2, 0, 10, 9, 0, 2],
    address: Ipv4Addr::new(10, 9, 0, 2),
    prefix: 24,
};

fn image() -> HostPrograms {
    HostPrograms::copy(&["bash", "sh", "cat", "readlink"])
}

async fn start(image: &HostPrograms) -> Sandbox {
    let network = Network {
        hosts: [("db".to_owned(), "10.9.0.3".parse().expect("an address"))].into(),
        interfaces: vec![INTERFACE],
    };
    let sandbox = Sandbox::start_in(config(overlay(image)), &network);
    sandbox.await.expect("a sandbox")
}

#[tokio::test]
async fn frames_come_out_of_the_port() {
    let image = image();
    let mut sandbox = start(&image).await;
    let ports = sandbox.take_ports();
    assert_eq!(ports.len(), 1);
    assert!(sandbox.take_ports().is_empty());
    let connecting = script("exec bash -c 'exec 3<>/dev/tcp/10.9.0.3/80'");
    let connecting = sandbox.run(connecting).await.expect("a shell");

    let mut frame = [0; 2048];
    let minute = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    let mut ready = [PollFd::new(&ports[0], PollFlags::IN)];
    let count = poll(&mut ready, Some(&minute)).expect("a port");
    assert_eq!(count, 1, "no frame in a minute");
    let length = read(&ports[0], &mut frame).expect("a frame");
    // After a virtio header of 10 bytes: who has 10.9.0.3?
    let frame = &frame[10..length];
    assert_eq!(frame[..6], [0xff; 6]);
    assert_eq!(frame[6..12], INTERFACE.mac);
    assert_eq!(frame[12..14], [8, 6]);
    assert_eq!(frame[28..32], [10, 9, 0, 2]);
    assert_eq!(frame[38..42], [10, 9, 0, 3]);
    drop(connecting);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_sandbox_has_its_interface_and_no_way_out() {
    let image = image();
    let mut sandbox = start(&image).await;
    let ports = sandbox.take_ports();
    assert_eq!(devices(&sandbox).await, ["eth0", "lo"]);
    // One route: to the neighbours.
    let routes = stdout(&sandbox, "cat /proc/net/route").await;
    assert_eq!(routes.lines().count(), 2, "{routes}");
    let elsewhere = sh(&sandbox, "bash -c 'exec 3<>/dev/tcp/1.1.1.1/80'").await;
    assert!(elsewhere.stderr.contains("unreachable"), "{elsewhere:?}");
    let capabilities = stdout(&sandbox, "cat /proc/self/status").await;
    assert!(capabilities.contains("CapEff:\t0000000000000000"));
    // The namespace of the port is nobody's: the host's own devices are not in either.
    let namespace = stdout(&sandbox, "readlink /proc/self/ns/net").await;
    let hosts = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
    assert_ne!(namespace.trim(), hosts.to_string_lossy());
    drop(ports);
    // Without its port the cable is gone, and nothing else.
    assert_eq!(stdout(&sandbox, "echo alive").await, "alive\n");
    sandbox.stop().await;
}

#[tokio::test]
async fn names_are_found() {
    let image = image();
    write(&image, "etc/hosts", 0o644, b"::1 localhost\n");
    exeunit::sandbox::adopt(image.path()).expect("the folder is the caller's");
    let sandbox = start(&image).await;
    assert_eq!(
        stdout(&sandbox, "cat /etc/hosts").await,
        "10.9.0.3\tdb\n127.0.0.1\tlocalhost\n10.9.0.2\tkiln\n::1 localhost\n"
    );
    sandbox.stop().await;
    let untouched = std::fs::read_to_string(image.at("etc/hosts")).expect("the image's own");
    assert_eq!(untouched, "::1 localhost\n");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let image = image();
    let refused =
        async |network: Network| match Sandbox::start_in(config(overlay(&image)), &network).await {
            Err(SandboxError::Build(reason)) => reason,
            other => panic!("{other:?}"),
        };
    let reason = refused(Network {
        hosts: [("two names".to_owned(), "10.0.0.1".parse().unwrap())].into(),
        ..Network::default()
    })
    .await;
    assert!(
        reason.contains("\"two names\" is no name of a host"),
        "{reason}"
    );
    let reason = refused(Network {
        interfaces: vec![INTERFACE; 17],
        ..Network::default()
    })
    .await;
    assert!(
        reason.contains("17 network interfaces and volumes in memory, and there can be 16"),
        "{reason}"
    );
}

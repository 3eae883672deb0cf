//! IP packets between a requestor and an instance, with the test at the instance's end of the cable.

use std::{
    io::{IoSlice, Read},
    mem::MaybeUninit,
    net::Ipv4Addr,
    os::{
        fd::AsFd,
        unix::net::{UnixDatagram as Port, UnixStream},
    },
    time::Duration,
};

use exeunit::network::{Plug, mac};
use futures::{SinkExt, StreamExt};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::json;
use smoltcp::wire::{IpProtocol, Ipv4Packet};
use tokio::{net::UnixDatagram, time::advance};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message},
};

use crate::{
    bus::Socket,
    requestor::{Requestor, text},
    scene::Scene,
    time,
};

const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
const INSTANCE: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);
/// What is before a packet on a cable: a header of the device's, and Ethernet's.
const HEADERS: usize = 10 + 14;

/// A network in which the requestor has an address, and another node one; its id.
async fn network(requestor: &Requestor, node: &str) -> String {
    let network = requestor.post("/net-api/v1/net", json!({"ip": "192.168.7.0/24"}));
    let id = text(&network.await.ok()["id"]);
    let path = format!("/net-api/v1/net/{id}");
    let own = json!({"ip": OWN});
    requestor.post(&format!("{path}/addresses"), own).await.ok();
    let node = json!({"id": node, "ip": INSTANCE});
    requestor.post(&format!("{path}/nodes"), node).await.ok();
    id
}

async fn open(requestor: &Requestor, path: &str) -> Result<Socket, (u16, String)> {
    match connect_async(requestor.websocket_url(path)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(refusal)) => {
            let body = refusal.body().clone().unwrap_or_default();
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            Err((refusal.status().as_u16(), text(&json["message"])))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Plugs an instance in as its exe-unit does; it is unplugged when the stream is dropped.
fn plug_in(scene: &Scene, activity: &str, network: &str) -> (UnixDatagram, UnixStream) {
    let (ours, theirs) = Port::pair().unwrap();
    let mut connection = UnixStream::connect(scene.bus().with_file_name("networks")).unwrap();
    let plug = Plug {
        activity_id: activity.to_owned(),
        network_id: network.to_owned(),
        address: INSTANCE,
        mac: mac(INSTANCE),
    };
    let plug = format!("{}\n", json!(plug));
    let descriptors = [theirs.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let line = [IoSlice::new(plug.as_bytes())];
    sendmsg(&connection, &line, &mut ancillary, SendFlags::NOSIGNAL).unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"{\"Ok\":null}\n");
    ours.set_nonblocking(true).unwrap();
    (UnixDatagram::from_std(ours).unwrap(), connection)
}

/// A packet of nobody's protocol, with so much data.
fn packet(from: Ipv4Addr, to: Ipv4Addr, data: usize) -> Vec<u8> {
    let mut bytes = vec![0x5a; 20 + data];
    let length = bytes.len().try_into().unwrap();
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    packet.set_version(4);
    packet.set_header_len(20);
    packet.set_total_len(length);
    packet.clear_flags();
    packet.set_frag_offset(0);
    packet.set_hop_limit(64);
    packet.set_next_header(IpProtocol::Unknown(253));
    packet.set_src_addr(from);
    packet.set_dst_addr(to);
    packet.fill_checksum();
    bytes
}

async fn received(cable: &UnixDatagram) -> Vec<u8> {
    let mut frame = vec![0; 70_000];
    let length = cable.recv(&mut frame).await.unwrap();
    frame.truncate(length);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_pass_between_a_requestor_and_an_instance() {
    let mut scene = Scene::start().await;
    let (agreement, started, _peer) = scene.activity().await;
    let requestor = scene.requestor.clone();
    let path = format!("/market-api/v1/agreements/{agreement}");
    let provider = text(&requestor.get(&path).await.ok()["offer"]["providerId"]);
    let network = network(&requestor, &provider).await;
    for version in ["v1", "v2/vpn"] {
        let path = format!("/net-api/{version}/net/{network}/raw/from/{OWN}/to/{INSTANCE}");
        let mut socket = open(&requestor, &path).await.unwrap();
        let (cable, plugged) = plug_in(&scene, &started.activity, &network);

        // What is no packet from here to there is lost, and what comes after it is not.
        let mut short = packet(OWN, INSTANCE, 8);
        short.pop();
        let mut version_6 = packet(OWN, INSTANCE, 8);
        version_6[0] = 0x65;
        let right = packet(OWN, INSTANCE, 1480);
        for sent in [
            vec![],
            b"no packet".to_vec(),
            short,
            version_6,
            packet(INSTANCE, OWN, 8),
            packet(Ipv4Addr::new(192, 168, 7, 9), INSTANCE, 8),
            packet(OWN, Ipv4Addr::new(192, 168, 7, 9), 8),
            packet(OWN, INSTANCE, 1481),
            right.clone(),
        ] {
            socket.send(Message::binary(sent)).await.unwrap();
        }
        let frame = received(&cable).await;
        let (headers, payload) = frame.split_at(HEADERS);
        assert_eq!(payload, right);
        assert_eq!(headers[..10], [0; 10], "nothing is left to be done");
        assert_eq!(headers[10..16], mac(INSTANCE));
        assert_eq!(headers[22..], [0x08, 0x00]);
        let own = headers[16..22].to_vec();

        // The other way: what is for another address of the requestor's does not come here.
        let answer = |packet: &[u8]| {
            let headers = [&[0; 10][..], &own, &mac(INSTANCE), &[0x08, 0x00]].concat();
            [&headers, packet].concat()
        };
        let right = packet(INSTANCE, OWN, 8);
        let padded = [&right[..], &[0; 20]].concat();
        for packet in [
            b"no packet".to_vec(),
            packet(INSTANCE, Ipv4Addr::new(192, 168, 7, 9), 8),
            packet(Ipv4Addr::new(192, 168, 7, 9), OWN, 8),
            padded,
        ] {
            cable.send(&answer(&packet)).await.unwrap();
        }
        let message = socket.next().await.unwrap().unwrap();
        assert_eq!(message, Message::binary(right));
        drop((cable, plugged));
        socket.close(None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_are_exchanged_by_their_requestor_between_addresses_that_there_are() {
    let scene = Scene::start_with(|builder| builder.app_key("a", None).app_key("b", None)).await;
    let requestor = &scene.requestor;
    let other = Requestor::at(scene.node.url(), scene.node.app_keys().nth(1).unwrap().1);
    let network = network(requestor, "0x83f6cf1036a6ad09a382d45b2c6357628ca2fdb5").await;
    let raw =
        |own: &str, other: &str| format!("/net-api/v1/net/{network}/raw/from/{own}/to/{other}");
    let (own, instance, unknown) = ("192.168.7.1", "192.168.7.2", "192.168.7.9");
    for (own, other, status, problem) in [
        (
            instance,
            own,
            409,
            "192.168.7.2 is not an address of the requestor's",
        ),
        (
            unknown,
            instance,
            409,
            "192.168.7.9 is not an address of the requestor's",
        ),
        (own, unknown, 404, "has the address 192.168.7.9"),
        (own, own, 404, "has the address 192.168.7.1"),
        ("x", instance, 400, "`x` is no IPv4 address"),
        (
            own,
            "10.0.0.1",
            400,
            "10.0.0.1 is not an address for a node",
        ),
    ] {
        let refused = open(requestor, &raw(own, other)).await.unwrap_err();
        assert_eq!(refused.0, status, "{refused:?}");
        assert!(refused.1.contains(problem), "{refused:?}");
    }
    let path = raw(own, instance);
    let strangers = open(&other, &path).await.unwrap_err();
    assert_eq!(strangers, (404, format!("network {network} not found")));
    assert!(requestor.get(&path).await.error(400).contains("Connection"));

    // Nobody need be there yet; and it ends with the network.
    let mut socket = open(requestor, &path).await.unwrap();
    let lost = packet(OWN, INSTANCE, 8);
    socket.send(Message::binary(lost)).await.unwrap();
    requestor
        .delete(&format!("/net-api/v1/net/{network}"))
        .await
        .ok();
    let end = socket.next().await;
    assert!(matches!(end, Some(Ok(Message::Close(_)))), "{end:?}");
}

#[tokio::test]
async fn a_client_is_asked_whether_it_is_there_and_dropped_if_it_does_not_say() {
    const PING: Duration = Duration::from_millis(5002);
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    let network = network(requestor, "0x83f6cf1036a6ad09a382d45b2c6357628ca2fdb5").await;
    let path = format!("/net-api/v1/net/{network}/raw/from/{OWN}/to/{INSTANCE}");
    let mut socket = open(requestor, &path).await.unwrap();
    let _stopped = time::stop();
    for _ in 0..5 {
        advance(PING).await;
        let message = socket.next().await.unwrap().unwrap();
        assert!(message.is_ping(), "{message}");
        // The answer has arrived when one to what comes later has.
        socket.flush().await.unwrap();
        requestor.identity().await;
    }
    advance(PING).await;
    requestor.identity().await;
    advance(PING).await;
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_ping(), "{message}");
    }
}

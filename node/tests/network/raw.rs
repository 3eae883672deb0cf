//! IP packets from the requestor to an instance, past the node's stack: its kernel answers them.

use std::{net::Ipv4Addr, ops::Range};

use anyhow::{Context, ensure};
use futures::{SinkExt, StreamExt};
use node::LocalNode;
use requestor::Network;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Bytes, Message},
};

/// The requestor's, which it has as soon as it has opened a connection.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
const IDENT: u16 = 9;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Has echo requests (pings) answered while connections to the same instance go on, and when they have ended: of these,
/// nothing comes.
pub(crate) async fn kernels_answer(
    node: &LocalNode,
    network: &Network,
    connections: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let instance = network.hosts()["peer-1"];
    let url = format!(
        "{}/net-api/v1/net/{}/raw/from/{OWN}/to/{instance}?authToken={}",
        node.url().replacen("http", "ws", 1),
        network.id(),
        node.app_key()
    );
    let (mut socket, _) = connect_async(url).await?;
    let (connections, echoes) = tokio::join!(connections, echoes(&mut socket, instance, 0..10));
    connections?;
    echoes?;
    self::echoes(&mut socket, instance, 10..20).await?;
    socket.close(None).await?;
    Ok(())
}

/// Sends requests with these numbers, and waits for the answer to each.
async fn echoes(socket: &mut Socket, to: Ipv4Addr, numbers: Range<u16>) -> anyhow::Result<()> {
    let data = [7; 1400];
    for number in numbers {
        socket
            .send(Message::binary(request(to, number, &data)))
            .await?;
        let mut answer = Message::Ping(Bytes::new());
        while !answer.is_binary() {
            answer = socket.next().await.context("the node says no more")??;
        }
        let answer = answer.into_data();
        let packet = Ipv4Packet::new_checked(&answer)?;
        ensure!(
            (packet.src_addr(), packet.dst_addr()) == (to, OWN),
            "{packet}"
        );
        ensure!(packet.next_header() == IpProtocol::Icmp, "{packet}");
        ensure!(packet.verify_checksum(), "{packet}");
        let echo = Icmpv4Packet::new_checked(packet.payload())?;
        let echo = Icmpv4Repr::parse(&echo, &ChecksumCapabilities::default())?;
        let expected = Icmpv4Repr::EchoReply {
            ident: IDENT,
            seq_no: number,
            data: &data,
        };
        ensure!(echo == expected, "{echo:?}");
    }
    Ok(())
}

fn request(to: Ipv4Addr, number: u16, data: &[u8]) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let echo = Icmpv4Repr::EchoRequest {
        ident: IDENT,
        seq_no: number,
        data,
    };
    let header = Ipv4Repr {
        src_addr: OWN,
        dst_addr: to,
        next_header: IpProtocol::Icmp,
        payload_len: echo.buffer_len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; header.buffer_len() + echo.buffer_len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    header.emit(&mut packet, &checksums);
    echo.emit(
        &mut Icmpv4Packet::new_unchecked(packet.payload_mut()),
        &checksums,
    );
    bytes
}

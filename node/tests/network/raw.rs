//! IP packets from the requestor to an instance, past the node's stack: its kernel answers them.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, ensure};
use futures::{SinkExt, StreamExt};
use node::LocalNode;
use requestor::Network;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr},
};
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// The requestor's, which it has as soon as it has opened a connection.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);

/// Sends an echo request (ping) and has it answered, while connections to the same instance go on as before.
pub(crate) async fn kernels_answer(
    node: &LocalNode,
    network: &Network,
    meanwhile: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let instance = network.hosts()["peer-1"];
    let url = format!(
        "{}/net-api/v1/net/{}/raw/from/{OWN}/to/{instance}?authToken={}",
        node.url().replacen("http", "ws", 1),
        network.id(),
        node.app_key()
    );
    let (mut socket, _) = connect_async(url).await?;
    meanwhile.await?;
    let data = [7; 1400];
    for number in 0.. {
        ensure!(number < 60, "no answer");
        socket
            .send(Message::binary(request(instance, number, &data)))
            .await?;
        let Ok(answer) = timeout(Duration::from_secs(1), socket.next()).await else {
            continue;
        };
        let answer = answer.context("the node says no more")??.into_data();
        let packet = Ipv4Packet::new_checked(&answer)?;
        ensure!((packet.src_addr(), packet.dst_addr()) == (instance, OWN));
        ensure!(packet.verify_checksum());
        let echo = Icmpv4Packet::new_checked(packet.payload())?;
        let echo = Icmpv4Repr::parse(&echo, &ChecksumCapabilities::default())?;
        let is_right =
            matches!(echo, Icmpv4Repr::EchoReply { ident: 9, data: found, .. } if found == data);
        ensure!(is_right, "{echo:?}");
        break;
    }
    socket.close(None).await?;
    Ok(())
}

fn request(to: Ipv4Addr, number: u16, data: &[u8]) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let echo = Icmpv4Repr::EchoRequest {
        ident: 9,
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

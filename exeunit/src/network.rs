//! How a sandbox becomes part of a requestor's network: its exe-unit plugs it in at the node, which carries the frames.
//!
//! ```text
//! exe-unit                                   node
//!  connects to its network socket     ─▶
//!  Plug, as a line of JSON,
//!  and with it the port's descriptor  ─▶      asks the network whether the address is the provider's
//!                                     ◀─     {"Ok": null} | {"Err": "…"}
//!  holds the connection               …       carries frames until the connection ends
//! ```
//!
//! With the descriptor, frames take the shortest way: the node reads them from one sandbox's port and writes them to
//! another's, and no exe-unit has anything to do with them.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest},
    net::UnixStream,
};

use crate::{sandbox::Interface, script::Network};

/// The environment variable that tells an exe-unit where the node's network socket is.
pub const SOCKET_VARIABLE: &str = "KILN_NETWORK_SOCKET";

/// How long a [`Plug`] is at most, in bytes.
const LONGEST: usize = 4096;

/// What an exe-unit tells the node of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plug {
    /// Whose sandbox it is.
    pub activity_id: String,
    /// Which network it is to be part of.
    pub network_id: String,
    /// Its address there.
    pub address: Ipv4Addr,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// A sandbox's place in a network, which it has until this is dropped.
#[derive(Debug)]
pub(crate) struct Plugged {
    _connection: UnixStream,
}

/// Why a sandbox is not part of a network.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlugError {
    /// Nobody would carry its frames.
    #[error("cannot join network {network}: this exe-unit's node carries no networks")]
    NoNode { network: String },
    /// The node cannot be spoken to.
    #[error("cannot join network {network} at {}", .socket.display())]
    Socket {
        network: String,
        socket: PathBuf,
        source: io::Error,
    },
    /// The node does not want to.
    #[error("cannot join network {network}: {reason}")]
    Refused { network: String, reason: String },
}

impl PlugError {
    pub(crate) fn no_node(network: &str) -> Self {
        Self::NoNode {
            network: network.to_owned(),
        }
    }
}

/// What a script says of a network that makes no sense, or cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("network {network}: {reason}")]
pub(crate) struct NetworkError {
    network: String,
    reason: String,
}

/// The interface that a sandbox needs for a network.
pub(crate) fn interface(network: &Network) -> Result<Interface, NetworkError> {
    let wrong = |reason: String| NetworkError {
        network: network.id.clone(),
        reason,
    };
    let read = |what: &str, text: &str| {
        let address: Result<Ipv4Addr, _> = text.parse();
        address.map_err(|_| wrong(format!("its {what}, {text:?}, is no IPv4 address")))
    };
    let (base, length) = match network.ip.split_once('/') {
        Some((base, length)) => (base, Some(length)),
        None => (network.ip.as_str(), None),
    };
    let base = read("address", base)?;
    let prefix = match (&network.mask, length) {
        (Some(mask), _) => {
            let bits = read("mask", mask)?.to_bits();
            match bits.leading_ones() == bits.count_ones() {
                true => bits.leading_ones(),
                false => return Err(wrong(format!("its mask, {mask}, has holes"))),
            }
        }
        (None, Some(length)) => {
            let length: Option<u32> = length.parse().ok().filter(|length| *length <= 32);
            length.ok_or_else(|| wrong(format!("{} is no network", network.ip)))?
        }
        // As large as most networks are.
        (None, None) => 24,
    };
    let address = read("node's address", &network.node_ip)?;
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    if address.to_bits() & mask != base.to_bits() & mask {
        return Err(wrong(format!(
            "the node's address, {address}, is not in {base}/{prefix}"
        )));
    }
    Ok(Interface {
        mac: mac(address),
        address,
        prefix: prefix.to_le_bytes()[0],
    })
}

/// The hardware address that goes with an address of a network: of those that nobody has made, the one that it numbers.
pub fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x4b, a, b, c, d]
}

/// Has the node at a socket carry the frames of a port.
pub(crate) async fn plug_in(
    socket: &Path,
    plug: &Plug,
    port: OwnedFd,
) -> Result<Plugged, PlugError> {
    let network = plug.network_id.clone();
    let answer = ask(socket, plug, port).await;
    let answer = answer.map_err(|source| PlugError::Socket {
        network: network.clone(),
        socket: socket.to_owned(),
        source,
    });
    match answer? {
        (connection, Ok(())) => Ok(Plugged {
            _connection: connection,
        }),
        (_, Err(reason)) => Err(PlugError::Refused { network, reason }),
    }
}

type Answer = Result<(), String>;

async fn ask(socket: &Path, plug: &Plug, port: OwnedFd) -> io::Result<(UnixStream, Answer)> {
    let connection = UnixStream::connect(socket).await?;
    let mut line = serde_json::to_vec(plug)?;
    line.push(b'\n');
    let sent = connection
        .async_io(Interest::WRITABLE, || {
            let descriptors = [port.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let fits = ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
            debug_assert!(fits, "the space is for one descriptor");
            let line = [IoSlice::new(&line)];
            Ok(sendmsg(
                &connection,
                &line,
                &mut ancillary,
                SendFlags::NOSIGNAL,
            )?)
        })
        .await?;
    if sent != line.len() {
        return Err(io::Error::from(io::ErrorKind::WriteZero));
    }
    let mut connection = BufReader::new(connection);
    let mut answer = String::new();
    connection.read_line(&mut answer).await?;
    let answer = serde_json::from_str(&answer)?;
    Ok((connection.into_inner(), answer))
}

/// Takes in what an exe-unit has to say when it connects to a node: the node's side of the [`Plug`].
pub async fn receive_plug(connection: &UnixStream) -> io::Result<(Plug, OwnedFd)> {
    let (line, port) = connection
        .async_io(Interest::READABLE, || {
            let mut line = vec![0; LONGEST];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(
                connection,
                &mut [IoSliceMut::new(&mut line)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            )?;
            line.truncate(received.bytes);
            let port = ancillary.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                _ => None,
            });
            Ok((line, port))
        })
        .await?;
    let port = port.ok_or_else(|| io::Error::other("no port has come with it"))?;
    Ok((serde_json::from_slice(&line)?, port))
}

/// Answers an exe-unit.
pub async fn answer_plug(
    connection: &mut UnixStream,
    answer: &Result<(), String>,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    connection.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(ip: &str, mask: Option<&str>, node_ip: &str) -> Network {
        Network {
            id: "n".to_owned(),
            ip: ip.to_owned(),
            mask: mask.map(str::to_owned),
            gateway: None,
            node_ip: node_ip.to_owned(),
            nodes: [].into(),
        }
    }

    #[test]
    fn a_network_makes_an_interface() {
        for (ip, mask, node_ip, prefix) in [
            ("192.168.9.0", Some("255.255.255.0"), "192.168.9.2", 24),
            ("192.168.9.0/24", None, "192.168.9.254", 24),
            ("10.0.0.0/8", Some("255.0.0.0"), "10.1.2.3", 8),
            ("10.1.0.0", Some("255.255.0.0"), "10.1.2.3", 16),
            ("10.0.0.0", None, "10.0.0.3", 24),
        ] {
            let interface = interface(&network(ip, mask, node_ip)).expect(ip);
            assert_eq!(interface.prefix, prefix, "{ip}");
            assert_eq!(interface.address.to_string(), node_ip);
            assert_eq!(interface.mac[2..], interface.address.octets());
        }
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        for (ip, mask, node_ip, reason) in [
            (
                "x",
                None,
                "10.0.0.1",
                "its address, \"x\", is no IPv4 address",
            ),
            (
                "fd00::",
                None,
                "fd00::1",
                "its address, \"fd00::\", is no IPv4",
            ),
            ("10.0.0.0/33", None, "10.0.0.1", "10.0.0.0/33 is no network"),
            ("10.0.0.0", Some("255.0.255.0"), "10.0.0.1", "has holes"),
            (
                "10.0.0.0/24",
                None,
                "10.0.1.1",
                "10.0.1.1, is not in 10.0.0.0/24",
            ),
            (
                "10.0.0.0",
                None,
                "me",
                "its node's address, \"me\", is no IPv4",
            ),
        ] {
            let error = interface(&network(ip, mask, node_ip)).expect_err(ip);
            let error = error.to_string();
            assert!(
                error.contains(reason) && error.starts_with("network n"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_port_is_plugged_in_or_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let plug = Plug {
            activity_id: "a".to_owned(),
            network_id: "n".to_owned(),
            address: Ipv4Addr::new(10, 0, 0, 2),
            mac: mac(Ipv4Addr::new(10, 0, 0, 2)),
        };
        let port = || {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
            (ours, OwnedFd::from(theirs))
        };
        let serve = |answer: Answer| {
            let listener = &listener;
            async move {
                let (mut connection, _) = listener.accept().await.expect("an exe-unit");
                let received = receive_plug(&connection).await.expect("a plug");
                answer_plug(&mut connection, &answer).await.expect("heard");
                (connection, received)
            }
        };
        let (mut ours, theirs) = port();
        let (plugged, (connection, (received, descriptor))) =
            tokio::join!(plug_in(&path, &plug, theirs), serve(Ok(())));
        let plugged = plugged.expect("it is let in");
        assert_eq!(received, plug);
        // It is the same port.
        io::Write::write_all(
            &mut std::os::unix::net::UnixStream::from(descriptor),
            b"frame",
        )
        .expect("written");
        let mut frame = [0; 5];
        io::Read::read_exact(&mut ours, &mut frame).expect("a frame");
        assert_eq!(&frame, b"frame");
        // The node learns of the end.
        drop(plugged);
        connection.readable().await.expect("the end");

        let refusal = Err("there is no such network".to_owned());
        let (refused, _) = tokio::join!(plug_in(&path, &plug, port().1), serve(refusal));
        assert_eq!(
            refused.expect_err("refused").to_string(),
            "cannot join network n: there is no such network"
        );
    }
}

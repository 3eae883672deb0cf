//! The network interfaces of a sandbox, each with a port for whoever carries its frames.
//!
//! ```text
//!  namespace of the sandbox            namespace of nobody
//!  ┌──────────────────────┐            ┌─────────────────────────┐
//!  │ programs ── eth0 ────┼── cable ───┼── port0 ── packet socket ──▶ given to the host
//!  └──────────────────────┘            └─────────────────────────┘
//! ```
//!
//! Both ends of the cable (a veth pair) are made without any privilege outside the sandbox's own user namespace. The far
//! end lies in a namespace in which there is nothing but it; what comes out of the cable there is handed over as a packet
//! socket, whose frames begin with a `struct virtio_net_hdr`: the kernel leaves checksums and the cutting into
//! segments to whoever takes the frames, so that there are few of them, and large. When the socket is closed, that
//! namespace and the cable are gone.

use std::{
    fs::File,
    io,
    mem::size_of_val,
    net::Ipv4Addr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::{
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socket_with,
    },
    stdio::stdout,
    thread::{UnshareFlags, unshare_unsafe},
};

use super::{
    netlink::{Device, Netlink},
    wire,
};

/// How many interfaces a sandbox has at most.
pub(super) const MOST: usize = 16;

/// The largest packet on a cable; as everywhere.
const MTU: u32 = 1500;

/// How much may wait in a port, either way, in bytes, as far as the system lets it.
const ROOM: usize = 4 << 20;

/// How sockets for packets count kinds of frames: all.
const ALL_FRAMES: u16 = (libc::ETH_P_ALL as u16).to_be();

/// Makes the interfaces in a new network namespace, moves this single-threaded process into it, and returns the ports.
///
/// The process must be in a network namespace of its own, without any device, which the ports keep.
pub(super) fn connect(interfaces: &[wire::Interface]) -> io::Result<Vec<OwnedFd>> {
    let far = Netlink::open()?;
    let ports = interfaces
        .iter()
        .map(|_| packet_socket())
        .collect::<io::Result<Vec<_>>>()?;
    // SAFETY: what is unsafe is to part a thread from its process's descriptor table (CLONE_FILES), which is not asked for.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
    let namespace = File::open("/proc/self/ns/net")?;
    let near = Netlink::open()?;
    for ((number, interface), port) in interfaces.iter().enumerate().zip(&ports) {
        // The first is the loopback device.
        let index = 2 + u32::try_from(number).expect("they are few");
        let mac = <[u8; 6]>::try_from(&interface.mac[..])
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let prefix = u8::try_from(interface.prefix)
            .ok()
            .filter(|prefix| *prefix <= 32)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let device = |name, mac| Device {
            index,
            name,
            mtu: MTU,
            mac,
        };
        far.connect(
            &device(&format!("port{number}"), None),
            &device(&format!("eth{number}"), Some(mac)),
            &namespace,
        )?;
        far.raise_mute(index)?;
        bind(port, index)?;
        near.raise(index, Ipv4Addr::from_bits(interface.address), prefix)?;
    }
    Ok(ports)
}

/// Hands files to the host, through what is standard output for other programs.
pub(super) fn hand_over(files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let byte = [io::IoSlice::new(&[0])];
    sendmsg(stdout(), &byte, &mut ancillary, SendFlags::empty())?;
    Ok(())
}

/// Takes the files that the launcher has sent, so many; on the host's side.
pub(super) fn take(launcher: impl AsFd, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        launcher,
        &mut [io::IoSliceMut::new(&mut byte)],
        &mut ancillary,
        flags,
    )?;
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let ports: Vec<OwnedFd> = descriptors.flatten().collect();
    match ports.len() == count {
        true => Ok(ports),
        false => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// A socket for the frames of a device, of none yet.
fn packet_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Protocol 0 is no kind of frame: nothing is received before it is bound.
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
    set_packet_option(&socket, libc::PACKET_VNET_HDR)?;
    set_packet_option(&socket, libc::PACKET_IGNORE_OUTGOING)?;
    // More than the system allows is cut down to that.
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, ROOM)?;
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, ROOM)?;
    Ok(socket)
}

fn set_packet_option(socket: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and `on` lives past the call, which only reads as many bytes of it as it is told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Binds a packet socket to a device of the namespace that it was made in.
fn bind(socket: &OwnedFd, index: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ALL_FRAMES,
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the descriptor is open, and `address` lives past the call, which only reads as many bytes of it as it is told.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

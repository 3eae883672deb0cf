//! Network devices of a namespace: the little of the kernel's routing protocol (rtnetlink) that sandboxes need.

use std::{
    io::{Error, ErrorKind, Result},
    net::Ipv4Addr,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, send, socket};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;

const IFF_UP: u32 = 1;
const IFF_NOARP: u32 = 0x80;

const AF_INET: u8 = 2;
const AF_INET6: u16 = 10;

/// The loopback device is the first of every network namespace.
const LOOPBACK: u32 = 1;

/// One end of a cable: what a device is called, by the kernel and by people, and what it is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Device<'a> {
    pub(super) index: u32,
    pub(super) name: &'a str,
    pub(super) mtu: u32,
    /// One that the kernel makes up, if none is given.
    pub(super) mac: Option<[u8; 6]>,
}

/// A connection to the kernel, for the network namespace that this process was in when it was made.
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    pub(super) fn open() -> Result<Self> {
        // The protocol by default, 0, is NETLINK_ROUTE.
        Ok(Self(socket(AddressFamily::NETLINK, SocketType::RAW, None)?))
    }

    /// Switches the loopback device on.
    pub(super) fn raise_loopback(&self) -> Result<()> {
        self.ask(RTM_NEWLINK, 0, &link(LOOPBACK, IFF_UP))
    }

    /// Lays a cable from a device in this namespace to one in another.
    pub(super) fn connect(
        &self,
        here: &Device<'_>,
        there: &Device<'_>,
        namespace: impl AsFd,
    ) -> Result<()> {
        let descriptor = namespace.as_fd().as_raw_fd().cast_unsigned();
        let peer = [
            link(there.index, 0),
            describe(there),
            attribute(IFLA_NET_NS_FD, &descriptor.to_ne_bytes()),
        ];
        let info = [
            attribute(IFLA_INFO_KIND, b"veth\0"),
            attribute(IFLA_INFO_DATA, &attribute(VETH_INFO_PEER, &peer.concat())),
        ];
        let message = [
            link(here.index, 0),
            describe(here),
            attribute(IFLA_LINKINFO, &info.concat()),
        ];
        self.ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &message.concat())
    }

    /// Switches a device on that the kernel itself has nothing to say through.
    pub(super) fn raise_mute(&self, index: u32) -> Result<()> {
        self.keep_from_ipv6(index);
        self.ask(RTM_NEWLINK, 0, &link(index, IFF_UP | IFF_NOARP))
    }

    /// Gives a device its address, one of `prefix` leading bits in common with its neighbours, and switches it on.
    pub(super) fn raise(&self, index: u32, address: Ipv4Addr, prefix: u8) -> Result<()> {
        self.keep_from_ipv6(index);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let broadcast = address.to_bits() | !mask;
        let message = [
            [AF_INET, prefix, 0, 0].to_vec(),
            index.to_ne_bytes().to_vec(),
            attribute(IFA_LOCAL, &address.octets()),
            attribute(IFA_ADDRESS, &address.octets()),
            attribute(IFA_BROADCAST, &broadcast.to_be_bytes()),
        ];
        self.ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message.concat())?;
        self.ask(RTM_NEWLINK, 0, &link(index, IFF_UP))
    }

    /// Keeps a device from giving itself an address of IPv6, and from looking for routers.
    fn keep_from_ipv6(&self, index: u32) {
        let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
        let message = [
            link(index, 0),
            attribute(IFLA_AF_SPEC, &attribute(AF_INET6, &mode)),
        ];
        // A kernel without IPv6 refuses this, and needs it not.
        let _ = self.ask(RTM_NEWLINK, 0, &message.concat());
    }

    /// Sends a request and waits for its acknowledgement.
    fn ask(&self, kind: u16, flags: u16, message: &[u8]) -> Result<()> {
        send(&self.0, &request(kind, flags, message), SendFlags::empty())?;
        let mut answer = [0; 4096];
        let (length, _) = recv(&self.0, &mut answer, RecvFlags::empty())?;
        // An error message: its header of 16 bytes, then an errno, negative or 0.
        match answer[..length].get(16..20) {
            Some([0, 0, 0, 0]) => Ok(()),
            Some(&[a, b, c, d]) => Err(Error::from_raw_os_error(
                i32::from_ne_bytes([a, b, c, d]).wrapping_neg(),
            )),
            _ => Err(Error::from(ErrorKind::UnexpectedEof)),
        }
    }
}

/// A `struct nlmsghdr` and what it is the header of.
fn request(kind: u16, flags: u16, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + message.len()).expect("a request is short");
    let (sequence, port): (u32, u32) = (1, 0);
    [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &port.to_ne_bytes(),
        message,
    ]
    .concat()
}

/// A `struct ifinfomsg` that sets flags of a device.
fn link(index: u32, flags: u32) -> Vec<u8> {
    let (family_and_padding, device_type): (u16, u16) = (0, 0);
    [
        &family_and_padding.to_ne_bytes()[..],
        &device_type.to_ne_bytes(),
        &index.to_ne_bytes(),
        &flags.to_ne_bytes(),
        &flags.to_ne_bytes(),
    ]
    .concat()
}

fn describe(device: &Device<'_>) -> Vec<u8> {
    let mut name = device.name.as_bytes().to_vec();
    name.push(0);
    let mut attributes = attribute(IFLA_IFNAME, &name);
    attributes.extend(attribute(IFLA_MTU, &device.mtu.to_ne_bytes()));
    if let Some(mac) = device.mac {
        attributes.extend(attribute(IFLA_ADDRESS, &mac));
    }
    attributes
}

/// A `struct rtattr` and its value, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("an attribute is short");
    let mut attribute = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_length_is_not() {
        assert_eq!(
            attribute(3, b"ab\0"),
            [&7_u16.to_ne_bytes()[..], &3_u16.to_ne_bytes(), b"ab\0\0"].concat()
        );
        let request = request(RTM_NEWLINK, 0, &link(LOOPBACK, IFF_UP));
        assert_eq!(request.len(), 32);
        assert_eq!(request[..4], 32_u32.to_ne_bytes());
    }
}

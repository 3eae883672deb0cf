//! The loopback device of a new network namespace, which begins switched off.

use std::io::{Error, ErrorKind, Result};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, send, socket};

const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const IFF_UP: u32 = 1;
/// The loopback device is the first of every network namespace.
const LOOPBACK_INDEX: i32 = 1;

/// Switches the loopback device on.
pub(super) fn raise() -> Result<()> {
    // The protocol by default, 0, is NETLINK_ROUTE.
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    send(&socket, &request(), SendFlags::empty())?;
    let mut answer = [0; 64];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    // An error message: its header of 16 bytes, then an errno, negative or 0.
    match answer[..length].get(16..20) {
        Some([0, 0, 0, 0]) => Ok(()),
        Some(&[a, b, c, d]) => Err(Error::from_raw_os_error(
            i32::from_ne_bytes([a, b, c, d]).wrapping_neg(),
        )),
        _ => Err(Error::from(ErrorKind::UnexpectedEof)),
    }
}

/// A `struct nlmsghdr` and a `struct ifinfomsg` that sets `IFF_UP`.
fn request() -> Vec<u8> {
    let length: u32 = 32;
    let (sequence, port): (u32, u32) = (1, 0);
    let (family_and_padding, device_type): (u16, u16) = (0, 0);
    [
        &length.to_ne_bytes()[..],
        &RTM_NEWLINK.to_ne_bytes(),
        &(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &port.to_ne_bytes(),
        &family_and_padding.to_ne_bytes(),
        &device_type.to_ne_bytes(),
        &LOOPBACK_INDEX.to_ne_bytes(),
        &IFF_UP.to_ne_bytes(),
        &IFF_UP.to_ne_bytes(),
    ]
    .concat()
}

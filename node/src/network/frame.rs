//! Ethernet frames as they come out of a sandbox: each with a `struct virtio_net_hdr` before it.
//!
//! The header says what the sender's kernel has left undone: the checksum, and the cutting of a large packet into
//! segments. Another kernel takes such a frame as it is. Where frames of the usual size are needed, that is done here.

use smoltcp::wire::EthernetAddress;

/// The length of the header before each frame.
pub(super) const HEADER: usize = 10;
/// The longest frame, with the header.
pub(super) const LONGEST: usize = HEADER + ETHERNET + 65536;
/// The largest IP packet that crosses a cable as it is.
pub(super) const MTU: usize = 1500;

const ETHERNET: usize = 14;
const IPV4: u16 = 0x0800;
const TCP: u8 = 6;
/// The length of a TCP and of an IPv4 header without options.
const TCP_HEADER: usize = 20;
const IPV4_HEADER: usize = 20;

/// The rest of a checksum is to be computed.
const NEEDS_CHECKSUM: u8 = 1;
const NOT_CUT: u8 = 0;
const CUT_TCPV4: u8 = 1;
const CUT_UDP: u8 = 5;
/// A flag beside how to cut: congestion is to be told.
const ECN: u8 = 0x80;

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// Whom a frame is for, and whose it is; none if it is no frame.
pub(super) fn addresses(frame: &[u8]) -> Option<(EthernetAddress, EthernetAddress)> {
    let frame = frame.get(HEADER..)?;
    let destination = EthernetAddress::from_bytes(frame.get(..6)?);
    let source = EthernetAddress::from_bytes(frame.get(6..12)?);
    frame.get(12..ETHERNET)?;
    Some((destination, source))
}

/// A frame in the form that it would have on a wire: no header says that anything is left to be done, and none is larger
/// than usual. Empty if the header makes no sense.
pub(super) fn segments(frame: &[u8]) -> Vec<Vec<u8>> {
    let Some(header) = Header::read(frame) else {
        return Vec::new();
    };
    match header.cut & !ECN {
        NOT_CUT => {
            let mut whole = frame.to_vec();
            whole[..HEADER].fill(0);
            let is_done = header.flags & NEEDS_CHECKSUM == 0
                || complete(&mut whole[HEADER..], header.start, header.offset).is_some();
            if is_done { vec![whole] } else { Vec::new() }
        }
        CUT_TCPV4 | CUT_UDP if header.size > 0 => cut(frame, &header).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Fills a header in for a frame of TCP over IPv4 that may be larger than usual, and lets who takes it do the rest.
///
/// `frame` has its header's bytes before it; its checksum is not computed yet.
pub(super) fn leave_undone(frame: &mut [u8]) {
    frame[..HEADER].fill(0);
    let packet = &mut frame[HEADER..];
    let Some((start, length)) = tcp_over_ipv4(packet) else {
        return;
    };
    let headers = start + 4 * usize::from(packet[start + 12] >> 4);
    let sum = pseudo_header(packet, start, length);
    packet[start + 16..start + 18].copy_from_slice(&fold(sum).to_be_bytes());
    let segment = MTU - IPV4_HEADER - TCP_HEADER;
    let is_large = packet.len().saturating_sub(headers) > segment;
    frame[0] = NEEDS_CHECKSUM;
    if is_large {
        frame[1] = CUT_TCPV4;
        frame[2..4].copy_from_slice(&short(headers).to_ne_bytes());
        frame[4..6].copy_from_slice(&short(segment).to_ne_bytes());
    }
    frame[6..8].copy_from_slice(&short(start).to_ne_bytes());
    frame[8..10].copy_from_slice(&16_u16.to_ne_bytes());
}

/// Makes whoever gets this frame believe that its sender takes segments as large as `size`, if it opens a connection.
/// The checksum is not corrected.
pub(super) fn allow_segments_of(frame: &mut [u8], size: u16) {
    const SYN: u8 = 0x02;
    const END: u8 = 0;
    const PADDING: u8 = 1;
    const LARGEST_SEGMENT: u8 = 2;
    let packet = &mut frame[HEADER..];
    let Some((start, _)) = tcp_over_ipv4(packet) else {
        return;
    };
    let end = (start + 4 * usize::from(packet[start + 12] >> 4)).min(packet.len());
    if packet[start + 13] & SYN == 0 || start + TCP_HEADER > end {
        return;
    }
    let mut options = &mut packet[start + TCP_HEADER..end];
    while let [kind, rest @ ..] = options {
        match (*kind, rest) {
            (PADDING, rest) => options = rest,
            (LARGEST_SEGMENT, [4, a, b, ..]) => {
                [*a, *b] = size.to_be_bytes();
                return;
            }
            (END, _) => return,
            (_, rest) => match rest.first().copied().map(usize::from) {
                Some(length @ 2..) if length - 1 <= rest.len() => {
                    options = &mut rest[length - 1..];
                }
                _ => return,
            },
        }
    }
}

/// What a frame's header says.
struct Header {
    flags: u8,
    cut: u8,
    /// How much of the data a segment has.
    size: usize,
    /// Where what the checksum is of begins.
    start: usize,
    /// Where it is, counted from there.
    offset: usize,
}

impl Header {
    fn read(frame: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = [frame[at], frame[at + 1]];
            usize::from(u16::from_ne_bytes(bytes))
        };
        (frame.len() >= HEADER + ETHERNET).then(|| Self {
            flags: frame[0],
            cut: frame[1],
            size: number(4),
            start: number(6),
            offset: number(8),
        })
    }
}

/// Where TCP begins in a frame of it over IPv4, and how long it is with its data.
fn tcp_over_ipv4(packet: &[u8]) -> Option<(usize, usize)> {
    let (start, protocol) = over_ipv4(packet)?;
    let length = packet.len().checked_sub(start)?;
    (protocol == TCP && length >= TCP_HEADER).then_some((start, length))
}

/// Where what is carried by IPv4 begins in a frame, and what it is.
fn over_ipv4(packet: &[u8]) -> Option<(usize, u8)> {
    let kind = u16::from_be_bytes([*packet.get(12)?, *packet.get(13)?]);
    let ip = packet.get(ETHERNET..)?;
    if kind != IPV4 || ip.len() < IPV4_HEADER {
        return None;
    }
    let length = 4 * usize::from(ip[0] & 0xf);
    (length >= IPV4_HEADER && ip.len() >= length).then(|| (ETHERNET + length, ip[9]))
}

/// Computes the rest of a checksum, whose place has what is to be added to it.
fn complete(packet: &mut [u8], start: usize, offset: usize) -> Option<()> {
    let sum = match !fold(add(0, packet.get(start..)?)) {
        // Of UDP, 0 would mean that there is none.
        0 => 0xffff,
        sum => sum,
    };
    let place = packet.get_mut(start + offset..start + offset + 2)?;
    place.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// Cuts a large packet into segments.
fn cut(frame: &[u8], header: &Header) -> Option<Vec<Vec<u8>>> {
    let packet = &frame[HEADER..];
    let (start, protocol) = over_ipv4(packet)?;
    let is_tcp = header.cut & !ECN == CUT_TCPV4;
    if (protocol == TCP) != is_tcp || packet.len() < start + 8 {
        return None;
    }
    let data = match is_tcp {
        true => start + 4 * usize::from(*packet.get(start + 12)? >> 4),
        false => start + 8,
    };
    let (headers, data) = packet.split_at_checked(data)?;
    if is_tcp && headers.len() < start + TCP_HEADER {
        return None;
    }
    let number = data.len().div_ceil(header.size);
    let mut segments = Vec::with_capacity(number);
    for (index, piece) in data.chunks(header.size).enumerate() {
        let mut segment = vec![0; HEADER];
        segment.extend_from_slice(headers);
        segment.extend_from_slice(piece);
        let packet = &mut segment[HEADER..];
        let length = packet.len();
        let ip = &mut packet[ETHERNET..start];
        ip[2..4].copy_from_slice(&short(length - ETHERNET).to_be_bytes());
        let id = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(short(index));
        ip[4..6].copy_from_slice(&id.to_be_bytes());
        ip[10..12].fill(0);
        let sum = !fold(add(0, ip));
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        let offset = if is_tcp {
            let at = start + 4;
            let sequence = u32::from_be_bytes(packet[at..at + 4].try_into().ok()?);
            let sequence = sequence.wrapping_add((index * header.size) as u32);
            packet[at..at + 4].copy_from_slice(&sequence.to_be_bytes());
            let is_last = index + 1 == number;
            packet[start + 13] &= !(if is_last { 0 } else { FIN_PSH });
            packet[start + 13] &= !(if index == 0 { 0 } else { CWR });
            16
        } else {
            packet[start + 4..start + 6].copy_from_slice(&short(length - start).to_be_bytes());
            6
        };
        let sum = pseudo_header(packet, start, length - start);
        packet[start + offset..start + offset + 2].copy_from_slice(&fold(sum).to_be_bytes());
        complete(packet, start, offset)?;
        segments.push(segment);
    }
    Some(segments)
}

/// The sum of what a checksum of TCP or UDP covers besides itself.
fn pseudo_header(packet: &[u8], start: usize, length: usize) -> u64 {
    let ip = &packet[ETHERNET..start];
    add(u64::from(ip[9]) + length as u64, &ip[12..20])
}

/// Adds the numbers of two bytes that bytes are.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    let mut pairs = bytes.chunks_exact(2);
    let sum = pairs.by_ref().fold(sum, |sum, pair| {
        sum + u64::from(u16::from_be_bytes([pair[0], pair[1]]))
    });
    match pairs.remainder() {
        [last] => sum + (u64::from(*last) << 8),
        _ => sum,
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A length within a frame.
fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket};

    use super::*;

    /// A frame of TCP with so much data, as a kernel leaves it.
    fn large(data: usize) -> Vec<u8> {
        let mut frame = vec![0; HEADER + ETHERNET + IPV4_HEADER + TCP_HEADER];
        frame.extend((0..data).map(|at| at as u8));
        let packet = &mut frame[HEADER..];
        packet[12..14].copy_from_slice(&IPV4.to_be_bytes());
        let length = short(packet.len() - ETHERNET);
        let mut ip = Ipv4Packet::new_unchecked(&mut packet[ETHERNET..]);
        ip.set_version(4);
        ip.set_header_len(20);
        ip.set_total_len(length);
        ip.set_next_header(smoltcp::wire::IpProtocol::Tcp);
        ip.set_src_addr("10.0.0.1".parse().unwrap());
        ip.set_dst_addr("10.0.0.2".parse().unwrap());
        ip.fill_checksum();
        let mut tcp = TcpPacket::new_unchecked(&mut packet[ETHERNET + IPV4_HEADER..]);
        tcp.set_header_len(20);
        tcp.set_psh(true);
        tcp.set_seq_number(smoltcp::wire::TcpSeqNumber(7));
        leave_undone(&mut frame);
        frame
    }

    #[test]
    fn a_large_packet_is_cut_into_right_segments() {
        for size in [0, 1, 1459, 1460, 1461, 20_000, 65_000] {
            let frame = large(size);
            let segments = segments(&frame);
            assert_eq!(segments.len(), size.div_ceil(1460).max(1), "{size}");
            let mut data = Vec::new();
            for (index, segment) in segments.iter().enumerate() {
                assert_eq!(segment[..HEADER], [0; HEADER]);
                assert!(segment.len() <= HEADER + ETHERNET + MTU);
                let ip = Ipv4Packet::new_checked(&segment[HEADER + ETHERNET..]).unwrap();
                assert!(ip.verify_checksum());
                let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
                let ends = |address| IpAddress::Ipv4(address);
                assert!(tcp.verify_checksum(&ends(ip.src_addr()), &ends(ip.dst_addr())));
                assert_eq!(tcp.seq_number().0, 7 + data.len() as i32);
                assert_eq!(tcp.psh(), index + 1 == segments.len());
                data.extend_from_slice(tcp.payload());
            }
            assert_eq!(data, frame[frame.len() - size..]);
        }
    }

    #[test]
    fn a_connection_is_allowed_larger_segments() {
        for (options, changed) in [
            (&[2, 4, 5, 180][..], &[2, 4, 0xee, 0xee][..]),
            (&[1, 3, 3, 7, 2, 4, 5, 180], &[1, 3, 3, 7, 2, 4, 0xee, 0xee]),
            (&[0, 0, 0, 0, 2, 4, 5, 180], &[0, 0, 0, 0, 2, 4, 5, 180]),
            (&[3, 0, 2, 4, 5, 180, 0, 0], &[3, 0, 2, 4, 5, 180, 0, 0]),
            (&[], &[]),
        ] {
            let mut frame = large(0);
            let tcp = frame.len() - TCP_HEADER;
            frame.extend_from_slice(options);
            frame[tcp + 12] = (5 + (options.len() / 4) as u8) << 4;
            frame[tcp + 13] = 0x02;
            allow_segments_of(&mut frame, 0xeeee);
            assert_eq!(frame[tcp + TCP_HEADER..], *changed);
        }
    }

    proptest! {
        /// Whatever comes, nothing breaks, and what is cut is of the usual size or was so before.
        #[test]
        fn no_frame_does_harm(mut frame in prop::collection::vec(any::<u8>(), 0..3000), ip in any::<bool>(), kind in 0u8..6) {
            if ip && frame.len() > 40 {
                frame[1] = kind;
                frame[HEADER + 12..HEADER + 14].copy_from_slice(&IPV4.to_be_bytes());
                frame[HEADER + 14] = 0x45;
            }
            let _ = addresses(&frame);
            for segment in segments(&frame) {
                prop_assert!(segment.len() <= frame.len());
            }
            if frame.len() >= HEADER {
                leave_undone(&mut frame.clone());
                allow_segments_of(&mut frame, 9);
            }
        }
    }
}

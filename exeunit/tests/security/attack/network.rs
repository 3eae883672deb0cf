//! Sockets: of the host, of the outside world, and of kinds that know no network namespaces.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixStream},
    },
    time::Duration,
};

use libc::*;

use super::{Attempt, Outcome, address, attempt, call, harm, nothing};

/// An address that nobody has: it is kept for documents.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Kinds of tunnels of which the kernel makes a device in each new namespace.
const TUNNELS: [&str; 9] = [
    "erspan", "gre", "gretap", "ip6gre", "ip6tnl", "ip6_vti", "ip_vti", "sit", "tunl",
];

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("connect to the host's loopback device", |target| {
        connect(Ipv4Addr::LOCALHOST, target.port)
    }),
    attempt("connect to the host by any of its names", |target| {
        connect(Ipv4Addr::UNSPECIFIED, target.port)
    }),
    attempt("connect to the outside world", |_| connect(ELSEWHERE, 80)),
    attempt("send to the outside world", |_| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.send_to(b"x", (ELSEWHERE, 53)).map(drop)
    }),
    attempt("send to everybody", |_| {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_broadcast(true)?;
        socket.send_to(b"x", (Ipv4Addr::BROADCAST, 67)).map(drop)
    }),
    attempt("connect to an abstract socket of the host", |target| {
        let address = SocketAddr::from_abstract_name(&target.socket)?;
        UnixStream::connect_addr(&address).map(drop)
    }),
    attempt("connect to a well-known socket of the host", |_| {
        let sockets = [
            "/run/dbus/system_bus_socket",
            "/var/run/docker.sock",
            "/run/systemd/private",
            "/tmp/yagna.sock",
        ];
        let opened = sockets
            .iter()
            .find(|path| UnixStream::connect(path).is_ok());
        opened
            .map(drop)
            .ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }),
    attempt("see the host's sockets", |target| {
        let sockets = fs::read_to_string("/proc/net/unix")?;
        let tcp = fs::read_to_string("/proc/net/tcp")?;
        let port = format!(":{:04X} ", target.port);
        match sockets.contains(&target.socket) || tcp.contains(&port) {
            true => Ok(()),
            false => nothing("there are none"),
        }
    }),
    attempt("see network devices of the host", |_| {
        let devices = fs::read_to_string("/proc/net/dev")?;
        let names = devices
            .lines()
            .skip(2)
            .filter_map(|line| Some(line.split_once(':')?.0.trim()));
        // Every namespace has templates of the tunnels that its kernel knows. They are this namespace's own.
        let is_template = |name: &str| TUNNELS.iter().any(|kind| name == format!("{kind}0"));
        match names.filter(|name| !is_template(name)).collect::<Vec<_>>()[..] {
            ["lo"] | [] => nothing("there is only lo"),
            _ => Ok(()),
        }
    }),
    attempt("listen to all packets", |_| {
        socket(AF_PACKET, SOCK_RAW, 0x0300)
    }),
    attempt("send raw packets", |_| {
        socket(AF_INET, SOCK_RAW, IPPROTO_RAW)
    }),
    attempt("send raw pings", |_| {
        socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
    }),
    attempt("send raw packets of version 6", |_| {
        socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
    }),
    attempt("talk to the hypervisor", |_| {
        socket(AF_VSOCK, SOCK_STREAM, 0)
    }),
    attempt("use the kernel's cryptography", |_| {
        socket(AF_ALG, SOCK_SEQPACKET, 0)
    }),
    attempt("use Bluetooth", |_| socket(AF_BLUETOOTH, SOCK_RAW, 1)),
    attempt("use a CAN bus", |_| socket(AF_CAN, SOCK_RAW, 1)),
    attempt("use cluster sockets", |_| socket(AF_TIPC, SOCK_STREAM, 0)),
    attempt("use reliable datagrams", |_| {
        socket(AF_RDS, SOCK_SEQPACKET, 0)
    }),
    attempt("use kernel connections", |_| socket(41, SOCK_DGRAM, 0)),
    attempt("use express data paths", |_| socket(AF_XDP, SOCK_RAW, 0)),
    attempt("use keys of IPsec", |_| socket(AF_KEY, SOCK_RAW, 2)),
    attempt("a pair of vsock sockets", |_| {
        let pair = [0_i32; 2];
        harm(
            SYS_socketpair,
            [AF_VSOCK as usize, SOCK_STREAM as usize, 0, address(&pair)],
        )
    }),
    attempt("switch the loopback device off", |_| {
        let mut request = [0_u8; 40];
        request[..2].copy_from_slice(b"lo");
        let socket = call(SYS_socket, [AF_INET as usize, SOCK_DGRAM as usize, 0])?;
        harm(
            SYS_ioctl,
            [socket as usize, SIOCSIFFLAGS as usize, address(&request)],
        )
    }),
    attempt("make a network device", |_| {
        netlink(NETLINK_ROUTE, 16, 0x600)
    }),
    attempt("set up auditing", |_| netlink(NETLINK_AUDIT, 1001, 0)),
    attempt("set up a firewall", |_| {
        netlink(NETLINK_NETFILTER, 0x0a00, 0x400)
    }),
    attempt("find other machines' addresses", |_| {
        let table = fs::read_to_string("/proc/net/arp")?;
        if table.lines().count() > 1 {
            Ok(())
        } else {
            nothing("there are none")
        }
    }),
];

fn connect(host: Ipv4Addr, port: u16) -> Outcome {
    let address = SocketAddrV4::new(host, port).into();
    TcpStream::connect_timeout(&address, Duration::from_secs(5)).map(drop)
}

fn socket(family: c_int, kind: c_int, protocol: c_int) -> Outcome {
    harm(
        SYS_socket,
        [family as usize, kind as usize, protocol as usize],
    )
}

/// Sends a request that only whoever administrates the network may send: its answer is an error, or harm.
fn netlink(protocol: c_int, kind: u16, flags: u16) -> Outcome {
    const ACKNOWLEDGE: u16 = 5;
    let socket = call(
        SYS_socket,
        [AF_NETLINK as usize, SOCK_RAW as usize, protocol as usize],
    )? as usize;
    let mut request = [0_u8; 64];
    request[0] = 64;
    request[4..6].copy_from_slice(&kind.to_ne_bytes());
    request[6..8].copy_from_slice(&(flags | ACKNOWLEDGE).to_ne_bytes());
    call(SYS_sendto, [socket, address(&request), 64, 0, 0, 0])?;
    let answer = [0_i32; 64];
    call(
        SYS_recvfrom,
        [socket, address(&answer), 256, MSG_DONTWAIT as usize, 0, 0],
    )?;
    // After the header of 16 bytes: the error's number.
    match std::hint::black_box(&answer)[4] {
        0 => Ok(()),
        error => Err(std::io::Error::from_raw_os_error(-error)),
    }
}

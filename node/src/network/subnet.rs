//! The addresses of a network: `192.168.7.0/24`.

use std::net::Ipv4Addr;

use ya_client_model::net::NewNetwork;

/// A block of addresses, with the one of its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    base: u32,
    bits: u32,
    gateway: Ipv4Addr,
}

/// Why there is no such block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubnetError {
    /// No address.
    #[error("`{0}` is no IPv4 address")]
    Address(String),
    /// No mask.
    #[error("`{0}` is no network mask: 1 to 30 bits are needed, 255.255.255.0 or /24 say")]
    Mask(String),
    /// Two masks that differ.
    #[error("`{0}` and the mask {1} contradict each other")]
    Contradiction(String, String),
    /// The address lies elsewhere.
    #[error("{0} is not an address for a node in {1}")]
    Outside(Ipv4Addr, String),
}

/// How many bits a network has that does not say.
const BITS: u32 = 24;

impl Subnet {
    /// Reads a network: an address, with a mask or without, and a gateway, the first address by default.
    pub(super) fn read(new: &NewNetwork) -> Result<Self, SubnetError> {
        let (ip, suffix) = match new.ip.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (new.ip.as_str(), None),
        };
        let suffix = suffix.map(prefix).transpose()?;
        let mask = new.mask.as_deref().map(mask_bits).transpose()?;
        let bits = match (suffix, mask) {
            (Some(suffix), Some(mask)) if suffix != mask => {
                let mask = new.mask.clone().unwrap_or_default();
                return Err(SubnetError::Contradiction(new.ip.clone(), mask));
            }
            (bits, other) => bits.or(other).unwrap_or(BITS),
        };
        let base = u32::from(address(ip)?) & mask_of(bits);
        let mut subnet = Self {
            base,
            bits,
            gateway: Ipv4Addr::from(base + 1),
        };
        if let Some(gateway) = &new.gateway {
            subnet.gateway = subnet.host(gateway)?;
        }
        Ok(subnet)
    }

    /// An address that a node can have here.
    pub(super) fn host(&self, text: &str) -> Result<Ipv4Addr, SubnetError> {
        let ip = address(text)?;
        let (number, mask) = (u32::from(ip), mask_of(self.bits));
        // The first names the network, the last is for all in it.
        let is_host =
            number & mask == self.base && number != self.base && number | mask != u32::MAX;
        match is_host {
            true => Ok(ip),
            false => Err(SubnetError::Outside(ip, self.to_string())),
        }
    }

    pub(super) fn mask(&self) -> Ipv4Addr {
        mask_of(self.bits).into()
    }

    /// How many bits all its addresses have in common.
    pub(super) fn prefix(&self) -> u8 {
        self.bits.to_le_bytes()[0]
    }

    /// The first address that a node can have.
    pub(super) fn first(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 1)
    }

    pub(super) fn gateway(&self) -> Ipv4Addr {
        self.gateway
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

fn address(text: &str) -> Result<Ipv4Addr, SubnetError> {
    text.parse()
        .map_err(|_| SubnetError::Address(text.to_owned()))
}

fn prefix(text: &str) -> Result<u32, SubnetError> {
    let bits = text.parse().ok().filter(|bits| (1..=30).contains(bits));
    bits.ok_or_else(|| SubnetError::Mask(text.to_owned()))
}

fn mask_bits(text: &str) -> Result<u32, SubnetError> {
    let mask = text.parse::<Ipv4Addr>().map(u32::from);
    let bits = mask.ok().map(|mask| (mask, mask.leading_ones()));
    bits.filter(|(mask, bits)| (1..=30).contains(bits) && *mask == mask_of(*bits))
        .map(|(_, bits)| bits)
        .ok_or_else(|| SubnetError::Mask(text.to_owned()))
}

/// The mask of 1 to 30 bits.
fn mask_of(bits: u32) -> u32 {
    u32::MAX << (32 - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ip: &str, mask: Option<&str>, gateway: Option<&str>) -> Result<String, String> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let new = NewNetwork {
            ip: ip.to_owned(),
            mask: own(mask),
            gateway: own(gateway),
        };
        Subnet::read(&new)
            .map(|subnet| format!("{subnet} {} {}", subnet.mask(), subnet.gateway()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_network_is_read_as_clients_write_it() {
        let ok = |text: &str| Ok(text.to_owned());
        let usual = "192.168.7.0/24 255.255.255.0 192.168.7.1";
        assert_eq!(read("192.168.7.0", Some("255.255.255.0"), None), ok(usual));
        assert_eq!(read("192.168.7.0/24", None, None), ok(usual));
        assert_eq!(read("192.168.7.9", None, None), ok(usual));
        assert_eq!(
            read("10.0.0.0/8", Some("255.0.0.0"), Some("10.9.9.9")),
            ok("10.0.0.0/8 255.0.0.0 10.9.9.9")
        );
        for (ip, mask, gateway, problem) in [
            ("::1", None, None, "`::1` is no IPv4 address"),
            ("10.0.0.0/31", None, None, "`31` is no network mask"),
            ("10.0.0.0/x", None, None, "`x` is no network mask"),
            ("10.0.0.0", Some("255.0.255.0"), None, "no network mask"),
            ("10.0.0.0/8", Some("255.255.0.0"), None, "contradict"),
            (
                "10.0.0.0/24",
                None,
                Some("10.0.1.1"),
                "10.0.1.1 is not an address",
            ),
            (
                "10.0.0.0/24",
                None,
                Some("10.0.0.0"),
                "10.0.0.0 is not an address",
            ),
            (
                "10.0.0.0/24",
                None,
                Some("10.0.0.255"),
                "10.0.0.255 is not an address",
            ),
        ] {
            let refused = read(ip, mask, gateway).unwrap_err();
            assert!(refused.contains(problem), "{ip}: {refused}");
        }
    }
}

//! Virtual private networks, as a daemon describes them.

use std::net::Ipv4Addr;

use crate::id::NetworkId;

/// A virtual private network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkTerms {
    /// Its id.
    pub id: NetworkId,
    /// What its addresses begin with.
    pub base: Ipv4Addr,
    /// Which bits of them are alike.
    pub mask: Ipv4Addr,
    /// Through whom it would be left.
    pub gateway: Ipv4Addr,
}

impl NetworkTerms {
    /// As people write it: `192.168.7.0/24`.
    pub fn range(&self) -> String {
        format!("{}/{}", self.base, self.mask.to_bits().leading_ones())
    }

    /// All addresses that somebody in it can have, in order.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let first = self.base.to_bits() & self.mask.to_bits();
        let last = first | !self.mask.to_bits();
        (first.saturating_add(1)..last).map(Ipv4Addr::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_all_addresses_but_the_first_and_the_last() {
        let network = |base: &str, mask: &str| NetworkTerms {
            id: "n".into(),
            base: base.parse().unwrap(),
            mask: mask.parse().unwrap(),
            gateway: Ipv4Addr::UNSPECIFIED,
        };
        let small = network("10.0.0.0", "255.255.255.252");
        let addresses: Vec<_> = small.addresses().map(|a| a.to_string()).collect();
        assert_eq!(
            (small.range().as_str(), addresses),
            ("10.0.0.0/30", vec!["10.0.0.1".into(), "10.0.0.2".into()])
        );
        let usual = network("192.168.7.0", "255.255.255.0");
        assert_eq!(usual.addresses().count(), 254);
        assert_eq!(
            network("10.0.0.0", "255.255.255.255").addresses().count(),
            0
        );
    }
}

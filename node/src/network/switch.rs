//! The switch: which frame goes to which port.
//!
//! It learns where a hardware address is from the frames that come from it. One that is known at a port stays there until
//! the port is unplugged: nobody takes another's frames by saying that they are him.

use std::collections::BTreeMap;

use smoltcp::wire::EthernetAddress;

/// A port, as long as something is plugged in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PortId(pub(super) u64);

/// How many addresses are learned at one port.
const MOST: usize = 16;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To one port.
    To(PortId),
    /// To all but the one that it came from.
    ToOthers,
    Nowhere,
}

/// What a switch knows.
#[derive(Debug, Default)]
pub(super) struct Switch {
    /// Each port, with how many addresses it has.
    ports: BTreeMap<PortId, usize>,
    places: BTreeMap<[u8; 6], PortId>,
}

impl Switch {
    /// Plugs in a port where an address is known to be; what was known of that address is forgotten.
    pub(super) fn plug(&mut self, port: PortId, address: EthernetAddress) {
        self.ports.insert(port, 0);
        self.places.remove(&address.0);
        self.learn(port, address);
    }

    /// Takes a port out, and all that is known of it.
    pub(super) fn unplug(&mut self, port: PortId) {
        self.ports.remove(&port);
        self.places.retain(|_, place| *place != port);
    }

    /// All ports.
    pub(super) fn ports(&self) -> impl Iterator<Item = PortId> {
        self.ports.keys().copied()
    }

    /// The way of a frame that came in at a port.
    pub(super) fn forward(
        &mut self,
        from: PortId,
        destination: EthernetAddress,
        source: EthernetAddress,
    ) -> Way {
        if !source.is_unicast() || !self.learn(from, source) {
            return Way::Nowhere;
        }
        match self.places.get(&destination.0) {
            Some(place) if *place == from => Way::Nowhere,
            Some(place) => Way::To(*place),
            None => Way::ToOthers,
        }
    }

    /// Whether an address is, or can be, at a port.
    fn learn(&mut self, port: PortId, address: EthernetAddress) -> bool {
        if let Some(place) = self.places.get(&address.0) {
            return *place == port;
        }
        match self.ports.get_mut(&port) {
            Some(known) if *known < MOST => {
                *known += 1;
                self.places.insert(address.0, port);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(last: u8) -> EthernetAddress {
        EthernetAddress([2, 0, 0, 0, 0, last])
    }

    fn switch() -> Switch {
        let mut switch = Switch::default();
        for number in 1..=3 {
            switch.plug(PortId(number.into()), mac(number));
        }
        switch
    }

    #[test]
    fn frames_go_where_their_address_is() {
        let mut switch = switch();
        let [one, two, three] = [1, 2, 3].map(PortId);
        assert_eq!(switch.forward(one, mac(2), mac(1)), Way::To(two));
        assert_eq!(
            switch.forward(one, EthernetAddress::BROADCAST, mac(1)),
            Way::ToOthers
        );
        // Nobody has said where 9 is, until it speaks.
        assert_eq!(switch.forward(one, mac(9), mac(1)), Way::ToOthers);
        assert_eq!(switch.forward(three, mac(1), mac(9)), Way::To(one));
        assert_eq!(switch.forward(one, mac(9), mac(1)), Way::To(three));
        // What stays on its side of the switch is not its business.
        assert_eq!(switch.forward(three, mac(9), mac(3)), Way::Nowhere);
    }

    #[test]
    fn nobody_takes_anothers_address() {
        let mut switch = switch();
        let [one, two] = [1, 2].map(PortId);
        assert_eq!(switch.forward(two, mac(3), mac(1)), Way::Nowhere);
        assert_eq!(switch.forward(two, mac(1), mac(2)), Way::To(one));
        // Nor is one that cannot be anybody's taken.
        assert_eq!(
            switch.forward(two, mac(1), EthernetAddress::BROADCAST),
            Way::Nowhere
        );
        // Once it is unplugged, it is free.
        switch.unplug(one);
        assert_eq!(switch.forward(two, mac(1), mac(2)), Way::ToOthers);
        assert_eq!(
            switch.forward(one, mac(2), mac(1)),
            Way::Nowhere,
            "no such port"
        );
        switch.plug(PortId(4), mac(1));
        assert_eq!(switch.forward(two, mac(1), mac(2)), Way::To(PortId(4)));
        assert_eq!(
            switch.ports().collect::<Vec<_>>(),
            [two, PortId(3), PortId(4)]
        );
    }

    #[test]
    fn a_port_cannot_fill_the_memory() {
        let mut switch = switch();
        let ways: Vec<_> = (100..200)
            .map(|last| switch.forward(PortId(1), mac(2), mac(last)))
            .collect();
        let through = ways.iter().filter(|way| **way == Way::To(PortId(2)));
        assert_eq!(through.count(), MOST - 1);
        assert_eq!(ways[99], Way::Nowhere);
    }
}

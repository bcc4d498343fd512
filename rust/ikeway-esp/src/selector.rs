// SPDX-License-Identifier: Apache-2.0
//! Traffic selectors and whether a packet is theirs (RFC 4301 §4.4.1.1, RFC 7296 §3.13.1).

use std::net::IpAddr;

use crate::error::InstallError;
use crate::inner::{Flow, Port};

const PORT_MAX: u16 = u16::MAX;
/// Ports that cannot be seen (RFC 7296 §3.13.1).
const OPAQUE: (u16, u16) = (PORT_MAX, 0);

/// Inclusive ranges of addresses and ports. Protocol 0 is any; ports 65535 to 0 are OPAQUE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    protocol: u8,
    port_start: u16,
    port_end: u16,
    start: IpAddr,
    end: IpAddr,
}

impl Selector {
    /// Returns a selector.
    ///
    /// # Errors
    /// [`InstallError::BadSelector`] if the range mixes address families or ends before it starts.
    pub fn new(
        protocol: u8,
        ports: (u16, u16),
        start: IpAddr,
        end: IpAddr,
    ) -> Result<Self, InstallError> {
        let (port_start, port_end) = ports;
        let is_opaque = ports == OPAQUE;
        if start.is_ipv4() != end.is_ipv4() || start > end || (port_start > port_end && !is_opaque)
        {
            let text = format!("{start}-{end}[{protocol}/{port_start}-{port_end}]");
            return Err(InstallError::BadSelector(text));
        }
        Ok(Self { protocol, port_start, port_end, start, end })
    }

    /// Returns the first and last address.
    #[must_use]
    pub const fn range(&self) -> (IpAddr, IpAddr) {
        (self.start, self.end)
    }

    pub(crate) const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Returns the first and last port.
    pub(crate) const fn ports(&self) -> (u16, u16) {
        (self.port_start, self.port_end)
    }

    /// Returns a rank: of two selectors that match a packet, the one with the higher rank says more
    /// about it.
    pub(crate) fn rank(&self) -> (bool, u16) {
        let span = self.port_end.saturating_sub(self.port_start);
        (self.protocol != 0, PORT_MAX - span)
    }

    #[inline]
    fn matches(&self, protocol: u8, address: IpAddr, port: Port) -> bool {
        self.matches_protocol(protocol) && self.holds(address) && self.matches_port(port)
    }

    /// Compares as numbers, which takes a fraction of the time of comparing octets in order.
    #[inline]
    const fn holds(&self, address: IpAddr) -> bool {
        match (self.start, address, self.end) {
            (IpAddr::V4(start), IpAddr::V4(address), IpAddr::V4(end)) => {
                start.to_bits() <= address.to_bits() && address.to_bits() <= end.to_bits()
            }
            (IpAddr::V6(start), IpAddr::V6(address), IpAddr::V6(end)) => {
                start.to_bits() <= address.to_bits() && address.to_bits() <= end.to_bits()
            }
            _ => false,
        }
    }

    const fn matches_protocol(&self, protocol: u8) -> bool {
        self.protocol == 0 || self.protocol == protocol
    }

    /// A port that cannot be seen is only in "any" and "opaque" (RFC 4301 §4.4.1.1, §7).
    pub(crate) fn matches_port(&self, port: Port) -> bool {
        match port {
            _ if (self.port_start, self.port_end) == (0, PORT_MAX) => true,
            Port::Known(port) => self.port_start <= port && port <= self.port_end,
            Port::Hidden => self.port_start > self.port_end,
            Port::Absent => true,
        }
    }
}

/// The selectors of a pair of SAs: ours and the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    local: Side,
    peer: Side,
}

/// The selectors of one side. Most have one, which needs no place of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Side {
    One(Selector),
    Several(Box<[Selector]>),
}

impl Side {
    fn new(selectors: Vec<Selector>) -> Self {
        match selectors.as_slice() {
            [one] => Self::One(*one),
            _ => Self::Several(selectors.into()),
        }
    }

    #[inline]
    fn as_slice(&self) -> &[Selector] {
        match self {
            Self::One(selector) => std::slice::from_ref(selector),
            Self::Several(selectors) => selectors,
        }
    }
}

impl Policy {
    /// Returns a policy of both sides.
    ///
    /// # Errors
    /// [`InstallError::NoSelectors`] if a side has none.
    pub fn new(local: Vec<Selector>, peer: Vec<Selector>) -> Result<Self, InstallError> {
        if local.is_empty() || peer.is_empty() {
            return Err(InstallError::NoSelectors);
        }
        Ok(Self { local: Side::new(local), peer: Side::new(peer) })
    }

    pub(crate) fn local(&self) -> &[Selector] {
        self.local.as_slice()
    }

    /// Returns the peer's selectors.
    #[must_use]
    pub fn peer(&self) -> &[Selector] {
        self.peer.as_slice()
    }

    /// Whether a selector tells ports apart, so that it takes no later fragment by itself (RFC 4301
    /// §7: "non-trivial").
    #[must_use]
    pub fn has_ports(&self) -> bool {
        self.any(|ports| ports != (0, PORT_MAX) && ports != OPAQUE)
    }

    /// Whether a selector is for what shows no ports (RFC 4301 §7.2).
    pub(crate) fn is_opaque(&self) -> bool {
        self.any(|ports| ports == OPAQUE)
    }

    fn any(&self, is_so: impl Fn((u16, u16)) -> bool) -> bool {
        [&self.local, &self.peer]
            .iter()
            .any(|side| side.as_slice().iter().any(|selector| is_so(selector.ports())))
    }

    /// Whether all selectors of ours are of the address `local`, and the peer's of `peer`.
    pub(crate) fn is_between(&self, local: IpAddr, peer: IpAddr) -> bool {
        let is_of = |side: &Side, host| {
            side.as_slice().iter().all(|selector| selector.range() == (host, host))
        };
        is_of(&self.local, local) && is_of(&self.peer, peer)
    }

    /// Whether a packet that arrived may pass: from the peer's side to ours (RFC 4301 §5.2).
    #[must_use]
    #[inline]
    pub fn admits(&self, flow: &Flow) -> bool {
        covers(&self.peer, flow.protocol, flow.source, flow.source_port)
            && covers(&self.local, flow.protocol, flow.destination, flow.destination_port)
    }

    /// Whether a packet from our side to the peer's is to be sent here (RFC 4301 §5.1).
    #[must_use]
    pub fn selects(&self, flow: &Flow) -> bool {
        covers(&self.local, flow.protocol, flow.source, flow.source_port)
            && covers(&self.peer, flow.protocol, flow.destination, flow.destination_port)
    }
}

#[inline]
fn covers(side: &Side, protocol: u8, address: IpAddr, port: Port) -> bool {
    side.as_slice().iter().any(|selector| selector.matches(protocol, address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: (u16, u16) = (0, 65_535);

    fn selector(protocol: u8, ports: (u16, u16), start: &str, end: &str) -> Selector {
        Selector::new(protocol, ports, start.parse().unwrap(), end.parse().unwrap()).unwrap()
    }

    fn policy(protocol: u8, local_ports: (u16, u16), peer_ports: (u16, u16)) -> Policy {
        let local = selector(protocol, local_ports, "10.1.0.0", "10.1.255.255");
        let peer = selector(protocol, peer_ports, "10.2.0.0", "10.2.0.9");
        Policy::new(vec![local], vec![peer]).unwrap()
    }

    fn inbound(source: &str, destination: &str, protocol: u8, ports: [Port; 2]) -> Flow {
        let [source_port, destination_port] = ports;
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        Flow { source, destination, protocol, source_port, destination_port }
    }

    const WEB: [Port; 2] = [Port::Known(80), Port::Known(40_000)];

    /// CF-U15: RFC 4301 §5.2: source, destination, protocol and ports are all checked.
    #[test]
    fn each_part_of_a_packet_is_checked() {
        let policy = policy(6, ANY, (80, 80));
        assert!(policy.admits(&inbound("10.2.0.9", "10.1.0.1", 6, WEB)));
        assert!(!policy.admits(&inbound("10.2.0.10", "10.1.0.1", 6, WEB)), "source");
        assert!(!policy.admits(&inbound("10.2.0.9", "10.3.0.1", 6, WEB)), "destination");
        assert!(!policy.admits(&inbound("10.2.0.9", "10.1.0.1", 17, WEB)), "protocol");
        let ports = [Port::Known(81), Port::Known(40_000)];
        assert!(!policy.admits(&inbound("10.2.0.9", "10.1.0.1", 6, ports)), "port");
        assert!(!policy.admits(&inbound("::ffff:10.2.0.9", "::ffff:10.1.0.1", 6, WEB)), "family");
    }

    /// CF-A15: a later fragment has no ports, so a selector with ports does not take it.
    #[test]
    fn a_fragment_without_ports_needs_any_or_opaque() {
        let hidden = [Port::Hidden, Port::Hidden];
        let fragment = inbound("10.2.0.1", "10.1.0.1", 6, hidden);
        assert!(!policy(6, ANY, (80, 80)).admits(&fragment));
        assert!(policy(6, ANY, ANY).admits(&fragment));
        assert!(policy(6, OPAQUE, OPAQUE).admits(&fragment));
        assert!(!policy(6, OPAQUE, OPAQUE).admits(&inbound("10.2.0.1", "10.1.0.1", 6, WEB)));
    }

    /// RFC 4301 §4.4.1.3 C: the side that sends a type has it in its "port"; the other side has no
    /// say.
    #[test]
    fn an_icmp_type_belongs_to_the_sender() {
        let echo = [Port::Known(8 << 8), Port::Absent];
        let request = inbound("10.2.0.1", "10.1.0.1", 1, echo);
        assert!(policy(1, OPAQUE, (8 << 8, 8 << 8)).admits(&request));
        assert!(!policy(1, OPAQUE, (3 << 8, 3 << 8 | 255)).admits(&request));
        assert!(!policy(1, ANY, OPAQUE).admits(&request));
    }

    #[test]
    fn ranges_are_of_one_family_and_in_order() {
        let bad = |ports, start: &str, end: &str| {
            Selector::new(0, ports, start.parse().unwrap(), end.parse().unwrap()).is_err()
        };
        assert!(bad(ANY, "10.0.0.2", "10.0.0.1"));
        assert!(bad(ANY, "10.0.0.1", "fd00::1"));
        assert!(bad((2, 1), "10.0.0.1", "10.0.0.1"));
        assert!(!bad(OPAQUE, "10.0.0.1", "10.0.0.1"));
    }
}

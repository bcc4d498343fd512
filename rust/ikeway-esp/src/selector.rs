// SPDX-License-Identifier: Apache-2.0
//! Traffic selectors and whether a packet is theirs (RFC 4301 §4.4.1.1, RFC 7296 §3.13.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::InstallError;
use crate::inner::{Flow, Port};

const PORT_MAX: u16 = u16::MAX;
/// Ports that cannot be seen (RFC 7296 §3.13.1).
const OPAQUE: (u16, u16) = (PORT_MAX, 0);

/// Inclusive ranges of addresses and ports. Protocol 0 is any; ports 65535 to 0 are OPAQUE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Range);

/// A range, in as few octets as may be: every pair has two. Ranges of IPv6 are prefixes, nearly all.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Range {
    V4 { upper: Upper, start: Ipv4Addr, end: Ipv4Addr },
    Prefix { upper: Upper, start: Ipv6Addr, bits: u8 },
    V6 { upper: Upper, ends: Box<(Ipv6Addr, Ipv6Addr)> },
}

/// Protocol, first and last port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Upper {
    protocol: u8,
    start: u16,
    end: u16,
}

impl Upper {
    #[inline]
    const fn matches(self, protocol: u8, port: Port) -> bool {
        (self.protocol == 0 || self.protocol == protocol) && self.matches_port(port)
    }

    /// A port that cannot be seen is only in "any" and "opaque" (RFC 4301 §4.4.1.1, §7).
    #[inline]
    const fn matches_port(self, port: Port) -> bool {
        match port {
            _ if self.start == 0 && self.end == PORT_MAX => true,
            Port::Known(port) => self.start <= port && port <= self.end,
            Port::Hidden => self.start > self.end,
            Port::Absent => true,
        }
    }
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
        let upper = Upper { protocol, start: port_start, end: port_end };
        let is_ordered = start <= end && (port_start <= port_end || is_opaque);
        let range = match (start, end) {
            (IpAddr::V4(start), IpAddr::V4(end)) => Some(Range::V4 { upper, start, end }),
            (IpAddr::V6(start), IpAddr::V6(end)) => Some(Range::of_ipv6(upper, start, end)),
            _ => None,
        };
        range.filter(|_| is_ordered).map(Self).ok_or_else(|| {
            let text = format!("{start}-{end}[{protocol}/{port_start}-{port_end}]");
            InstallError::BadSelector(text)
        })
    }

    /// Returns the first and last address.
    #[must_use]
    pub fn range(&self) -> (IpAddr, IpAddr) {
        match &self.0 {
            Range::V4 { start, end, .. } => ((*start).into(), (*end).into()),
            Range::Prefix { start, bits, .. } => {
                let last = start.to_bits() | behind(*bits);
                ((*start).into(), Ipv6Addr::from_bits(last).into())
            }
            Range::V6 { ends, .. } => (ends.0.into(), ends.1.into()),
        }
    }

    const fn upper(&self) -> Upper {
        match self.0 {
            Range::V4 { upper, .. } | Range::Prefix { upper, .. } | Range::V6 { upper, .. } => {
                upper
            }
        }
    }

    pub(crate) const fn protocol(&self) -> u8 {
        self.upper().protocol
    }

    /// Returns the first and last port.
    pub(crate) const fn ports(&self) -> (u16, u16) {
        let Upper { start, end, .. } = self.upper();
        (start, end)
    }

    /// Returns a rank: of two selectors that match a packet, the one with the higher rank says more
    /// about it.
    pub(crate) fn rank(&self) -> (bool, u16) {
        let (start, end) = self.ports();
        let span = end.saturating_sub(start);
        (self.protocol() != 0, PORT_MAX - span)
    }

    #[inline]
    fn matches(&self, protocol: u8, address: IpAddr, port: Port) -> bool {
        self.0.holds(address).is_some_and(|upper| upper.matches(protocol, port))
    }

    pub(crate) const fn matches_port(&self, port: Port) -> bool {
        self.upper().matches_port(port)
    }
}

impl Range {
    /// Returns what else there is to it, if it holds an address.
    ///
    /// Compares as numbers, which takes a fraction of the time of comparing octets in order.
    #[inline]
    const fn holds(&self, address: IpAddr) -> Option<Upper> {
        let (upper, is_held) = match (self, address) {
            (Self::V4 { upper, start, end }, IpAddr::V4(address)) => {
                let address = address.to_bits();
                (*upper, start.to_bits() <= address && address <= end.to_bits())
            }
            (Self::Prefix { upper, start, bits }, IpAddr::V6(address)) => {
                (*upper, (address.to_bits() ^ start.to_bits()) & !behind(*bits) == 0)
            }
            (Self::V6 { upper, ends }, IpAddr::V6(address)) => {
                let address = address.to_bits();
                (*upper, ends.0.to_bits() <= address && address <= ends.1.to_bits())
            }
            _ => return None,
        };
        if is_held { Some(upper) } else { None }
    }

    fn of_ipv6(upper: Upper, start: Ipv6Addr, end: Ipv6Addr) -> Self {
        let [first, last] = [start, end].map(Ipv6Addr::to_bits);
        let bits = u8::try_from((first ^ last).leading_zeros()).unwrap_or_default();
        let is_prefix = first & behind(bits) == 0 && last == first | behind(bits);
        if is_prefix {
            Self::Prefix { upper, start, bits }
        } else {
            Self::V6 { upper, ends: Box::new((start, end)) }
        }
    }
}

/// Returns a number of the bits behind the first ones.
const fn behind(bits: u8) -> u128 {
    match u128::MAX.checked_shr(bits as u32) {
        Some(rest) => rest,
        None => 0,
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
        match <[Selector; 1]>::try_from(selectors) {
            Ok([one]) => Self::One(one),
            Err(selectors) => Self::Several(selectors.into()),
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
    #[inline]
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

    /// What is a prefix and what is none holds the same, up to its ends.
    #[test]
    fn a_range_of_ipv6_holds_what_is_in_it() {
        let highest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for (start, end, within, without) in [
            ("::", highest, ["::", highest], ["10.2.0.1", "0.0.0.0"]),
            ("fd00::7", "fd00::7", ["fd00::7"; 2], ["fd00::6", "fd00::8"]),
            ("fd00::", "fd00::ff", ["fd00::", "fd00::ff"], ["fcff::", "fd00::100"]),
            ("fd00::1", "fd00::ff", ["fd00::1", "fd00::ff"], ["fd00::", "fd00::100"]),
            ("fd00::", "fd00::fe", ["fd00::", "fd00::fe"], ["fcff::", "fd00::ff"]),
            ("fd00::f", "fd01::", ["fd00::f", "fd01::"], ["fd00::e", "fd01::1"]),
        ] {
            let one = selector(0, ANY, start, end);
            let ends: (IpAddr, IpAddr) = (start.parse().unwrap(), end.parse().unwrap());
            assert_eq!(one.range(), ends);
            assert!(
                within.iter().all(|ip| one.0.holds(ip.parse().unwrap()).is_some()),
                "{start}-{end}"
            );
            assert!(
                !without.iter().any(|ip| one.0.holds(ip.parse().unwrap()).is_some()),
                "{start}-{end}"
            );
        }
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

// SPDX-License-Identifier: Apache-2.0
//! How the outer header is made of the inner one (RFC 4301 §5.1.2, RFC 2983, RFC 6040 §4.1).

use crate::congestion::traffic_class;

const ECN: u8 = 0x03;
const DONT_FRAGMENT: u8 = 0x40;

/// Whether routers may fragment what carries a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DontFragment {
    /// Never: the path's MTU is learnt, and inner packets are made to fit.
    #[default]
    Set,
    /// As the inner packet's sender says; IPv6 has no routers that fragment (RFC 8200 §5).
    Copy,
    /// Always.
    Clear,
}

/// What an SA does to the outer headers of its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The bits of the traffic class that the inner header decides, and the others.
    kept: u8,
    fixed: u8,
    dont_fragment: DontFragment,
    path_mtu: u16,
}

impl Default for Outer {
    fn default() -> Self {
        Self::new(None, DontFragment::default(), 0)
    }
}

impl Outer {
    /// Returns what an SA does: `dscp` is a number for all packets, or copied from each; `path_mtu` is
    /// the longest outer packet, 0 if that is to be learnt.
    #[must_use]
    pub const fn new(dscp: Option<u8>, dont_fragment: DontFragment, path_mtu: u16) -> Self {
        let (kept, fixed) = match dscp {
            None => (u8::MAX, 0),
            Some(dscp) => (ECN, dscp << 2),
        };
        Self { kept, fixed, dont_fragment, path_mtu }
    }

    /// Returns the same for a path whose first link carries no more than that.
    #[must_use]
    pub const fn within(self, mtu: u16) -> Self {
        let is_less = self.path_mtu == 0 || mtu < self.path_mtu;
        Self { path_mtu: if is_less { mtu } else { self.path_mtu }, ..self }
    }

    /// Returns differentiated services and ECN for the outer header of an inner packet.
    #[must_use]
    pub fn class(&self, inner: &[u8]) -> u8 {
        traffic_class(inner) & self.kept | self.fixed
    }

    /// Whether routers may fragment what carries an inner packet.
    #[must_use]
    #[inline]
    pub fn is_fragmentable(&self, inner: &[u8]) -> bool {
        match self.dont_fragment {
            DontFragment::Set => false,
            DontFragment::Copy => !forbids_fragments(inner),
            DontFragment::Clear => true,
        }
    }

    /// Returns the longest outer packet as the operator knows it; none is that it is to be learnt.
    #[must_use]
    #[inline]
    pub const fn by_hand(&self) -> Option<u16> {
        if self.path_mtu == 0 { None } else { Some(self.path_mtu) }
    }
}

/// Whether nobody but its sender may fragment a packet: it has DF, or is IPv6.
#[must_use]
pub fn forbids_fragments(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(6).is_some_and(|flags| flags & DONT_FRAGMENT != 0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ipv4_packet, ipv6_packet};

    /// RFC 4301 §5.1.2: DSCP is copied or set; ECN is always that of the inner header (RFC 6040).
    #[test]
    fn the_class_is_copied_or_has_a_dscp_of_its_own() {
        let mut packet = ipv4_packet(8);
        packet[1] = 0xba;
        let class = |dscp| Outer::new(dscp, DontFragment::Set, 0).class(&packet);
        assert_eq!(class(None), 0xba);
        assert_eq!(class(Some(0)), 0x02);
        assert_eq!(class(Some(10)), 10 << 2 | 2);
        assert_eq!(class(Some(63)), 63 << 2 | 2);
    }

    #[test]
    fn routers_may_fragment_as_the_setting_says() {
        let (mut free, mut bound) = (ipv4_packet(8), ipv4_packet(8));
        free[6] = 0;
        bound[6] = 0x40;
        let of = |df| {
            let outer = Outer::new(None, df, 0);
            [&free[..], &bound, &ipv6_packet(8)].map(|packet| outer.is_fragmentable(packet))
        };
        assert_eq!(of(DontFragment::Set), [false; 3]);
        assert_eq!(of(DontFragment::Copy), [true, false, false]);
        assert_eq!(of(DontFragment::Clear), [true; 3]);
    }
}

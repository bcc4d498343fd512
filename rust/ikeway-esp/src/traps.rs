// SPDX-License-Identifier: Apache-2.0
//! Policies that want an SA once a packet of theirs comes (RFC 4301 §4.4.1, RFC 7296 §2.9).

use crate::inner::Flow;
use crate::selector::Policy;

/// Traps by their numbers, in the order in which they were set.
#[derive(Default)]
pub(crate) struct Traps {
    set: Vec<(u32, Policy)>,
}

impl Traps {
    /// Sets a trap, instead of the one that has this number.
    pub(crate) fn set(&mut self, number: u32, policy: Policy) {
        self.remove(number);
        self.set.push((number, policy));
    }

    /// Removes the trap with this number, if there is one.
    pub(crate) fn remove(&mut self, number: u32) {
        self.set.retain(|(other, _)| *other != number);
    }

    /// Returns the number of the first trap that selects a packet.
    pub(crate) fn find(&self, flow: &Flow) -> Option<u32> {
        self.set.iter().find(|(_, policy)| policy.selects(flow)).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ipv4_packet, ipv6_packet, selector};

    fn policy(peer: &str) -> Policy {
        let any = (0, 65_535);
        let local = selector(0, any, "10.1.0.0-10.1.255.255");
        Policy::new(vec![local], vec![selector(0, any, peer)]).unwrap()
    }

    #[test]
    fn the_first_trap_that_selects_a_packet_is_sprung() {
        let flow = Flow::read(&ipv4_packet(1)).unwrap();
        let mut traps = Traps::default();
        traps.set(7, policy("10.3.0.0-10.3.255.255"));
        assert_eq!(traps.find(&flow), None);
        traps.set(8, policy("10.2.0.0-10.2.255.255"));
        traps.set(9, policy("10.2.0.1-10.2.0.1"));
        assert_eq!(traps.find(&flow), Some(8));
        assert_eq!(traps.find(&Flow::read(&ipv6_packet(1)).unwrap()), None);
        traps.set(8, policy("10.4.0.0-10.4.0.0"));
        assert_eq!(traps.find(&flow), Some(9));
        traps.remove(9);
        assert_eq!(traps.find(&flow), None);
    }
}

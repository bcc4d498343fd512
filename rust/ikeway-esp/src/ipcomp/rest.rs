// SPDX-License-Identifier: Apache-2.0
//! Which flows are not worth compressing for a while: what is compressed or encrypted already (RFC
//! 3173 §2.2).

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

/// Flows that are told apart; two in one place share its fate.
const PLACES: usize = 256;
/// Failures in a row before the first rest.
const PATIENCE: u8 = 3;
/// Packets that go untried in the first rest; each one after it is twice as long.
const FIRST_REST: u16 = 8;
const LONGEST_REST: u16 = 1024;

#[derive(Clone, Copy, Default)]
struct Place {
    failures: u8,
    length: u16,
    left: u16,
}

/// How the flows of a thread have done.
pub(super) struct Rests([Place; PLACES]);

impl Default for Rests {
    fn default() -> Self {
        Self([Place::default(); PLACES])
    }
}

impl Rests {
    /// Returns whether a packet of the flow goes untried.
    pub(super) fn is_resting(&mut self, flow: u64) -> bool {
        let place = self.place(flow);
        let is_resting = place.left > 0;
        place.left = place.left.saturating_sub(1);
        is_resting
    }

    /// Notes how a packet of the flow did: one success starts all over.
    pub(super) fn tried(&mut self, flow: u64, has_worked: bool) {
        let place = self.place(flow);
        if has_worked {
            *place = Place::default();
            return;
        }
        place.failures = place.failures.saturating_add(1);
        if place.failures >= PATIENCE {
            place.length = (place.length * 2).clamp(FIRST_REST, LONGEST_REST);
            place.left = place.length;
        }
    }

    fn place(&mut self, flow: u64) -> &mut Place {
        let [at, ..] = flow.to_be_bytes();
        &mut self.0[usize::from(at)]
    }
}

/// Returns a number that packets of one flow of an SA have in common: of the addresses and what is
/// where ports are.
pub(super) fn flow(spi: u32, inner: &[u8]) -> u64 {
    let fields = match inner.first().map(|first| first >> 4) {
        Some(4) => 12..24,
        _ => 8..44,
    };
    let mut hasher = FxHasher::default();
    (spi, inner.get(fields)).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3173 §2.2: "If then the next j datagrams also fail to compress, a larger number of
    /// datagrams, say k+n, are sent without attempting compression."
    #[test]
    fn rests_get_longer_and_end_with_a_success() {
        let mut rests = Rests::default();
        let mut tries = Vec::new();
        for packet in 0..4000 {
            if !rests.is_resting(7) {
                tries.push(packet);
                rests.tried(7, false);
            }
        }
        assert_eq!(tries[..6], [0, 1, 2, 11, 28, 61]);
        assert!(tries.windows(2).all(|two| two[1] - two[0] <= 1 + i32::from(LONGEST_REST)));
        while rests.is_resting(7) {}
        rests.tried(7, true);
        assert!((0..100).all(|_| !rests.is_resting(7)));
    }

    #[test]
    fn a_flow_has_one_place_and_others_mostly_others() {
        let packet = |port: u8| {
            let mut octets = crate::testing::ipv4_packet(100);
            octets[23] = port;
            octets[30] = port; // no part of it
            octets
        };
        let places: std::collections::HashSet<_> =
            (0..=255).map(|port| flow(1, &packet(port)).to_be_bytes()[0]).collect();
        assert!(places.len() > 100);
        assert_eq!(flow(1, &packet(9)), flow(1, &packet(9)));
        assert_ne!(flow(1, &packet(9)), flow(2, &packet(9)));
        flow(1, &[0x45]);
    }
}

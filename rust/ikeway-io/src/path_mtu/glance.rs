// SPDX-License-Identifier: Apache-2.0
//! Whether a peer's path may be narrow, at a glance: packets to others take no lock because of it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = 64;
const WORD_BITS: u32 = u64::BITS;
/// Odd, with its bits well mixed.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bit for each peer that is known, and by chance for a few that are not (a Bloom filter).
pub(super) struct Glance([AtomicU64; WORDS]);

impl Default for Glance {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }
}

impl Glance {
    /// Whether a peer may be among those that are known.
    #[inline]
    pub(super) fn may_know(&self, peer: IpAddr) -> bool {
        let (word, bit) = place(peer);
        self.0.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Adds a peer.
    pub(super) fn add(&self, peer: IpAddr) {
        let (word, bit) = place(peer);
        if let Some(word) = self.0.get(word) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Has these peers be all that are known; of those that stay none is missed meanwhile.
    pub(super) fn set<'peer>(&self, peers: impl Iterator<Item = &'peer IpAddr>) {
        let mut words = [0; WORDS];
        for (word, bit) in peers.map(|peer| place(*peer)) {
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
        for (word, bits) in self.0.iter().zip(words) {
            word.store(bits, Ordering::Relaxed);
        }
    }
}

fn place(peer: IpAddr) -> (usize, u64) {
    let number = match peer {
        IpAddr::V4(peer) => peer.to_bits().into(),
        IpAddr::V6(peer) => {
            let [.., high, low] = [peer.to_bits() >> 64, peer.to_bits() & u128::from(u64::MAX)]
                .map(|half| u64::try_from(half).unwrap_or_default());
            high.wrapping_mul(MIXER) ^ low
        }
    };
    let hash = number.wrapping_mul(MIXER) >> (u64::BITS - 12);
    let word = usize::try_from(hash >> 6).unwrap_or_default();
    (word, 1 << (hash % u64::from(WORD_BITS)))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn peers(first: u32) -> impl Iterator<Item = IpAddr> + Clone {
        let ipv6 = |number| Ipv6Addr::from(0xfd00 << 112 | u128::from(number) << 64).into();
        (first..first + 50).flat_map(move |number| [Ipv4Addr::from(number).into(), ipv6(number)])
    }

    #[test]
    fn none_that_is_known_is_missed_and_few_others_are_meant() {
        let glance = Glance::default();
        assert!(!peers(0).any(|peer| glance.may_know(peer)));
        peers(0).for_each(|peer| glance.add(peer));
        assert!(peers(0).all(|peer| glance.may_know(peer)));
        let by_chance = peers(0xc000_0200).filter(|peer| glance.may_know(*peer)).count();
        assert!(by_chance < 20, "{by_chance}");
        let left: Vec<_> = peers(0).take(10).collect();
        glance.set(left.iter());
        assert!(left.iter().all(|peer| glance.may_know(*peer)));
        let gone = peers(0).skip(10).filter(|peer| glance.may_know(*peer)).count();
        assert!(gone < 10, "{gone}");
    }
}

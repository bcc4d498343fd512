// SPDX-License-Identifier: Apache-2.0
//! Peers whose packets come from elsewhere than they should, from the thread that sees it to the
//! control thread (RFC 7296 §2.23).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Pairs that may wait to be told of; the others have their turn in a later round.
const MAX_MOVES: usize = 256;

/// Where peers were seen, by the inbound SPI of their pair, until the control thread takes it.
///
/// Rounds are counted by what leaves, so that a pair that was told of may be told of again.
#[derive(Default)]
pub(crate) struct Moves {
    seen: Mutex<HashMap<u32, SocketAddr>>,
    round: AtomicU64,
}

impl Moves {
    /// Returns what was seen since the last call.
    pub(crate) fn take(&self) -> Vec<(u32, SocketAddr)> {
        let mut seen = self.seen();
        self.next_round();
        seen.drain().collect()
    }

    /// Drops what was seen of a pair that has gone, or migrated.
    pub(crate) fn forget(&self, spi_in: u32) {
        self.seen().remove(&spi_in);
        self.next_round();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seen().is_empty()
    }

    /// Returns whether there was room.
    fn note(&self, spi_in: u32, peer: SocketAddr) -> bool {
        let mut seen = self.seen();
        let has_room = seen.len() < MAX_MOVES || seen.contains_key(&spi_in);
        if has_room {
            seen.insert(spi_in, peer);
        }
        has_room
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<u32, SocketAddr>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }
}

/// The receiving thread's memory of what it has told in this round: the packets of a peer that has
/// moved take the lock once in a round, not each.
#[derive(Default)]
pub(crate) struct Told {
    spis: HashSet<u32>,
    round: u64,
}

impl Told {
    /// Notes where a peer is, and returns whether that is news.
    pub(crate) fn tell(&mut self, moves: &Moves, spi_in: u32, peer: SocketAddr) -> bool {
        let round = moves.round.load(Ordering::Relaxed);
        if round != self.round {
            self.round = round;
            self.spis.clear();
        }
        let is_news = !self.spis.contains(&spi_in) && moves.note(spi_in, peer);
        if is_news {
            self.spis.insert(spi_in);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn a_pair_is_told_of_once_in_a_round() {
        let (moves, mut told) = (Moves::default(), Told::default());
        assert!(told.tell(&moves, 300, peer(1)));
        assert!(!told.tell(&moves, 300, peer(2)));
        assert!(told.tell(&moves, 301, peer(3)));
        let mut taken = moves.take();
        taken.sort_unstable();
        assert_eq!(taken, [(300, peer(1)), (301, peer(3))]);
        assert!(moves.is_empty());
        assert!(told.tell(&moves, 300, peer(2)));
        assert_eq!(moves.take(), [(300, peer(2))]);
    }

    #[test]
    fn a_pair_that_migrated_is_not_told_of_until_it_moves_again() {
        let (moves, mut told) = (Moves::default(), Told::default());
        assert!(told.tell(&moves, 300, peer(1)));
        moves.forget(300);
        assert!(moves.take().is_empty());
        assert!(told.tell(&moves, 300, peer(2)));
    }

    /// I5: many peers that move at once take a bounded place, and none is forgotten for good.
    #[test]
    fn pairs_beyond_the_bound_have_their_turn_later() {
        let (moves, mut told) = (Moves::default(), Told::default());
        let mut heard = HashSet::new();
        for _ in 0..4 {
            for spi_in in 1000..2000 {
                if !heard.contains(&spi_in) {
                    told.tell(&moves, spi_in, peer(1));
                }
            }
            let taken = moves.take();
            assert!(taken.len() <= MAX_MOVES);
            heard.extend(taken.into_iter().map(|(spi_in, _)| spi_in));
        }
        assert_eq!(heard.len(), 1000);
    }
}

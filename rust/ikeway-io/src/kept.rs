// SPDX-License-Identifier: Apache-2.0
//! Packets that sprang a trap and wait for their SA: few, and not for long (RFC 7296 §2.9).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Packets that may wait; more are dropped, the newest first, as in a full queue.
const MAX_PACKETS: usize = 64;
/// Their octets: room for a few that the host left for us to cut.
const MAX_OCTETS: usize = 1 << 18;
/// Who sent the packet has given up by then.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often the want of one trap is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Traps whose last telling is remembered; what is beyond is told at once.
const MAX_TOLD: usize = 1024;

/// What waits, in the order in which it came, and when each trap's want was told.
#[derive(Default)]
pub(crate) struct Kept {
    packets: VecDeque<(Instant, Vec<u8>)>,
    octets: usize,
    told: HashMap<u32, Instant>,
}

impl Kept {
    /// Keeps what one read of the interface gave. Returns whether there was room.
    pub(crate) fn keep(&mut self, octets: &[u8], now: Instant) -> bool {
        self.forget(now);
        let has_room = self.packets.len() < MAX_PACKETS && self.octets + octets.len() <= MAX_OCTETS;
        if has_room {
            self.octets += octets.len();
            self.packets.push_back((now, octets.to_vec()));
        }
        has_room
    }

    /// Returns whether the want of a trap is to be told, which is then counted as done.
    pub(crate) fn is_news(&mut self, trap: u32, now: Instant) -> bool {
        if self.told.len() > MAX_TOLD {
            self.told.clear();
        }
        let last = self.told.get(&trap);
        let is_news = last.is_none_or(|at| now.duration_since(*at) >= TELL_EVERY);
        if is_news {
            self.told.insert(trap, now);
        }
        is_news
    }

    /// Returns what waits and is not too old; it waits no more.
    ///
    /// An SA has come: who wants one after that, maybe as the peer ended it at once, is news.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<(Instant, Vec<u8>)> {
        self.forget(now);
        self.octets = 0;
        self.told.clear();
        self.packets.drain(..).collect()
    }

    /// Puts back what has to wait on, since it first came.
    pub(crate) fn put_back(&mut self, since: Instant, octets: Vec<u8>) {
        self.octets += octets.len();
        self.packets.push_back((since, octets));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, octets)) = self.packets.front() {
            if now.duration_since(*since) < PATIENCE {
                break;
            }
            self.octets = self.octets.saturating_sub(octets.len());
            self.packets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_wait_in_order_and_for_a_while() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        assert!(kept.keep(&[1], start));
        assert!(kept.keep(&[2], start + Duration::from_secs(5)));
        let taken = kept.take(start + Duration::from_secs(10));
        assert_eq!(taken.iter().map(|(_, octets)| octets[0]).collect::<Vec<_>>(), [1, 2]);
        assert!(kept.is_empty());
        for (since, octets) in taken {
            kept.put_back(since, octets);
        }
        let left = kept.take(start + Duration::from_secs(16));
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].1, [2]);
    }

    #[test]
    fn a_want_after_one_that_was_met_is_news() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        assert!(kept.is_news(7, start));
        assert!(kept.keep(&[1], start));
        assert!(!kept.is_news(7, start));
        assert_eq!(kept.take(start).len(), 1);
        assert!(kept.is_news(7, start));
    }

    /// I5: a host that floods a trap fills a bounded place, and wants one SA a second.
    #[test]
    fn a_flood_of_packets_is_bounded() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        let stored = (0..1000).filter(|_| kept.keep(&[0; 100], start)).count();
        assert_eq!(stored, MAX_PACKETS);
        let told = (0..1000).filter(|_| kept.is_news(7, start)).count();
        assert_eq!(told, 1);
        assert!(kept.is_news(8, start));
        assert!(kept.is_news(7, start + TELL_EVERY));
        assert_eq!(kept.take(start).len(), MAX_PACKETS);
        let large = vec![0; 60_000];
        let stored = (0..1000).filter(|_| kept.keep(&large, start)).count();
        assert_eq!(stored, MAX_OCTETS / 60_000);
    }
}

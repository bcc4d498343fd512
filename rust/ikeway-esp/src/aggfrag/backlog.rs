// SPDX-License-Identifier: Apache-2.0
//! Packets that wait for the clock: as many as the stream carries in a short while.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::congestion::carry_congestion;
use crate::error::Refusal;

/// The two bits of ECN that say "congestion".
const CONGESTED: u8 = 3;

/// A queue with a bound, between the threads that read packets and the one that sends by the clock.
pub struct Backlog {
    waiting: Mutex<Waiting>,
    most: AtomicUsize,
    longest: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    packets: VecDeque<Box<[u8]>>,
    octets: usize,
}

impl Backlog {
    /// Returns an empty queue for so many octets in all, and in a packet.
    #[must_use]
    pub fn new(most: usize, longest: usize) -> Self {
        let (most, longest) = (AtomicUsize::new(most), AtomicUsize::new(longest));
        Self { waiting: Mutex::default(), most, longest }
    }

    /// Returns the longest packet that may wait.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest.load(Ordering::Relaxed)
    }

    /// Sets how long a packet may be from now on.
    pub fn limit(&self, longest: usize) {
        self.longest.store(longest, Ordering::Relaxed);
    }

    /// Sets how many octets may wait in all from now on.
    pub fn bound(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Adds a packet at the end. From half of the bound on a sender that knows ECN is told of the
    /// congestion (RFC 3168).
    ///
    /// # Errors
    /// [`Refusal::Congested`] if there is no room: only loss can tell the sender;
    /// [`Refusal::TooLong`] if it is longer than a packet may be.
    pub fn push(&self, packet: &[u8]) -> Result<(), Refusal> {
        if packet.len() > self.longest() {
            return Err(Refusal::TooLong);
        }
        let mut waiting = self.waiting();
        let octets = waiting.octets + packet.len();
        let most = self.most.load(Ordering::Relaxed);
        if octets > most {
            return Err(Refusal::Congested);
        }
        let mut packet: Box<[u8]> = packet.into();
        if octets > most / 2 {
            // One without ECN has to be dropped later, if it comes to that.
            let _ = carry_congestion(&mut packet, CONGESTED);
        }
        waiting.packets.push_back(packet);
        waiting.octets = octets;
        Ok(())
    }

    /// Takes the first packet.
    #[must_use]
    pub fn pop(&self) -> Option<Box<[u8]>> {
        let mut waiting = self.waiting();
        let packet = waiting.packets.pop_front()?;
        waiting.octets -= packet.len();
        Some(packet)
    }

    /// Returns whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting().packets.is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::traffic_class;
    use crate::testing::ipv4_packet;

    /// Memory has a bound, whatever the host sends; order is kept.
    #[test]
    fn what_is_too_much_is_dropped_and_the_rest_keeps_its_order() {
        let backlog = Backlog::new(300, 1000);
        let packets: Vec<_> = (0..4).map(|size| ipv4_packet(60 + size)).collect();
        let taken: Vec<_> = packets.iter().map(|packet| backlog.push(packet)).collect();
        assert_eq!(taken, [Ok(()), Ok(()), Ok(()), Err(Refusal::Congested)]);
        for packet in &packets[..3] {
            assert_eq!(backlog.pop().unwrap()[28..], packet[28..]);
        }
        assert!(backlog.is_empty() && backlog.pop().is_none());
        assert_eq!(backlog.push(&packets[3]), Ok(()));
        assert_eq!(backlog.push(&ipv4_packet(1000)), Err(Refusal::TooLong));
    }

    /// RFC 9347 §2.2.5.2: "The sender MAY still set the ECN value of inner packets".
    #[test]
    fn who_knows_ecn_is_told_before_packets_are_dropped() {
        let backlog = Backlog::new(100, 1000);
        let mut capable = ipv4_packet(0);
        capable[1] = 2;
        for _ in 0..3 {
            backlog.push(&capable).unwrap();
        }
        let classes: Vec<_> =
            std::iter::from_fn(|| backlog.pop()).map(|packet| traffic_class(&packet)).collect();
        assert_eq!(classes, [2, 3, 3]);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! What passed through an SA and what did not, counted without locks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Refusal;

/// Packets and octets of one direction. Octets are those of the inner packets.
#[derive(Debug, Default)]
pub struct Tally {
    packets: AtomicU64,
    octets: AtomicU64,
}

impl Tally {
    /// Counts `packets` with `octets` in all.
    pub fn add(&self, packets: u64, octets: u64) {
        self.packets.fetch_add(packets, Ordering::Relaxed);
        self.octets.fetch_add(octets, Ordering::Relaxed);
    }

    /// Returns packets and octets.
    pub fn read(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.octets.load(Ordering::Relaxed))
    }
}

/// The counters of a pair of SAs.
#[derive(Debug, Default)]
pub struct Counters {
    /// Inbound.
    pub received: Tally,
    /// Outbound.
    pub sent: Tally,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl Counters {
    /// Counts a packet that went no further.
    pub fn refuse(&self, refusal: Refusal) {
        if let Some(counter) = self.refused.get(refusal.index()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many packets went no further for that reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(refusal.index()).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

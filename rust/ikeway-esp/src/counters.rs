// SPDX-License-Identifier: Apache-2.0
//! What passed through an SA and what did not, counted without locks.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::budget::{Budget, Limit};
use crate::error::Refusal;
use crate::sync::{AtomicU64, Ordering};

/// Packets and octets of one direction. Octets are those of the inner packets.
#[derive(Debug, Default)]
pub struct Tally {
    packets: AtomicU64,
    octets: AtomicU64,
}

impl Tally {
    /// Counts `packets` with `octets` in all, and returns the totals.
    pub fn add(&self, packets: u64, octets: u64) -> (u64, u64) {
        let before = self.packets.fetch_add(packets, Ordering::Relaxed);
        let octets_before = self.octets.fetch_add(octets, Ordering::Relaxed);
        (before.saturating_add(packets), octets_before.saturating_add(octets))
    }

    /// Returns packets and octets.
    pub fn read(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.octets.load(Ordering::Relaxed))
    }
}

/// What compression did in one direction.
#[derive(Debug, Default)]
pub struct Ratio {
    plain: Tally,
    packed: AtomicU64,
}

impl Ratio {
    fn add(&self, plain: usize, packed: usize) {
        self.plain.add(1, u64::try_from(plain).unwrap_or(u64::MAX));
        self.packed.fetch_add(u64::try_from(packed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns packets, their octets without compression, and those with it.
    pub fn read(&self) -> (u64, u64, u64) {
        let (packets, plain) = self.plain.read();
        (packets, plain, self.packed.load(Ordering::Relaxed))
    }
}

/// What compression did to the packets of a pair that were compressed.
#[derive(Debug, Default)]
pub struct Ratios {
    /// Inbound.
    pub expanded: Ratio,
    /// Outbound.
    pub compressed: Ratio,
}

/// What is known of a stream that is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamState {
    /// The time between two packets.
    pub every: Duration,
    /// The round trip, once one is known.
    pub rtt: Option<Duration>,
    /// The loss event rate that the peer reports of it, if it reports.
    pub loss_event_rate: Option<f64>,
    /// Whether its breaker is open, if it has one.
    pub is_open: Option<bool>,
}

type Refused = [AtomicU64; Refusal::ALL.len()];

/// The counters of a pair of SAs.
#[derive(Debug, Default)]
pub struct Counters {
    /// Inbound.
    pub received: Tally,
    /// Outbound.
    pub sent: Tally,
    /// What the pair may carry.
    pub budget: Budget,
    /// Made with the first of what most pairs never see.
    rare: OnceLock<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    refused: Refused,
    ratios: OnceLock<Ratios>,
    stream: Mutex<Option<StreamState>>,
}

impl Counters {
    /// Returns the counters of a new pair.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Counts an inner packet that came in; returns the limit that it reached, if it did.
    pub fn receive(&self, octets: usize) -> Option<Limit> {
        self.budget.reach(self.received.add(1, u64::try_from(octets).unwrap_or(u64::MAX)))
    }

    /// Counts an inner packet that went out; returns the limit that it reached, if it did.
    pub fn send(&self, octets: usize) -> Option<Limit> {
        self.budget.reach(self.sent.add(1, u64::try_from(octets).unwrap_or(u64::MAX)))
    }

    /// Counts a payload that went out compressed.
    pub(crate) fn compressed(&self, plain: usize, packed: usize) {
        self.changed().compressed.add(plain, packed);
    }

    /// Counts a payload that came in compressed.
    pub(crate) fn expanded(&self, plain: usize, packed: usize) {
        self.changed().expanded.add(plain, packed);
    }

    /// Returns what was compressed and expanded, if anything was.
    pub fn ratios(&self) -> Option<&Ratios> {
        self.rare.get()?.ratios.get()
    }

    /// Notes what is known of the stream that the pair sends.
    pub fn streams(&self, state: StreamState) {
        *self.rare().stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// Returns what is known of the stream that the pair sends, once it sends one.
    pub fn stream(&self) -> Option<StreamState> {
        *self.rare.get()?.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    fn changed(&self) -> &Ratios {
        self.rare().ratios.get_or_init(Ratios::default)
    }

    /// Counts a packet that went no further.
    pub fn refuse(&self, refusal: Refusal) {
        if let Some(counter) = self.rare().refused.get(refusal.index()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many packets went no further for that reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        let counter = self.rare.get().and_then(|rare| rare.refused.get(refusal.index()));
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

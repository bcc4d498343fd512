// SPDX-License-Identifier: Apache-2.0
//! Which of many SAs a packet is sent on: that of the longest prefix, then the newest (RFC 4301
//! §4.4.1).

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::inner::Flow;
use crate::outbound::OutboundSa;
use crate::selector::Selector;

/// SAs by the addresses of the peer's side; longer prefixes stand first.
#[derive(Default)]
pub(crate) struct Levels {
    levels: Vec<Level>,
}

/// The selectors whose addresses share a prefix of one length.
struct Level {
    prefix: Prefix,
    entries: FxHashMap<u128, Vec<Entry>>,
}

struct Entry {
    spi_in: u32,
    rank: (bool, u16, u64),
    sa: Arc<OutboundSa>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix {
    bits: u32,
    is_ipv6: bool,
}

impl Levels {
    /// Adds an SA, known by the SPI of its inbound half; of equals the one with the higher `order`
    /// is found.
    pub(crate) fn insert(&mut self, spi_in: u32, order: u64, sa: &Arc<OutboundSa>) {
        for selector in sa.policy().peer() {
            let (is_specific, narrowness) = selector.rank();
            let rank = (is_specific, narrowness, order);
            self.add(selector, Entry { spi_in, rank, sa: Arc::clone(sa) });
        }
    }

    /// Returns the SA that protects a packet, if any does, and the SPI of its inbound half.
    pub(crate) fn find(&self, flow: &Flow) -> Option<(u32, &OutboundSa)> {
        let candidates =
            self.levels.iter().filter_map(|level| level.entries.get(&level.key(flow.destination)?));
        let mut entries = candidates.flatten();
        let found = entries.find(|entry| entry.sa.policy().selects(flow));
        found.map(|entry| (entry.spi_in, &*entry.sa))
    }

    /// Removes an SA.
    pub(crate) fn remove(&mut self, spi_in: u32, sa: &OutboundSa) {
        for selector in sa.policy().peer() {
            self.withdraw(selector, spi_in);
        }
        self.levels.retain(|level| !level.entries.is_empty());
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    fn add(&mut self, selector: &Selector, entry: Entry) {
        let prefix = Prefix::around(selector);
        let place = match self.levels.binary_search_by(|level| prefix.cmp(&level.prefix)) {
            Ok(place) => place,
            Err(place) => {
                self.levels.insert(place, Level { prefix, entries: FxHashMap::default() });
                place
            }
        };
        let Some(level) = self.levels.get_mut(place) else { return };
        let Some(key) = level.key(selector.range().0) else { return };
        // Most selectors have one SA; a vector that grows would begin with room for four.
        let entries = level.entries.entry(key).or_insert_with(|| Vec::with_capacity(1));
        let place = entries.partition_point(|other| other.rank > entry.rank);
        entries.insert(place, entry);
    }

    fn withdraw(&mut self, selector: &Selector, spi_in: u32) {
        let prefix = Prefix::around(selector);
        let Some(level) = self.levels.iter_mut().find(|level| level.prefix == prefix) else {
            return;
        };
        let Some(key) = level.key(selector.range().0) else { return };
        if let Some(entries) = level.entries.get_mut(&key) {
            entries.retain(|entry| entry.spi_in != spi_in);
            if entries.is_empty() {
                level.entries.remove(&key);
            }
        }
    }
}

impl Level {
    /// Returns the octets of `address` that this level compares, or `None` if it is of the other
    /// family.
    fn key(&self, address: IpAddr) -> Option<u128> {
        if address.is_ipv6() != self.prefix.is_ipv6 {
            return None;
        }
        let rest = width(address) - self.prefix.bits;
        Some(number(address).checked_shr(rest).unwrap_or(0))
    }
}

impl Prefix {
    /// The longest prefix that holds the selector's whole range.
    fn around(selector: &Selector) -> Self {
        let (start, end) = selector.range();
        let differing = number(start) ^ number(end);
        let bits = width(start) - (u128::BITS - differing.leading_zeros());
        Self { bits, is_ipv6: start.is_ipv6() }
    }
}

const fn width(address: IpAddr) -> u32 {
    if address.is_ipv6() { 128 } else { 32 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

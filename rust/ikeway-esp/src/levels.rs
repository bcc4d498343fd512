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
    entries: FxHashMap<u128, Entries>,
}

struct Entry {
    spi_in: u32,
    narrowness: u16,
    is_specific: bool,
    order: u64,
    sa: Arc<OutboundSa>,
}

impl Entry {
    const fn rank(&self) -> (bool, u16, u64) {
        (self.is_specific, self.narrowness, self.order)
    }
}

/// Entries of one prefix, those that win first. Most have one, which needs no place of its own.
enum Entries {
    One(Entry),
    Several(Vec<Entry>),
}

impl Entries {
    fn as_slice(&self) -> &[Entry] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Several(entries) => entries,
        }
    }

    fn with(self, entry: Entry) -> Self {
        let mut entries = match self {
            Self::One(other) => vec![other],
            Self::Several(entries) => entries,
        };
        let place = entries.partition_point(|other| other.rank() > entry.rank());
        entries.insert(place, entry);
        Self::Several(entries)
    }

    /// Returns what is left without those of an SA, if anything is.
    fn without(self, spi_in: u32) -> Option<Self> {
        match self {
            Self::One(entry) => (entry.spi_in != spi_in).then_some(Self::One(entry)),
            Self::Several(mut entries) => {
                entries.retain(|entry| entry.spi_in != spi_in);
                if entries.len() > 1 {
                    Some(Self::Several(entries))
                } else {
                    entries.pop().map(Self::One)
                }
            }
        }
    }
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
            let sa = Arc::clone(sa);
            self.add(selector, Entry { spi_in, narrowness, is_specific, order, sa });
        }
    }

    /// Returns the SA that protects a packet, if any does, and the SPI of its inbound half.
    pub(crate) fn find(&self, flow: &Flow) -> Option<(u32, &OutboundSa)> {
        let candidates =
            self.levels.iter().filter_map(|level| level.entries.get(&level.key(flow.destination)?));
        let mut entries = candidates.flat_map(Entries::as_slice);
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
        let entries = match level.entries.remove(&key) {
            Some(others) => others.with(entry),
            None => Entries::One(entry),
        };
        level.entries.insert(key, entries);
    }

    fn withdraw(&mut self, selector: &Selector, spi_in: u32) {
        let prefix = Prefix::around(selector);
        let Some(level) = self.levels.iter_mut().find(|level| level.prefix == prefix) else {
            return;
        };
        let Some(key) = level.key(selector.range().0) else { return };
        if let Some(left) = level.entries.remove(&key).and_then(|found| found.without(spi_in)) {
            level.entries.insert(key, left);
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

// SPDX-License-Identifier: Apache-2.0
//! Which of many SAs a packet is sent on: that of the longest prefix, then the newest (RFC 4301
//! §4.4.1).

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use crate::gentle::Gentle;
use crate::inner::Flow;
use crate::order::Order;
use crate::outbound::OutboundSa;

/// SAs by the addresses of the peer's side.
#[derive(Default)]
pub(crate) struct Levels {
    v4: Family<u32>,
    v6: Family<u128>,
}

/// Those of one family; longer prefixes stand first.
#[derive(Default)]
struct Family<N> {
    levels: Vec<Level>,
    number: PhantomData<N>,
}

/// The selectors whose addresses share a prefix of so many bits, by what stands for it.
struct Level {
    bits: u32,
    entries: Gentle<u64, Entries>,
}

struct Entry {
    sa: Arc<OutboundSa>,
    spi_in: u32,
    narrowness: u16,
    is_specific: bool,
}

impl Entry {
    fn rank(&self) -> (bool, u16, Order) {
        (self.is_specific, self.narrowness, self.sa.order())
    }
}

/// Entries of one prefix. Most have one, which needs no place of its own.
enum Entries {
    One(Entry),
    Several(Box<Rivals>),
}

/// Those that win stand first.
struct Rivals(Vec<Entry>);

impl Entries {
    fn as_slice(&self) -> &[Entry] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Several(rivals) => &rivals.0,
        }
    }

    fn with(self, entry: Entry) -> Self {
        let mut rivals = match self {
            Self::One(other) => Box::new(Rivals(vec![other])),
            Self::Several(rivals) => rivals,
        };
        let place = rivals.0.partition_point(|other| other.rank() > entry.rank());
        rivals.0.insert(place, entry);
        Self::Several(rivals)
    }

    /// Returns what is left without those of an SA, if anything is.
    fn without(self, spi_in: u32) -> Option<Self> {
        match self {
            Self::One(entry) => (entry.spi_in != spi_in).then_some(Self::One(entry)),
            Self::Several(mut rivals) => {
                rivals.0.retain(|entry| entry.spi_in != spi_in);
                if rivals.0.len() > 1 {
                    Some(Self::Several(rivals))
                } else {
                    rivals.0.pop().map(Self::One)
                }
            }
        }
    }
}

/// An address as a number.
trait Number: Copy {
    /// Returns how many bits both begin with.
    fn alike(self, other: Self) -> u32;

    /// Returns what stands for the first bits. Long prefixes of IPv6 may share it: whoever finds an entry
    /// compares addresses.
    fn first(self, bits: u32) -> u64;
}

impl Number for u32 {
    fn alike(self, other: Self) -> u32 {
        (self ^ other).leading_zeros()
    }

    #[inline]
    fn first(self, bits: u32) -> u64 {
        self.checked_shr(Self::BITS - bits).unwrap_or(0).into()
    }
}

impl Number for u128 {
    fn alike(self, other: Self) -> u32 {
        (self ^ other).leading_zeros()
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
    fn first(self, bits: u32) -> u64 {
        let first = self.checked_shr(Self::BITS - bits).unwrap_or(0);
        first as u64 ^ ((first >> 64) as u64).wrapping_mul(MIXER)
    }
}

/// Odd, with its bits well mixed.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Levels {
    /// Adds an SA, known by the SPI of its inbound half; of equals the one with the higher order is
    /// found.
    pub(crate) fn insert(&mut self, spi_in: u32, sa: &Arc<OutboundSa>) {
        for selector in sa.policy().peer() {
            let (is_specific, narrowness) = selector.rank();
            let entry = Entry { sa: Arc::clone(sa), spi_in, narrowness, is_specific };
            match selector.range() {
                (IpAddr::V4(start), IpAddr::V4(end)) => {
                    self.v4.insert((start.to_bits(), end.to_bits()), entry);
                }
                (IpAddr::V6(start), IpAddr::V6(end)) => {
                    self.v6.insert((start.to_bits(), end.to_bits()), entry);
                }
                // Selectors do not mix families.
                _ => (),
            }
        }
    }

    /// Returns the SA that protects a packet, if any does, and the SPI of its inbound half.
    #[inline]
    pub(crate) fn find(&self, flow: &Flow) -> Option<(u32, &OutboundSa)> {
        let found = match flow.destination {
            IpAddr::V4(address) => self.v4.find(address.to_bits(), flow),
            IpAddr::V6(address) => self.v6.find(address.to_bits(), flow),
        };
        found.map(|entry| (entry.spi_in, &*entry.sa))
    }

    /// Removes an SA.
    pub(crate) fn remove(&mut self, spi_in: u32, sa: &OutboundSa) {
        for selector in sa.policy().peer() {
            match selector.range() {
                (IpAddr::V4(start), IpAddr::V4(end)) => {
                    self.v4.remove((start.to_bits(), end.to_bits()), spi_in);
                }
                (IpAddr::V6(start), IpAddr::V6(end)) => {
                    self.v6.remove((start.to_bits(), end.to_bits()), spi_in);
                }
                _ => (),
            }
        }
    }

    #[cfg(test)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.v4.levels.is_empty() && self.v6.levels.is_empty()
    }
}

impl<N: Number> Family<N> {
    /// A range is found by the longest prefix that holds the whole of it.
    fn insert(&mut self, (start, end): (N, N), entry: Entry) {
        let bits = start.alike(end);
        let place = match self.place(bits) {
            Ok(place) => place,
            Err(place) => {
                self.levels.insert(place, Level { bits, entries: Gentle::default() });
                place
            }
        };
        let Some(level) = self.levels.get_mut(place) else { return };
        let key = start.first(bits);
        let entries = match level.entries.remove(key) {
            Some(others) => others.with(entry),
            None => Entries::One(entry),
        };
        level.entries.insert(key, entries);
    }

    #[inline]
    fn find(&self, address: N, flow: &Flow) -> Option<&Entry> {
        let candidates =
            self.levels.iter().filter_map(|level| level.entries.get(address.first(level.bits)));
        let mut entries = candidates.flat_map(Entries::as_slice);
        entries.find(|entry| entry.sa.policy().selects(flow))
    }

    fn remove(&mut self, (start, end): (N, N), spi_in: u32) {
        let bits = start.alike(end);
        let Ok(place) = self.place(bits) else { return };
        let Some(level) = self.levels.get_mut(place) else { return };
        let key = start.first(bits);
        if let Some(left) = level.entries.remove(key).and_then(|found| found.without(spi_in)) {
            level.entries.insert(key, left);
        }
        if level.entries.is_empty() {
            self.levels.remove(place);
        }
    }

    fn place(&self, bits: u32) -> Result<usize, usize> {
        self.levels.binary_search_by(|level| bits.cmp(&level.bits))
    }
}

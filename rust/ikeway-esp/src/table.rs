// SPDX-License-Identifier: Apache-2.0
//! Which SA a packet belongs to: by SPI inbound, by the longest matching prefix outbound (RFC 4301
//! §4.4.1, §4.4.2).

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::error::InstallError;
use crate::inbound::InboundSa;
use crate::inner::Flow;
use crate::outbound::OutboundSa;
use crate::selector::Selector;

/// The SAs that we receive on, by our SPI.
#[derive(Default)]
pub struct InboundTable {
    sas: FxHashMap<u32, InboundSa>,
}

impl InboundTable {
    /// Adds an SA.
    ///
    /// # Errors
    /// [`InstallError::SpiInUse`] if its SPI is taken.
    pub fn insert(&mut self, sa: InboundSa) -> Result<(), InstallError> {
        let spi = sa.spi();
        if self.sas.contains_key(&spi) {
            return Err(InstallError::SpiInUse(spi));
        }
        self.sas.insert(spi, sa);
        Ok(())
    }

    /// Returns the SA with this SPI.
    pub fn get_mut(&mut self, spi: u32) -> Option<&mut InboundSa> {
        self.sas.get_mut(&spi)
    }

    /// Removes the SA with this SPI, if there is one.
    pub fn remove(&mut self, spi: u32) {
        self.sas.remove(&spi);
    }

    /// Removes every SA.
    pub fn clear(&mut self) {
        self.sas.clear();
    }
}

/// The SAs that we send on. Of several that select a packet, the longest prefix wins, then the
/// newest.
#[derive(Default)]
pub struct OutboundTable {
    by_spi_in: FxHashMap<u32, Arc<OutboundSa>>,
    levels: Vec<Level>,
    installed: u64,
}

/// The selectors whose addresses share a prefix of one length; longer prefixes stand first.
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

impl OutboundTable {
    /// Adds an SA, known by the SPI of its inbound half.
    pub fn insert(&mut self, spi_in: u32, sa: &Arc<OutboundSa>) {
        self.remove(spi_in);
        self.installed += 1;
        self.by_spi_in.insert(spi_in, Arc::clone(sa));
        for selector in sa.policy().peer() {
            let (is_specific, narrowness) = selector.rank();
            let rank = (is_specific, narrowness, self.installed);
            self.add(selector, Entry { spi_in, rank, sa: Arc::clone(sa) });
        }
    }

    /// Returns the SA that protects a packet, if any does.
    #[must_use]
    pub fn find(&self, flow: &Flow) -> Option<&Arc<OutboundSa>> {
        let candidates =
            self.levels.iter().filter_map(|level| level.entries.get(&level.key(flow.destination)?));
        let mut entries = candidates.flatten();
        entries.find(|entry| entry.sa.policy().selects(flow)).map(|entry| &entry.sa)
    }

    /// Removes the SA whose inbound half has this SPI, if there is one.
    pub fn remove(&mut self, spi_in: u32) {
        let Some(sa) = self.by_spi_in.remove(&spi_in) else { return };
        for selector in sa.policy().peer() {
            self.withdraw(selector, spi_in);
        }
        self.levels.retain(|level| !level.entries.is_empty());
    }

    /// Removes every SA.
    pub fn clear(&mut self) {
        *self = Self { installed: self.installed, ..Self::default() };
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
        let entries = level.entries.entry(key).or_default();
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::inner::Port;
    use crate::suite::SUITES;
    use crate::testing::{inbound, keys, selector, shared};

    const ANY: (u16, u16) = (0, 65_535);

    fn sa(spi: u32, peer: &[(u8, (u16, u16), &str)]) -> Arc<OutboundSa> {
        let local =
            vec![selector(0, ANY, "10.1.0.0-10.1.255.255"), selector(0, ANY, "fd01::-fd01::ffff")];
        let peer = peer
            .iter()
            .map(|(protocol, ports, range)| selector(*protocol, *ports, range))
            .collect();
        let mut shared = shared(&SUITES[0], false, local, peer);
        shared.spi = spi;
        let path: SocketAddr = "192.0.2.1:4500".parse().unwrap();
        Arc::new(OutboundSa::new(shared, (path, path), &keys(&SUITES[0]), &[0; 16], 0).unwrap())
    }

    fn found(table: &OutboundTable, destination: &str, port: u16) -> Option<u32> {
        let destination: IpAddr = destination.parse().unwrap();
        let source = if destination.is_ipv4() { "10.1.2.3" } else { "fd01::5" }.parse().unwrap();
        let (source_port, destination_port) = (Port::Known(4000), Port::Known(port));
        let flow = Flow { source, destination, protocol: 6, source_port, destination_port };
        table.find(&flow).map(|sa| sa.spi())
    }

    #[test]
    fn the_longest_prefix_wins_in_both_families() {
        let mut table = OutboundTable::default();
        table.insert(
            1000,
            &sa(300, &[(0, ANY, "0.0.0.0-255.255.255.255"), (0, ANY, "fd00::-fdff::")]),
        );
        table.insert(
            1001,
            &sa(301, &[(0, ANY, "10.2.0.0-10.2.255.255"), (0, ANY, "fd02::7-fd02::7")]),
        );
        table.insert(1002, &sa(302, &[(0, ANY, "10.2.0.7-10.2.0.7")]));
        assert_eq!(found(&table, "10.2.0.7", 1), Some(302));
        assert_eq!(found(&table, "10.2.0.8", 1), Some(301));
        assert_eq!(found(&table, "192.0.2.9", 1), Some(300));
        assert_eq!(found(&table, "fd02::7", 1), Some(301));
        assert_eq!(found(&table, "fd03::7", 1), Some(300));
        assert_eq!(found(&table, "2001:db8::1", 1), None);
    }

    #[test]
    fn of_equal_selectors_the_newest_wins_until_it_goes() {
        let mut table = OutboundTable::default();
        let selectors = [(0, ANY, "10.2.0.0-10.2.255.255")];
        table.insert(1000, &sa(300, &selectors));
        table.insert(1001, &sa(301, &selectors));
        assert_eq!(found(&table, "10.2.0.1", 1), Some(301));
        table.remove(1001);
        assert_eq!(found(&table, "10.2.0.1", 1), Some(300));
        table.remove(1000);
        assert_eq!(found(&table, "10.2.0.1", 1), None);
        assert!(table.levels.is_empty());
    }

    #[test]
    fn a_protocol_with_ports_says_more_than_any() {
        let mut table = OutboundTable::default();
        table.insert(1000, &sa(300, &[(6, (443, 443), "10.2.0.0-10.2.255.255")]));
        table.insert(1001, &sa(301, &[(0, ANY, "10.2.0.0-10.2.255.255")]));
        assert_eq!(found(&table, "10.2.0.1", 443), Some(300));
        assert_eq!(found(&table, "10.2.0.1", 80), Some(301));
    }

    #[test]
    fn a_range_that_is_no_prefix_is_kept_to_its_ends() {
        let mut table = OutboundTable::default();
        table.insert(1000, &sa(300, &[(0, ANY, "10.2.0.5-10.3.0.6")]));
        assert_eq!(found(&table, "10.2.0.4", 1), None);
        assert_eq!(found(&table, "10.2.0.5", 1), Some(300));
        assert_eq!(found(&table, "10.3.0.6", 1), Some(300));
        assert_eq!(found(&table, "10.3.0.7", 1), None);
    }

    #[test]
    fn another_source_is_not_sent() {
        let mut table = OutboundTable::default();
        table.insert(1000, &sa(300, &[(0, ANY, "0.0.0.0-255.255.255.255")]));
        let (source, destination) = ("10.9.0.1".parse().unwrap(), "10.2.0.1".parse().unwrap());
        let (source_port, destination_port) = (Port::Hidden, Port::Hidden);
        let flow = Flow { source, destination, protocol: 99, source_port, destination_port };
        assert!(table.find(&flow).is_none());
    }

    /// CF-U01: RFC 4303 §2.1: an SPI names one inbound SA.
    #[test]
    fn an_spi_is_taken_once() {
        let mut table = InboundTable::default();
        let spi = inbound(&SUITES[0], false).spi();
        assert!(table.insert(inbound(&SUITES[0], false)).is_ok());
        assert_eq!(table.insert(inbound(&SUITES[0], false)), Err(InstallError::SpiInUse(spi)));
        table.remove(spi);
        assert!(table.get_mut(spi).is_none());
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Which SA is found, in every order of coming and going.

use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::inner::Port;
use crate::nearness::Nearness;
use crate::testing::{aes_gcm, inbound, ipv4_packet, keys, seal, selector, shared};

const ANY: (u16, u16) = (0, 65_535);

fn sa(spi: u32, peer: &[(u8, (u16, u16), &str)]) -> OutboundSa {
    let local =
        vec![selector(0, ANY, "10.1.0.0-10.1.255.255"), selector(0, ANY, "fd01::-fd01::ffff")];
    let peer =
        peer.iter().map(|(protocol, ports, range)| selector(*protocol, *ports, range)).collect();
    let mut shared = shared(aes_gcm(), false, local, peer);
    shared.spi = spi;
    let path: SocketAddr = "192.0.2.1:4500".parse().unwrap();
    OutboundSa::new(shared, (path, path), &keys(aes_gcm()), &[0; 16], 0).unwrap()
}

fn found(table: &OutboundTable, destination: &str, port: u16) -> Option<u32> {
    table.find(&flow(destination, port)).map(OutboundSa::spi)
}

/// What the packet path does.
fn sent(table: &mut OutboundTable, destination: &str) -> Option<u32> {
    let found = found(table, destination, 1);
    found.or_else(|| table.awaken(&flow(destination, 1)).map(OutboundSa::spi))
}

fn flow(destination: &str, port: u16) -> Flow {
    let destination: IpAddr = destination.parse().unwrap();
    let source = if destination.is_ipv4() { "10.1.2.3" } else { "fd01::5" }.parse().unwrap();
    let (source_port, destination_port) = (Port::Known(4000), Port::Known(port));
    Flow { source, destination, protocol: 6, source_port, destination_port }
}

#[test]
fn the_longest_prefix_wins_in_both_families() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &[(0, ANY, "0.0.0.0-255.255.255.255"), (0, ANY, "fd00::-fdff::")]));
    table.insert(1001, sa(301, &[(0, ANY, "10.2.0.0-10.2.255.255"), (0, ANY, "fd02::7-fd02::7")]));
    table.insert(1002, sa(302, &[(0, ANY, "10.2.0.7-10.2.0.7")]));
    assert_eq!(found(&table, "10.2.0.7", 1), Some(302));
    assert_eq!(found(&table, "10.2.0.8", 1), Some(301));
    assert_eq!(found(&table, "192.0.2.9", 1), Some(300));
    assert_eq!(found(&table, "fd02::7", 1), Some(301));
    assert_eq!(found(&table, "fd03::7", 1), Some(300));
    assert_eq!(found(&table, "2001:db8::1", 1), None);
}

/// A table keeps 64 bits of a prefix, which two may share: chosen here, as a peer might.
#[test]
fn prefixes_that_are_kept_alike_are_told_apart() {
    let mixer = 0x9e37_79b9_7f4a_7c15_u64;
    let high = |number: u64| 0xfd00 << 48 | number;
    let pair = [1, 2].map(|number| {
        let low = high(number).wrapping_mul(mixer);
        std::net::Ipv6Addr::from_bits(u128::from(high(number)) << 64 | u128::from(low)).to_string()
    });
    let mut table = OutboundTable::default();
    for (spi_in, ip) in (1000..).zip(&pair) {
        table.insert(spi_in, sa(spi_in - 700, &[(0, ANY, &format!("{ip}-{ip}"))]));
    }
    assert_eq!([&pair[0], &pair[1]].map(|ip| found(&table, ip, 1)), [Some(300), Some(301)]);
    assert_eq!(found(&table, "::", 1), None);
    table.remove(1000);
    assert_eq!([&pair[0], &pair[1]].map(|ip| found(&table, ip, 1)), [None, Some(301)]);
}

#[test]
fn of_equal_selectors_the_newest_wins_until_it_goes() {
    let mut table = OutboundTable::default();
    let selectors = [(0, ANY, "10.2.0.0-10.2.255.255")];
    table.insert(1000, sa(300, &selectors));
    table.insert(1001, sa(301, &selectors));
    assert_eq!(found(&table, "10.2.0.1", 1), Some(301));
    table.remove(1001);
    assert_eq!(found(&table, "10.2.0.1", 1), Some(300));
    table.remove(1000);
    assert_eq!(found(&table, "10.2.0.1", 1), None);
    assert!(table.active.is_empty());
}

const NET: [(u8, (u16, u16), &str); 1] = [(0, ANY, "10.2.0.0-10.2.255.255")];
const HOST: [(u8, (u16, u16), &str); 1] = [(0, ANY, "10.2.0.7-10.2.0.7")];

/// CF-F04: RFC 7296 §2.8: a responder does not send on the new SA before the peer did.
#[test]
fn an_sa_on_standby_sends_once_it_is_activated_and_then_is_the_newest() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &NET));
    table.insert_standby(1001, sa(301, &NET));
    table.insert(1002, sa(302, &NET));
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(302));
    table.activate(1001);
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(301));
    table.activate(1000);
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(301), "1000 was on no standby");
    table.remove(1001);
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(302));
}

#[test]
fn a_longer_prefix_on_standby_does_not_send() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &NET));
    table.insert_standby(1001, sa(301, &HOST));
    assert_eq!(sent(&mut table, "10.2.0.7"), Some(300));
    table.activate(1001);
    assert_eq!(sent(&mut table, "10.2.0.7"), Some(301));
    assert_eq!(sent(&mut table, "10.2.0.8"), Some(300));
}

/// CF-F04: RFC 7296 §2.8: the Delete of the old SA is as good as a packet on the new one.
#[test]
fn an_sa_on_standby_sends_what_no_active_one_selects() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &NET));
    table.insert_standby(1001, sa(301, &NET));
    table.remove(1000);
    assert_eq!(sent(&mut table, "192.0.2.1"), None);
    assert_eq!(found(&table, "10.2.0.1", 1), None);
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(301));
    table.insert_standby(1002, sa(302, &NET));
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(301), "301 is active from then on");
}

#[test]
fn of_several_on_standby_the_oldest_takes_over() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &NET));
    table.insert_standby(1001, sa(301, &NET));
    table.insert_standby(1002, sa(302, &NET));
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(300));
    table.remove(1000);
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(301));
    table.activate(1002);
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(302));
}

#[test]
fn an_sa_on_standby_may_go_unused() {
    let mut table = OutboundTable::default();
    table.insert_standby(1000, sa(300, &NET));
    table.insert_standby(1000, sa(301, &NET));
    table.remove(1000);
    table.activate(1000);
    assert_eq!(sent(&mut table, "10.2.0.1"), None);
    table.insert_standby(1001, sa(302, &NET));
    table.clear();
    assert_eq!(sent(&mut table, "10.2.0.1"), None);
    assert!(table.standby.is_empty() && table.held.is_empty());
}

#[test]
fn an_sa_that_migrates_keeps_its_place_and_its_numbers() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &NET));
    table.insert(1001, sa(301, &[NET[0], HOST[0]]));
    table.insert_standby(1002, sa(302, &NET));
    let inner = ipv4_packet(0);
    let first = seal(table.find(&flow("10.2.0.7", 1)).unwrap(), &inner);
    let path = ("192.0.2.9:4500".parse().unwrap(), "198.51.100.1:1024".parse().unwrap());
    for spi_in in 1000..1003 {
        assert!(table.migrate(spi_in, path));
    }
    assert!(!table.migrate(1003, path));
    let found = table.find(&flow("10.2.0.7", 1)).unwrap();
    assert_eq!((found.spi(), found.path()), (301, path));
    let second = seal(found, &inner);
    assert_eq!((first[7], second[7]), (1, 2));
    table.remove(1001);
    assert_eq!(table.find(&flow("10.2.0.1", 1)).map(OutboundSa::path), Some(path));
    table.remove(1000);
    assert_eq!(table.awaken(&flow("10.2.0.1", 1)).map(OutboundSa::path), Some(path));
}

#[test]
fn a_protocol_with_ports_says_more_than_any() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &[(6, (443, 443), "10.2.0.0-10.2.255.255")]));
    table.insert(1001, sa(301, &[(0, ANY, "10.2.0.0-10.2.255.255")]));
    assert_eq!(found(&table, "10.2.0.1", 443), Some(300));
    assert_eq!(found(&table, "10.2.0.1", 80), Some(301));
}

#[test]
fn a_range_that_is_no_prefix_is_kept_to_its_ends() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &[(0, ANY, "10.2.0.5-10.3.0.6")]));
    assert_eq!(found(&table, "10.2.0.4", 1), None);
    assert_eq!(found(&table, "10.2.0.5", 1), Some(300));
    assert_eq!(found(&table, "10.3.0.6", 1), Some(300));
    assert_eq!(found(&table, "10.3.0.7", 1), None);
}

#[test]
fn another_source_is_not_sent() {
    let mut table = OutboundTable::default();
    table.insert(1000, sa(300, &[(0, ANY, "0.0.0.0-255.255.255.255")]));
    let (source, destination) = ("10.9.0.1".parse().unwrap(), "10.2.0.1".parse().unwrap());
    let (source_port, destination_port) = (Port::Hidden, Port::Hidden);
    let flow = Flow { source, destination, protocol: 99, source_port, destination_port };
    assert!(table.find(&flow).is_none());
}

/// CF-U01: RFC 4303 §2.1: an SPI names one inbound SA.
#[test]
fn an_spi_is_taken_once() {
    let mut table = InboundTable::default();
    let spi = inbound(aes_gcm(), false).spi();
    assert!(table.insert(inbound(aes_gcm(), false)).is_ok());
    assert_eq!(table.insert(inbound(aes_gcm(), false)), Err(InstallError::SpiInUse(spi)));
    table.remove(spi);
    assert!(table.get_mut(spi).is_none());
}

/// RFC 9611 §2: each queue sends on the SA that is its own, and on that of all where it has none.
#[test]
fn the_sa_of_the_queue_goes_before_one_for_all_and_that_before_anothers() {
    let mut table = OutboundTable::default();
    let handle = |spi, nearness| sa(spi, &[(0, ANY, "10.2.0.0-10.2.255.255")]).handle(nearness);
    table.insert(1001, handle(301, Nearness::Elsewhere));
    assert_eq!(found(&table, "10.2.0.1", 1), Some(301));
    table.insert(1002, handle(302, Nearness::Everywhere));
    table.insert(1003, handle(303, Nearness::Elsewhere));
    assert_eq!(found(&table, "10.2.0.1", 1), Some(302));
    table.insert_standby(1004, handle(304, Nearness::Here));
    assert_eq!(found(&table, "10.2.0.1", 1), Some(302), "the peer may not have it yet");
    table.activate(1004);
    table.insert(1005, handle(305, Nearness::Everywhere));
    assert_eq!(found(&table, "10.2.0.1", 1), Some(304), "also when the one for all was rekeyed");
    table.remove(1004);
    assert_eq!(found(&table, "10.2.0.1", 1), Some(305));
    table.remove(1005);
    table.remove(1002);
    assert_eq!(found(&table, "10.2.0.1", 1), Some(303));
}

/// RFC 7296 §2.8: of several on standby the oldest is the first to be used, the queue's own before it.
#[test]
fn on_standby_the_nearest_goes_first_and_then_the_oldest() {
    let mut table = OutboundTable::default();
    let handle = |spi, nearness| sa(spi, &[(0, ANY, "10.2.0.0-10.2.255.255")]).handle(nearness);
    for (spi, nearness) in
        [(301, Nearness::Everywhere), (302, Nearness::Here), (303, Nearness::Here)]
    {
        table.insert_standby(spi + 700, handle(spi, nearness));
    }
    assert_eq!(sent(&mut table, "10.2.0.1"), Some(302));
}

/// RFC 4303 §2.2: handles of one SA count together.
#[test]
fn handles_of_an_sa_share_its_numbers() {
    let one = sa(300, &[(0, ANY, "10.2.0.0-10.2.255.255")]);
    let other = one.handle(Nearness::Here);
    let mut numbers = Vec::new();
    for handle in [&one, &other, &one, &other] {
        numbers.push(seal(handle, &ipv4_packet(1))[4..8].to_vec());
    }
    assert_eq!(numbers.concat(), [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
}

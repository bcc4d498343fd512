// SPDX-License-Identifier: Apache-2.0
//! Packets between hosts, and what NATs do to their checksums.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::inbound::InboundSa;
use crate::ipcomp::Expander;
use crate::outbound::OutboundSa;
use crate::suite::Suite;
use crate::testing::{
    aes_gcm, craft, ipv4_packet, ipv6_packet, keys, seal, selector, shared, with,
};
use crate::transform::Shared;

const ANY: (u16, u16) = (0, 65_535);
const LEFT: &str = "10.1.0.1";
const RIGHT: &str = "10.2.0.1";
const LEFT_V6: &str = "fd00::1";
const RIGHT_V6: &str = "fd00::2";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn policy(local: &str, peer: &str) -> Policy {
    let one = |host: &str| vec![selector(0, ANY, &format!("{host}-{host}"))];
    Policy::new(one(local), one(peer)).unwrap()
}

fn hosts(local: &str, peer: &str, original: Option<(&str, &str)>) -> Hosts {
    let original = original.map(|(local, peer)| (ip(local), ip(peer)));
    Hosts::new((ip(local), ip(peer)), original, &policy(local, peer)).unwrap()
}

fn transport(suite: Suite, local: &str, peer: &str, original: Option<(&str, &str)>) -> Shared {
    let host = |host: &str| vec![selector(0, ANY, &format!("{host}-{host}"))];
    let shared = shared(suite, false, host(local), host(peer));
    with(&shared, Some(hosts(local, peer, original)), None)
}

fn sender(suite: Suite, local: &str, peer: &str) -> OutboundSa {
    let path = ("192.0.2.1:4500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap());
    let shared = transport(suite, local, peer, None);
    OutboundSa::new(shared, path, &keys(suite), &[7; 16], 0).unwrap()
}

fn receiver(suite: Suite, local: &str, peer: &str, original: Option<(&str, &str)>) -> InboundSa {
    InboundSa::new(transport(suite, local, peer, original), &keys(suite), 64).unwrap()
}

fn open(sa: &mut InboundSa, packet: &mut [u8], class: u8) -> Result<Vec<u8>, Refusal> {
    let verified = sa.verify(packet)?;
    let mut buffer = vec![0xee; 3];
    let rebuilt = sa.rebuild(&verified, packet, class, &mut Expander::default(), &mut buffer);
    assert_eq!(buffer[..3], [0xee; 3]);
    assert_eq!(buffer.len() > 3, rebuilt.is_ok());
    rebuilt.map(|()| buffer.split_off(3))
}

/// Returns the sum of the pseudo header and what is above it: 0xffff if the checksum is right.
fn check(packet: &[u8]) -> u16 {
    let (addresses, upper, protocol) = if packet[0] >> 4 == 4 {
        (&packet[12..20], &packet[20..], packet[9])
    } else {
        (&packet[8..40], &packet[40..], packet[6])
    };
    let mut padded = upper.to_vec();
    padded.push(0);
    let length = u32::try_from(upper.len()).unwrap();
    fold(fold(sum_octets(addresses) + sum_octets(&padded)).into())
        .checked_add(0)
        .map(|sum| fold(u32::from(sum) + length + u32::from(protocol)))
        .unwrap()
}

fn with_checksum(mut packet: Vec<u8>) -> Vec<u8> {
    let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let length = u16::try_from(packet.len() - header).unwrap().to_be_bytes();
    packet[header + 4..header + 6].copy_from_slice(&length);
    let sum = !check(&packet);
    let sum = if sum == 0 { 0xffff } else { sum };
    packet[header + 6..header + 8].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(check(&packet), 0xffff);
    packet
}

/// RFC 4303 §3.1.1: the payload goes, the header is made anew from what both hosts know.
#[test]
fn every_suite_carries_the_payload_between_two_hosts() {
    for suite in Suite::all() {
        for payload in [0, 1, 7, 1372] {
            let cases = [
                (with_checksum(ipv4_packet(payload)), LEFT, RIGHT),
                (with_checksum(ipv6_packet(payload)), LEFT_V6, RIGHT_V6),
            ];
            for (packet, local, peer) in cases {
                let header = if packet[0] >> 4 == 4 { IPV4_HEADER } else { IPV6_HEADER };
                let out = sender(suite, local, peer);
                let mut sealed = vec![0; out.sealed_length(packet.len() - header)];
                assert_eq!(out.seal(&packet, &mut sealed), Ok(sealed.len()));
                let mut sa = receiver(suite, peer, local, None);
                let opened = open(&mut sa, &mut sealed, 0).unwrap();
                assert_eq!(opened[header..], packet[header..]);
                assert_eq!(check(&opened), 0xffff);
                if header == IPV4_HEADER {
                    assert_eq!(fold(sum_octets(&opened[..header])), 0xffff, "header checksum");
                }
            }
        }
    }
}

/// RFC 3948 §3.1.2: "incrementally recompute the TCP/UDP checksum", from the real addresses to those
/// that the receiver sees.
#[test]
fn checksums_are_amended_where_a_nat_changed_addresses() {
    let cases = [
        (with_checksum(ipv4_packet(9)), (LEFT, RIGHT), ("192.0.2.77", "198.51.100.1")),
        (with_checksum(ipv6_packet(9)), (LEFT_V6, RIGHT_V6), ("2001:db8::7", "2001:db8::8")),
    ];
    for (packet, (left, right), (seen_left, seen_right)) in cases {
        let header = if packet[0] >> 4 == 4 { IPV4_HEADER } else { IPV6_HEADER };
        let mut rebuilt = Vec::new();
        let server = hosts(seen_right, seen_left, Some((right, left)));
        server.rebuild(UDP, &packet[header..], 0, &mut rebuilt).unwrap();
        assert_eq!(check(&rebuilt), 0xffff);
        assert_ne!(rebuilt[header..], packet[header..]);
    }
}

/// RFC 768: a checksum that was left out stays so, and one that comes out as zero is minus zero.
#[test]
fn a_udp_checksum_of_zero_is_none() {
    let mut upper = [0_u8; 8];
    amend(UDP, &mut upper, 1, 2);
    assert_eq!(upper, [0; 8]);
    upper[7] = 1;
    amend(UDP, &mut upper, 0, 1);
    assert_eq!(upper[6..], [0xff, 0xff]);
}

/// The end-to-end check stays one: what was damaged before it was sealed is still seen to be.
#[test]
fn a_wrong_checksum_stays_wrong() {
    let mut packet = with_checksum(ipv4_packet(9));
    packet[30] ^= 0x40;
    let mut rebuilt = Vec::new();
    let server = hosts("192.0.2.9", "192.0.2.8", Some((RIGHT, LEFT)));
    server.rebuild(UDP, &packet[IPV4_HEADER..], 0, &mut rebuilt).unwrap();
    assert_ne!(check(&rebuilt), 0xffff);
}

/// RFC 4301 §5.1.2.1: the traffic class of the outer header is that of the packet.
#[test]
fn the_traffic_class_is_that_of_the_outer_header() {
    let packet = with_checksum(ipv4_packet(1));
    let mut sealed = seal_between(&packet);
    let opened = open(&mut receiver(aes_gcm(), RIGHT, LEFT, None), &mut sealed, 0xbb).unwrap();
    assert_eq!(opened[1], 0xbb);
}

fn seal_between(packet: &[u8]) -> Vec<u8> {
    let out = sender(aes_gcm(), LEFT, RIGHT);
    let mut sealed = vec![0; out.sealed_length(packet.len() - IPV4_HEADER)];
    out.seal(packet, &mut sealed).unwrap();
    sealed
}

/// RFC 4303 §3.3.4: "transport mode ESP is applied only to whole IP datagrams".
#[test]
fn fragments_and_headers_for_the_way_are_not_carried() {
    let out = sender(aes_gcm(), LEFT, RIGHT);
    let mut buffer = [0; 2000];
    for field in [[0x20, 0], [0, 1], [0x20, 9]] {
        let mut packet = ipv4_packet(8);
        packet[6..8].copy_from_slice(&field);
        assert_eq!(out.seal(&packet, &mut buffer), Err(Refusal::Fragment));
    }
    let out = sender(aes_gcm(), LEFT_V6, RIGHT_V6);
    for next in [HOP_BY_HOP, ROUTING, FRAGMENT] {
        let mut packet = ipv6_packet(8);
        packet[6] = next;
        assert_eq!(out.seal(&packet, &mut buffer), Err(Refusal::Fragment));
    }
    let mut options = ipv4_packet(8);
    options[0] = 0x46;
    assert!(sender(aes_gcm(), LEFT, RIGHT).seal(&options, &mut buffer).is_ok());
}

/// CF-A14: RFC 7296 §1.3.1: no packet has more padding than its alignment needs, be it asked for or
/// not.
#[test]
fn no_padding_hides_the_length_of_traffic() {
    for suite in Suite::all() {
        let tunnel = crate::testing::outbound(suite, false, 0);
        let transport = sender(suite, LEFT, RIGHT);
        let empty = tunnel.sealed_length(0);
        for length in 0..1400 {
            assert!(tunnel.sealed_length(length) < empty + length + 16);
            assert_eq!(transport.sealed_length(length), tunnel.sealed_length(length));
        }
    }
}

/// RFC 7296 §2.23.1: whoever may send for other addresses has a tunnel.
#[test]
fn selectors_of_others_are_refused() {
    let make = |policy: &Policy, peer: &str| Hosts::new((ip(LEFT), ip(peer)), None, policy);
    assert!(make(&policy(LEFT, RIGHT), RIGHT).is_ok());
    assert!(make(&policy(LEFT, "10.2.0.2"), RIGHT).is_err());
    assert!(make(&policy("10.1.0.9", RIGHT), RIGHT).is_err());
    let wide = vec![selector(0, ANY, "10.2.0.0-10.2.0.255")];
    let mine = vec![selector(0, ANY, "10.1.0.1-10.1.0.1")];
    assert!(make(&Policy::new(mine, wide).unwrap(), RIGHT).is_err());
    let mixed =
        Hosts::new((ip(LEFT), ip(RIGHT)), Some((ip(LEFT), ip("::1"))), &policy(LEFT, RIGHT));
    assert!(mixed.is_err());
}

/// RFC 4301 §5.2: protocol and ports are those of the selectors, also where addresses cannot differ.
#[test]
fn what_the_selectors_do_not_cover_is_refused() {
    let web = vec![selector(6, (443, 443), "10.2.0.1-10.2.0.1")];
    let left = vec![selector(6, ANY, "10.1.0.1-10.1.0.1")];
    let plain = shared(aes_gcm(), false, web, left);
    let hosts = Hosts::new((ip(RIGHT), ip(LEFT)), None, &plain.terms.policy).unwrap();
    let shared = with(&plain, Some(hosts), None);
    let mut sa = InboundSa::new(shared, &keys(aes_gcm()), 64).unwrap();
    let mut packet = seal_between(&with_checksum(ipv4_packet(3)));
    assert_eq!(open(&mut sa, &mut packet, 0), Err(Refusal::SelectorMismatch));
}

/// RFC 4303 §2.6, §2.4: a dummy goes nowhere, and a tunnel's opener takes no bare payload.
#[test]
fn dummies_and_the_other_mode_are_refused() {
    let suite = aes_gcm();
    let mut sa = receiver(aes_gcm(), RIGHT, LEFT, None);
    let mut dummy = craft(suite, false, 1, &[1, 2, 2, 59]);
    assert_eq!(open(&mut sa, &mut dummy, 0), Err(Refusal::Dummy));
    let mut bare = craft(suite, false, 2, &[9, 9, 1, 1, 6, 6, 0, 6]);
    assert_eq!(sa.open(&mut bare), Err(Refusal::NotIp));
    let tunnel = crate::testing::outbound(suite, false, 2);
    let mut packet = seal(&tunnel, &ipv4_packet(4));
    assert!(open(&mut sa, &mut packet, 0).is_ok(), "IP in IP between the hosts is payload");
}

proptest! {
    /// Nothing that a host hands over makes the engine panic, and what is sealed is what opens.
    #[test]
    fn any_octets_are_carried_whole_or_refused(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((next, payload)) = Hosts::unwrap(&octets) {
            let mut buffer = Vec::new();
            let hosts = hosts(RIGHT, LEFT, Some(("192.0.2.1", "192.0.2.2")));
            hosts.rebuild(next, payload, 0, &mut buffer).unwrap();
            prop_assert_eq!(buffer.len(), payload.len() + IPV4_HEADER);
            let length = u16::try_from(buffer.len()).unwrap().to_be_bytes();
            prop_assert_eq!(&buffer[2..4], &length);
        }
    }

    /// RFC 1624: amending is the same as making the checksum anew, for any addresses.
    #[test]
    fn amending_agrees_with_making_anew(
        was in any::<[u32; 2]>(), is in any::<[u32; 2]>(), payload in 0_usize..64,
    ) {
        let address = |number: u32| IpAddr::V4(Ipv4Addr::from(number));
        let mut packet = ipv4_packet(payload);
        packet[12..16].copy_from_slice(&was[0].to_be_bytes());
        packet[16..20].copy_from_slice(&was[1].to_be_bytes());
        let mut packet = with_checksum(packet);
        let sums = |pair: [u32; 2]| sum(address(pair[0])) + sum(address(pair[1]));
        amend(UDP, &mut packet[20..], sums(was), sums(is));
        packet[12..16].copy_from_slice(&is[0].to_be_bytes());
        packet[16..20].copy_from_slice(&is[1].to_be_bytes());
        prop_assert_eq!(check(&packet), 0xffff);
    }
}

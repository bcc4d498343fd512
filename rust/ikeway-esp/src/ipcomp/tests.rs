// SPDX-License-Identifier: Apache-2.0
//! Pairs with compression, both modes, and what a peer could send that is no compressed packet.

use proptest::prelude::*;

use super::*;
use crate::congestion::traffic_class;
use crate::inbound::{Delivery, InboundSa};
use crate::selector::Policy;
use crate::suite::Suite;
use crate::testing::{
    aes_gcm, craft, everything, hex, inbound, ipv4_packet, ipv6_packet, keys, selector, shared,
    with,
};
use crate::transform::Shared;
use crate::transport::Hosts;

const CPI: u16 = 0x1234;
const IPV4: u8 = 4;
const IPV6: u8 = 41;
const UDP: u8 = 17;

/// 28 octets of headers and 200 octets 0xab, by zlib 1.3: `compressobj(9, DEFLATED, -11)`.
const OF_ZLIB: &str = "73656078c200040e820c0c5c8c0c8c5c4c0c8ccc2fd82f30703030ac1e260000";

fn with_ipcomp(plain: &Shared, hosts: Option<Hosts>) -> Shared {
    with(plain, hosts, Some(Ipcomp { cpi_in: CPI, cpi_out: CPI }))
}

fn tunnel(suite: Suite) -> Shared {
    with_ipcomp(&shared(suite, false, everything(), everything()), None)
}

fn transport(suite: Suite, local: &str, peer: &str) -> Shared {
    let one = |host: &str| vec![selector(0, (0, 65_535), &format!("{host}-{host}"))];
    let policy = Policy::new(one(local), one(peer)).unwrap();
    let ends = (local.parse().unwrap(), peer.parse().unwrap());
    let hosts = Hosts::new(ends, None, &policy).unwrap();
    let plain = shared(suite, false, one(local), one(peer));
    with_ipcomp(&plain, Some(hosts))
}

fn sender(shared: &Shared) -> OutboundSa {
    let path = ("192.0.2.1:4500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap());
    OutboundSa::new(shared.clone(), path, &keys(shared.suite), &[7; 16], 0).unwrap()
}

fn receiver(shared: &Shared) -> InboundSa {
    InboundSa::new(shared.clone(), &keys(shared.suite), 64).unwrap()
}

fn seal_with(compressor: &mut Compressor, sa: &OutboundSa, inner: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; sa.sealed_length(inner.len())];
    let length = sa.seal_compressed(sa.ipcomp().unwrap(), compressor, inner, &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn open_marked(sa: &mut InboundSa, packet: &mut [u8], class: u8) -> Result<Vec<u8>, Refusal> {
    assert_eq!(sa.delivery(), Delivery::Anew);
    let verified = sa.verify(packet)?;
    let mut buffer = vec![0xee; 3];
    let rebuilt = sa.rebuild(&verified, packet, class, &mut Expander::default(), &mut buffer);
    assert_eq!(buffer.len() > 3, rebuilt.is_ok());
    rebuilt.map(|()| buffer.split_off(3))
}

fn open(sa: &mut InboundSa, packet: &mut [u8]) -> Result<Vec<u8>, Refusal> {
    open_marked(sa, packet, 0)
}

/// Returns what a tunnel's SA says to a plaintext that is this, before its trailer.
fn given(payload: &[u8], next: u8) -> Result<Vec<u8>, Refusal> {
    let mut plaintext = payload.to_vec();
    let padding = u8::try_from((6 - payload.len() % 4) % 4).unwrap();
    plaintext.extend(1..=padding);
    plaintext.extend([padding, next]);
    let mut packet = craft(aes_gcm(), false, 1, &plaintext);
    open(&mut receiver(&tunnel(aes_gcm())), &mut packet)
}

fn compressed(inner: &[u8], next: u8) -> Vec<u8> {
    let header = Ipcomp { cpi_in: 0, cpi_out: CPI }.header(next);
    Compressor::default().compress(0, header, inner).unwrap().to_vec()
}

fn noise(octets: usize) -> impl Iterator<Item = u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..octets).map(move |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    })
}

fn incompressible() -> Vec<u8> {
    let mut packet = ipv4_packet(1372);
    packet.splice(28.., noise(1372));
    packet
}

/// RFC 3173 §2: "Each IP datagram is compressed and decompressed by itself".
#[test]
fn every_suite_carries_packets_smaller_and_gives_them_back() {
    let mut compressor = Compressor::default();
    for suite in Suite::all() {
        let shared = tunnel(suite);
        let (sender, mut receiver) = (sender(&shared), receiver(&shared));
        for inner in [ipv4_packet(1400), ipv6_packet(1200), ipv4_packet(70), ipv4_packet(0)] {
            let mut packet = seal_with(&mut compressor, &sender, &inner);
            assert_eq!(packet.len() < sender.sealed_length(inner.len()), inner.len() > 90);
            assert_eq!(open(&mut receiver, &mut packet).unwrap(), inner, "{}", suite.name());
        }
        let ratios = shared.terms.counters.ratios().unwrap();
        let (packets, plain, packed) = ratios.compressed.read();
        assert_eq!((packets, plain), (3, 1428 + 1248 + 98));
        assert!(packed < 200);
        assert_eq!(ratios.expanded.read(), (packets, plain, packed));
    }
}

/// RFC 3173 §3.1, §3.2: the header of transport mode stands as it was, what follows is compressed.
#[test]
fn transport_mode_compresses_what_follows_the_ip_header() {
    let mut compressor = Compressor::default();
    let ends = [("10.1.0.1", "10.2.0.1"), ("fd00::1", "fd00::2")];
    for ((local, peer), inner) in ends.into_iter().zip([ipv4_packet(900), ipv6_packet(900)]) {
        let sa = sender(&transport(aes_gcm(), local, peer));
        let mut packet = seal_with(&mut compressor, &sa, &inner);
        assert!(packet.len() < 100);
        let mut other = receiver(&transport(aes_gcm(), peer, local));
        let opened = open(&mut other, &mut packet).unwrap();
        assert_eq!(opened.len(), inner.len());
        let header = inner.len() - 908;
        assert_eq!(opened[header..], inner[header..]);
    }
}

/// RFC 3173 §2.2: "the IP datagram MUST be sent in the original non-compressed form".
#[test]
fn what_would_not_get_smaller_goes_as_it_is() {
    let mut compressor = Compressor::default();
    let shared = tunnel(aes_gcm());
    let (sender, mut other) = (sender(&shared), receiver(&shared));
    let inner = incompressible();
    for _ in 0..50 {
        let mut packet = seal_with(&mut compressor, &sender, &inner);
        assert_eq!(packet.len(), sender.sealed_length(inner.len()));
        assert_eq!(open(&mut other, &mut packet).unwrap(), inner);
    }
    assert!(shared.terms.counters.ratios().is_none());
}

/// One flow that is encrypted already does not keep another from being compressed.
#[test]
fn an_incompressible_flow_rests_and_others_do_not() {
    let mut compressor = Compressor::default();
    let sender = sender(&tunnel(aes_gcm()));
    for _ in 0..50 {
        seal_with(&mut compressor, &sender, &incompressible());
        let other = seal_with(&mut compressor, &sender, &ipv6_packet(1000));
        assert!(other.len() < 200);
    }
    // It rests still, and so what could be compressed is not.
    let packet = seal_with(&mut compressor, &sender, &ipv4_packet(1372));
    assert_eq!(packet.len(), sender.sealed_length(1400));
}

/// RFC 2394: DEFLATE, as others write it, with no header of zlib's.
#[test]
fn what_zlib_has_compressed_is_read() {
    let mut payload = vec![IPV4, 0, 0x12, 0x34];
    payload.extend(hex(OF_ZLIB));
    assert_eq!(given(&payload, IPCOMP).unwrap(), ipv4_packet(200));
}

/// RFC 3173 §3.3: flags "MUST be ignored by the receiving node". Padding may follow the end.
#[test]
fn flags_and_what_follows_the_end_are_ignored() {
    let mut payload = compressed(&ipv4_packet(500), IPV4);
    payload[1] = 0xff;
    payload.extend([0; 40]);
    assert_eq!(given(&payload, IPCOMP).unwrap(), ipv4_packet(500));
}

/// The attack: a packet of a few octets that would fill the memory. No more than the longest packet
/// is ever written.
#[test]
fn a_bomb_ends_at_the_longest_packet() {
    let zeros = vec![0; 30_000_000];
    let bomb = miniz_oxide::deflate::compress_to_vec(&zeros, 9);
    assert!(bomb.len() < 40_000);
    let mut payload = vec![IPV4, 0, 0x12, 0x34];
    payload.extend(bomb);
    assert_eq!(given(&payload, IPCOMP), Err(Refusal::NotExpanded));
    let mut expander = Expander::default();
    let ipcomp = Ipcomp { cpi_in: CPI, cpi_out: CPI };
    for octets in [65_535, 65_536] {
        let mut payload = vec![IPV4, 0, 0x12, 0x34];
        payload.extend(miniz_oxide::deflate::compress_to_vec(&zeros[..octets], 9));
        assert_eq!(expander.expand(ipcomp, &payload).is_ok(), octets == 65_535);
    }
}

#[test]
fn what_is_not_as_agreed_on_is_refused() {
    let good = compressed(&ipv4_packet(500), IPV4);
    let other_cpi = [&[IPV4, 0, 0x12, 0x35], &good[4..]].concat();
    let nested = [&[IPCOMP, 0, 0x12, 0x34], &good[4..]].concat();
    let no_deflate = [&good[..4], &[0xff; 40]].concat();
    let cut = good[..good.len() - 2].to_vec();
    for payload in [other_cpi, nested, no_deflate, cut, good[..3].to_vec(), good[..4].to_vec()] {
        assert_eq!(given(&payload, IPCOMP), Err(Refusal::NotExpanded));
    }
    assert_eq!(given(&compressed(&ipv4_packet(500), IPV6), IPCOMP), Err(Refusal::Malformed));
    assert_eq!(given(&compressed(&ipv4_packet(500), UDP), IPCOMP), Err(Refusal::NotIp));
    assert_eq!(given(&compressed(&[0; 500], 59), IPCOMP), Err(Refusal::Dummy));
    assert_eq!(given(&compressed(&[0x45; 500], IPV4), IPCOMP), Err(Refusal::Malformed));
}

/// RFC 7296 §2.22: not "an algorithm other than one proposed and accepted".
#[test]
fn nothing_is_expanded_where_nothing_was_agreed_on() {
    let mut packet =
        seal_with(&mut Compressor::default(), &sender(&tunnel(aes_gcm())), &ipv4_packet(500));
    assert_eq!(inbound(aes_gcm(), false).open(&mut packet), Err(Refusal::NotIp));
}

/// RFC 4301 §5.2: the selectors are those of the packet that comes out.
#[test]
fn a_compressed_packet_passes_the_selectors_too() {
    let host = |host: &str| vec![selector(0, (0, 65_535), &format!("{host}-{host}"))];
    let narrow = with_ipcomp(&shared(aes_gcm(), false, host("10.2.0.1"), host("10.1.0.1")), None);
    let sender = sender(&tunnel(aes_gcm()));
    let mut compressor = Compressor::default();
    let mut good = seal_with(&mut compressor, &sender, &ipv4_packet(500));
    let mut other = ipv4_packet(500);
    other[19] = 2;
    let mut other = seal_with(&mut compressor, &sender, &other);
    let mut sa = receiver(&narrow);
    assert_eq!(open(&mut sa, &mut good).unwrap(), ipv4_packet(500));
    assert_eq!(open(&mut sa, &mut other), Err(Refusal::SelectorMismatch));
}

/// RFC 6040 §4.2, of the packet that comes out.
#[test]
fn congestion_on_the_way_is_told() {
    let sender = sender(&tunnel(aes_gcm()));
    let mut inner = ipv4_packet(500);
    inner[1] = 2;
    let mut packet = seal_with(&mut Compressor::default(), &sender, &inner);
    let opened = open_marked(&mut receiver(&tunnel(aes_gcm())), &mut packet, 3).unwrap();
    assert_eq!(traffic_class(&opened), 3);
}

/// What does not fit is refused, with compression or without.
#[test]
fn too_long_is_refused() {
    let sender = sender(&tunnel(aes_gcm()));
    let ipcomp = sender.ipcomp().unwrap();
    let mut compressor = Compressor::default();
    let mut seal = |inner: &[u8], room: usize| {
        sender.seal_compressed(ipcomp, &mut compressor, inner, &mut vec![0; room])
    };
    assert_eq!(seal(&ipv4_packet(1000), 40), Err(Refusal::TooLong));
    assert_eq!(seal(&vec![0x45; 65_536], 70_000), Err(Refusal::TooLong));
    assert_eq!(seal(&[], 70_000), Err(Refusal::NotIp));
}

/// RFC 4303 §2.7: behind compressed octets nobody could tell padding, so what is padded stays plain.
#[test]
fn what_is_padded_is_not_compressed() {
    assert_eq!(sender(&tunnel(aes_gcm())).padded(1000).ipcomp(), None);
}

proptest! {
    /// Whatever is compressed comes out as it was, with a compressor that others used before.
    #[test]
    fn packets_come_out_as_they_went_in(
        payloads in prop::collection::vec((0_usize..3000, 0_u8..4), 1..6),
    ) {
        let mut compressor = Compressor::default();
        let shared = tunnel(aes_gcm());
        let (sender, mut receiver) = (sender(&shared), receiver(&shared));
        for (octets, step) in payloads {
            let mut inner = ipv4_packet(octets);
            let text = (0..octets).map(|at| u8::try_from(at / 7 % 80).unwrap() * step);
            inner.splice(28.., text);
            let mut packet = seal_with(&mut compressor, &sender, &inner);
            prop_assert!(packet.len() <= sender.sealed_length(inner.len()));
            prop_assert_eq!(open(&mut receiver, &mut packet).unwrap(), inner);
        }
    }

    /// Any octets are expanded within bounds or refused.
    #[test]
    fn any_octets_expand_within_bounds(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let ipcomp = Ipcomp { cpi_in: CPI, cpi_out: CPI };
        let payload = [&[IPV4, 0, 0x12, 0x34], octets.as_slice()].concat();
        if let Ok((next, plain)) = Expander::default().expand(ipcomp, &payload) {
            prop_assert_eq!(next, IPV4);
            prop_assert!(plain.len() <= 65_535);
        }
        let _ = Expander::default().expand(ipcomp, &octets);
    }
}

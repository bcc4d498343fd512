// SPDX-License-Identifier: Apache-2.0
//! Packets that were changed on the way: where the network may, and where nobody may (RFC 4302
//! §3.3.3.1).

use proptest::prelude::*;

use super::*;

/// Traffic class and ECN, fragmentation flags, TTL, checksum. Of the flags, "more fragments" makes it
/// a fragment.
const MUTABLE_IPV4: [(usize, u8); 5] = [(1, 0xff), (6, 0xc0), (8, 0xff), (10, 0xff), (11, 0xff)];
/// Traffic class, flow label, hop limit.
const MUTABLE_IPV6: [(usize, u8); 5] = [(0, 0x0f), (1, 0xff), (2, 0xff), (3, 0xff), (7, 0xff)];

fn mutable(ends: [&str; 2]) -> [(usize, u8); 5] {
    if addresses(ends)[0].is_ipv4() { MUTABLE_IPV4 } else { MUTABLE_IPV6 }
}

fn cases() -> [([&'static str; 2], bool, Vec<u8>); 4] {
    [
        (IPV4, false, ipv6_packet(20)),
        (IPV6, false, ipv4_packet(20)),
        (HOSTS_IPV4, true, ipv4_packet(20)),
        (HOSTS_IPV6, true, ipv6_packet(20)),
    ]
}

/// Every bit that is not mutable is protected: outer header, AH, what AH carries, padding and all.
#[test]
fn no_bit_can_be_changed_that_the_network_has_no_business_with() {
    for (ends, is_transport, inner) in cases() {
        for suite in Suite::authentic() {
            let (sender, mut receiver) = pair(suite, true, ends, is_transport);
            let packet = sealed(&sender, &inner);
            let free = mutable(ends);
            for bit in 0..packet.len() * 8 {
                let (at, mask) = (bit / 8, 1 << (bit % 8));
                let mut changed = packet.clone();
                changed[at] ^= mask;
                let may = free.contains(&(at, 0xff))
                    || free.iter().any(|(place, bits)| *place == at && bits & mask != 0);
                if !may {
                    assert!(
                        opened(&mut receiver, &changed).is_err(),
                        "{} octet {at}",
                        suite.name()
                    );
                }
            }
            assert!(opened(&mut receiver, &packet).is_ok());
        }
    }
}

/// What routers change does no harm, whatever they make of it.
#[test]
fn what_routers_change_does_no_harm() {
    for (ends, is_transport, inner) in cases() {
        for (at, bits) in mutable(ends) {
            let (sender, mut receiver) = pair(sha256(), true, ends, is_transport);
            let mut packet = sealed(&sender, &inner);
            packet[at] ^= bits;
            assert!(opened(&mut receiver, &packet).is_ok(), "octet {at}");
        }
    }
}

/// A packet that does not verify does not move the window (RFC 4302 §3.4.3).
#[test]
fn a_forged_number_does_not_move_the_window() {
    let (sender, mut receiver) = pair(sha256(), true, IPV4, false);
    let packet = sealed(&sender, &ipv4_packet(20));
    let mut forged = packet.clone();
    forged[20 + 8..20 + 12].copy_from_slice(&70_000_u32.to_be_bytes());
    assert_eq!(opened(&mut receiver, &forged), Err(Refusal::IntegrityFailed));
    assert!(opened(&mut receiver, &packet).is_ok());
}

/// A length of AH that moves what it protects, or that hides in padding, is refused.
#[test]
fn another_length_of_the_header_is_refused() {
    for ends in [IPV4, IPV6] {
        let (sender, mut receiver) = pair(sha256(), false, ends, false);
        let packet = sealed(&sender, &ipv4_packet(60));
        let at = if ends == IPV4 { 20 } else { 40 };
        for words in (0..=255).filter(|words| *words != packet[at + 1]) {
            let mut changed = packet.clone();
            changed[at + 1] = words;
            assert!(opened(&mut receiver, &changed).is_err(), "{words}");
        }
    }
}

proptest! {
    /// I1: no octets make it panic, and without the key none are taken.
    #[test]
    fn any_octets_are_refused(octets in prop::collection::vec(any::<u8>(), 0..300), kind in 0..3_usize) {
        let mut octets = octets;
        if let (Some(first), 1..) = (octets.first_mut(), kind) {
            *first = if kind == 1 { 0x45 } else { 0x60 };
        }
        for esn in [false, true] {
            let (_, mut receiver) = pair(sha256(), esn, IPV4, false);
            prop_assert!(opened(&mut receiver, &octets).is_err());
        }
    }

    /// What a host sends with whatever options goes through transport mode, or is refused.
    #[test]
    fn any_packet_of_the_host_is_carried_or_refused(
        words in 0_u8..=10,
        options in prop::collection::vec(any::<u8>(), 40),
        payload in prop::collection::vec(any::<u8>(), 0..100),
        identification in any::<[u8; 2]>(),
    ) {
        let (sender, mut receiver) = pair(sha256(), true, HOSTS_IPV4, true);
        let mut packet = ipv4_packet(0)[..20].to_vec();
        packet[0] = 0x45 + words;
        packet[4..6].copy_from_slice(&identification);
        packet.extend_from_slice(&options[..usize::from(words) * 4]);
        packet.extend_from_slice(&payload);
        let end = packet.len();
        ipv4::finish(&mut packet, end).unwrap();
        let mut buffer = vec![0; end + SEAL_ROOM];
        match sender.seal(&packet, &mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                let out = opened(&mut receiver, &buffer);
                // A source route that has hops to go would be used up where it is received.
                let has_route = |octets: &[u8]| octets.contains(&131) || octets.contains(&137);
                if !has_route(&options[..usize::from(words) * 4]) {
                    let out = out.unwrap();
                    prop_assert_eq!(&out[12..], &packet[12..]);
                }
            }
            Err(refusal) => prop_assert_eq!(refusal, Refusal::Fragment),
        }
    }
}

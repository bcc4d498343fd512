// SPDX-License-Identifier: Apache-2.0
//! Packets good and bad, for every suite.

use proptest::prelude::*;

use super::*;
use crate::suite::Suite;
use crate::testing::{
    SPI, aes_gcm, craft, everything, hex, inbound, ipv4_packet, ipv6_packet, keys, outbound, seal,
    selector, shared,
};

/// RFC 7634 App. A: the ICMP packet from 198.51.100.5 to 192.0.2.5.
const ICMP: &str = "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10
    0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627
    28292a2b2c2d2e2f3031323334353637";

/// RFC 7634 App. A: the ESP packet that carries it.
const RFC_7634: &str = "01020304 00000005 1011121314151617 24039428b97f417e3c13753a4f05087b
    67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f7
    2aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da
    9165b82829f641e0 76aaa8266b7fb0f7b11b369907e1ad43";

/// CF-U18: RFC 7634 App. A: the example opens to the packet that it began with.
#[test]
fn the_example_of_rfc_7634_opens() {
    let keys = DirectionKeys { encr: (0x80..0xa4).collect(), integ: Vec::new() };
    let suite = Suite::find(28, 0, 0).unwrap();
    let mut sa =
        InboundSa::new(shared(suite, false, everything(), everything()), &keys, 64).unwrap();
    let mut packet = hex(RFC_7634);
    let inner = sa.open(&mut packet).unwrap();
    assert_eq!(packet[inner], hex(ICMP));
}

/// CF-U02, CF-U04, CF-U11, CF-U19: what one end seals the other opens, with every suite, ESN or
/// not, at every alignment.
#[test]
fn every_suite_opens_what_it_sealed() {
    for (suite, esn) in every_case() {
        let (sender, mut receiver) = (outbound(suite, esn, 0), inbound(suite, esn));
        for (number, payload) in (0..40).chain([1372, 8000]).enumerate() {
            for inner in [ipv4_packet(payload), ipv6_packet(payload)] {
                let mut packet = seal(&sender, &inner);
                let body = body(suite.shape(), packet.len()).unwrap();
                assert_eq!(body.len() % 4, 0);
                let place = receiver.open(&mut packet).unwrap();
                assert_eq!(packet[place.clone()], inner, "{}", suite.name());
                let (_, next) = cut_trailer(&packet[body]).unwrap();
                assert_eq!(next, if inner[0] >> 4 == 4 { 4 } else { 41 });
            }
            assert_eq!(receiver.window.top(), 2 * u64::try_from(number).unwrap() + 2);
        }
    }
}

/// CF-U04: RFC 4303 §2.2.1: the high half is protected though it is not sent.
#[test]
fn the_high_half_of_the_number_is_protected() {
    for suite in Suite::all() {
        let low = 0x10;
        let mut right = craft(suite, true, 1 << 32 | low, &with_trailer(suite, &ipv4_packet(0)));
        let mut wrong = craft(suite, true, 2 << 32 | low, &with_trailer(suite, &ipv4_packet(0)));
        let mut sa = inbound(suite, true);
        while sa.window.top() < 0xffff_ffff {
            let low = u32::try_from((sa.window.top() + (1 << 30)).min(0xffff_ffff)).unwrap();
            sa.window.check(low).unwrap().accept();
        }
        assert_eq!(sa.open(&mut wrong), Err(Refusal::IntegrityFailed));
        assert!(sa.open(&mut right).is_ok(), "{}", suite.name());
    }
}

/// CF-U10: RFC 4303 §3.4.4: no octet can change without the packet being dropped; nothing else
/// happens.
#[test]
fn a_flipped_bit_anywhere_is_refused_and_changes_nothing() {
    for (suite, esn) in every_case() {
        let packet = seal(&outbound(suite, esn, 0), &ipv4_packet(5));
        let mut receiver = inbound(suite, esn);
        // The SPI chose the SA before, so it counts from the SPI on here as well.
        for bit in 0..packet.len() * 8 {
            let mut flipped = packet.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let refusal = receiver.open(&mut flipped).unwrap_err();
            assert!(
                matches!(refusal, Refusal::IntegrityFailed | Refusal::Replayed),
                "{bit} {refusal}"
            );
        }
        assert_eq!(receiver.window.top(), 0);
        assert!(receiver.open(&mut packet.clone()).is_ok());
    }
}

/// CF-U05: RFC 4303 §3.4.3: a replayed packet is dropped before any cryptography.
#[test]
fn a_replayed_packet_is_refused() {
    for (suite, esn) in every_case() {
        let (sender, mut receiver) = (outbound(suite, esn, 0), inbound(suite, esn));
        let packet = seal(&sender, &ipv6_packet(9));
        assert!(receiver.open(&mut packet.clone()).is_ok());
        let mut broken = packet;
        broken.iter_mut().skip(8).for_each(|octet| *octet = !*octet);
        assert_eq!(receiver.open(&mut broken), Err(Refusal::Replayed), "no ICV was computed");
    }
}

/// CF-U19: RFC 4868 §2.3: the ICV of HMAC-SHA2-256 has 16 octets.
#[test]
fn an_icv_has_the_length_of_its_suite() {
    let icv = |integ| Suite::find(12, 128, integ).unwrap().shape().icv_octets();
    assert_eq!([icv(12), icv(13), icv(14)], [16, 24, 32]);
}

/// CF-U11: RFC 4303 §2.4: the receiver checks the padding's values and its length.
#[test]
fn padding_that_does_not_count_is_refused() {
    for suite in Suite::all() {
        let refuse = |plaintext: &[u8]| open_crafted(suite, plaintext).unwrap_err();
        let mut plaintext = with_trailer(suite, &ipv4_packet(1));
        let place = plaintext.len() - 3;
        plaintext[place] ^= 1;
        assert_eq!(refuse(&plaintext), Refusal::BadPadding);
        assert_eq!(
            refuse(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 4]),
            Refusal::BadPadding
        );
    }
}

/// CF-U12: RFC 4303 §2.6: next header 59 is dropped, whatever is inside.
#[test]
fn a_dummy_is_dropped() {
    for suite in Suite::all() {
        let mut plaintext = with_trailer(suite, &ipv4_packet(100));
        *plaintext.last_mut().unwrap() = 59;
        assert_eq!(open_crafted(suite, &plaintext), Err(Refusal::Dummy));
        *plaintext.last_mut().unwrap() = 17;
        assert_eq!(open_crafted(suite, &plaintext), Err(Refusal::NotIp));
    }
}

/// CF-U13: RFC 4303 §2.7: what follows the inner packet is cut off by the length in its header.
#[test]
fn tfc_padding_is_cut_by_the_inner_length() {
    for suite in Suite::all() {
        for inner in [ipv4_packet(3), ipv6_packet(3)] {
            let mut padded = inner.clone();
            padded.resize(inner.len() + 200, 0x99);
            let plaintext = with_trailer(suite, &padded);
            assert_eq!(open_crafted(suite, &plaintext), Ok(inner));
        }
    }
}

#[test]
fn an_inner_packet_must_be_whole_and_of_the_named_version() {
    let suite = aes_gcm();
    let mut long = ipv4_packet(8);
    long[3] += 16;
    assert_eq!(open_crafted(suite, &with_trailer(suite, &long)), Err(Refusal::Malformed));
    let mut short = ipv4_packet(8);
    short[3] = 19;
    assert_eq!(open_crafted(suite, &with_trailer(suite, &short)), Err(Refusal::Malformed));
    let mut other = with_trailer(suite, &ipv4_packet(8));
    *other.last_mut().unwrap() = 41;
    assert_eq!(open_crafted(suite, &other), Err(Refusal::Malformed));
    assert_eq!(open_crafted(suite, &[1, 2, 2, 4]), Err(Refusal::Malformed));
}

/// CF-U15: RFC 4301 §5.2: a valid packet with another inner source is dropped.
#[test]
fn an_inner_packet_outside_the_selectors_is_refused() {
    let suite = aes_gcm();
    let local = vec![selector(0, (0, 65_535), "10.2.0.0-10.2.0.255")];
    let peer = vec![selector(0, (0, 65_535), "10.1.0.2-10.1.0.255")];
    let mut sa = InboundSa::new(shared(suite, false, local, peer), &keys(suite), 64).unwrap();
    let sender = outbound(suite, false, 0);
    assert_eq!(sa.open(&mut seal(&sender, &ipv4_packet(3))), Err(Refusal::SelectorMismatch));
    let mut allowed = ipv4_packet(3);
    allowed[15] = 2;
    assert!(sa.open(&mut seal(&sender, &allowed)).is_ok());
}

/// CF-U01: RFC 4303 §2.1: SPI 0 is never on the wire and 1 to 255 are reserved.
#[test]
fn reserved_spis_are_refused() {
    for spi in [0, 1, 255] {
        let mut shared = shared(aes_gcm(), false, everything(), everything());
        shared.spi = spi;
        let refused = InboundSa::new(shared, &keys(aes_gcm()), 64).err();
        assert_eq!(refused, Some(InstallError::ReservedSpi(spi)));
    }
}

#[test]
fn a_key_of_another_length_is_refused() {
    for suite in Suite::all() {
        let mut long = keys(suite);
        long.encr.push(0);
        let refused =
            InboundSa::new(shared(suite, false, everything(), everything()), &long, 64).err();
        let (wanted, _) = suite.key_octets();
        let seen = wanted + 1;
        assert_eq!(refused, Some(InstallError::KeyLength { what: "encryption", seen, wanted }));
    }
}

proptest! {
    /// Any octets are refused with a reason; none make the engine panic.
    #[test]
    fn any_octets_are_refused(
        suite in a_suite(),
        esn: bool,
        octets in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut sa = inbound(suite, esn);
        let mut packet = octets;
        prop_assert!(sa.open(&mut packet).is_err());
        prop_assert_eq!(sa.window.top(), 0);
    }

    /// Any plaintext of a peer with the keys is refused with a reason, or is an IP packet.
    #[test]
    fn any_plaintext_is_judged(
        suite in a_suite(),
        first in any::<u8>(),
        mut octets in prop::collection::vec(any::<u8>(), 0..200),
        next in prop_oneof![Just(4_u8), Just(41)],
    ) {

        if let Some(octet) = octets.first_mut() {
            *octet = first;
        }
        let mut plaintext = with_trailer(suite, &octets);
        *plaintext.last_mut().unwrap() = next;
        if let Ok(inner) = open_crafted(suite, &plaintext) {
            prop_assert_eq!(inner_length(&inner), Ok(inner.len()));
        }
    }
}

fn a_suite() -> impl Strategy<Value = Suite> {
    prop::sample::select(Suite::all().collect::<Vec<_>>())
}

fn every_case() -> impl Iterator<Item = (Suite, bool)> {
    Suite::all().flat_map(|suite| [(suite, false), (suite, true)])
}

fn open_crafted(suite: Suite, plaintext: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut packet = craft(suite, false, 1, plaintext);
    assert_eq!(packet[..4], SPI.to_be_bytes());
    let place = inbound(suite, false).open(&mut packet)?;
    Ok(packet[place].to_vec())
}

/// Returns `inner` with at least one octet of padding, pad length and next header.
fn with_trailer(suite: Suite, inner: &[u8]) -> Vec<u8> {
    let alignment = suite.shape().alignment();
    let padding = (inner.len() + 3).next_multiple_of(alignment) - inner.len() - 2;
    let next = if inner.first().is_some_and(|first| first >> 4 == 6) { 41 } else { 4 };
    let mut plaintext = inner.to_vec();
    plaintext.extend((1..).take(padding));
    plaintext.extend([u8::try_from(padding).unwrap(), next]);
    plaintext
}

/// RFC 7296 §2.23: a packet that was held back, or sent again, moves nobody.
#[test]
fn the_newest_packet_tells_where_the_peer_is() {
    let suite = aes_gcm();
    let [here, there] = [4500, 4501].map(|port| SocketAddr::from(([192, 0, 2, 2], port)));
    for width in [0, 64] {
        let shared = shared(suite, true, everything(), everything());
        let mut receiver = InboundSa::new(shared, &keys(suite), width).unwrap();
        let sender = outbound(suite, true, 0);
        let [mut first, mut second, mut third] =
            [0; 3].map(|size| seal(&sender, &ipv4_packet(size)));
        let verified = receiver.verify(&mut first).unwrap();
        assert!(!receiver.has_moved(&verified, there), "it is expected from anywhere");
        receiver.expect_from(Ends::from((here, here)));
        let verified = receiver.verify(&mut third).unwrap();
        assert!(!receiver.has_moved(&verified, here));
        assert!(receiver.has_moved(&verified, there));
        let verified = receiver.verify(&mut second).unwrap();
        assert!(!receiver.has_moved(&verified, there), "it is older than the third");
        receiver.expect_from(Ends::from((here, there)));
        let verified = receiver.verify(&mut seal(&sender, &ipv4_packet(0))).unwrap();
        assert!(!receiver.has_moved(&verified, there));
        let without_udp = SocketAddr::from(([192, 0, 2, 9], 0));
        assert!(!receiver.has_moved(&verified, without_udp), "no NAT changes what has no ports");
    }
}

/// CF-F04: RFC 7296 §2.8: what only the peer can have made proves that it has the SA, also a dummy.
#[test]
fn the_first_packet_that_verifies_is_the_proof() {
    let suite = aes_gcm();
    let (sender, mut receiver) = (outbound(suite, false, 0), inbound(suite, false));
    let mut early = seal(&sender, &ipv4_packet(0));
    let verified = receiver.verify(&mut early).unwrap();
    assert!(!receiver.take_proof(&verified), "none was awaited");
    receiver.await_proof();
    let mut forged = seal(&sender, &ipv4_packet(0));
    forged[20] ^= 1;
    assert_eq!(receiver.verify(&mut forged).unwrap_err(), Refusal::IntegrityFailed);
    let mut dummy = craft(suite, false, 9, &[1, 2, 2, DUMMY]);
    let verified = receiver.verify(&mut dummy).unwrap();
    assert!(receiver.take_proof(&verified));
    assert!(!receiver.take_proof(&verified), "one is enough");
    assert_eq!(receiver.admit(&verified, &dummy), Err(Refusal::Dummy));
}

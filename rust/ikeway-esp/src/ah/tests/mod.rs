// SPDX-License-Identifier: Apache-2.0
//! Packets with AH, good and bad, for every algorithm.

mod changed;
mod gmac;
mod headers;

use std::net::IpAddr;

use super::*;
use crate::error::Refusal;
use crate::inbound::InboundSa;
use crate::outbound::{OutboundSa, SEAL_ROOM};
use crate::testing::{SPI, everything, hex, ipv4_packet, ipv6_packet, keys, seal, shared, with};
use crate::transport::Hosts;

const IPV4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const IPV6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];
/// Those of the packets that tests make.
const HOSTS_IPV4: [&str; 2] = ["10.1.0.1", "10.2.0.1"];
const HOSTS_IPV6: [&str; 2] = ["fd00::1", "fd00::2"];

fn sha256() -> Suite {
    Suite::find(0, 0, 12).unwrap()
}

fn addresses(ends: [&str; 2]) -> [IpAddr; 2] {
    ends.map(|end| end.parse().unwrap())
}

/// Returns both ends of a pair between these addresses.
fn pair(suite: Suite, esn: bool, ends: [&str; 2], is_transport: bool) -> (OutboundSa, InboundSa) {
    let [here, there] = addresses(ends);
    let with_hosts = |local: IpAddr, peer: IpAddr| {
        let exactly = |ip| crate::Selector::new(0, (0, u16::MAX), ip, ip).unwrap();
        let (ours, theirs) = if is_transport {
            (vec![exactly(local)], vec![exactly(peer)])
        } else {
            (everything(), everything())
        };
        let shared = shared(suite, esn, ours, theirs);
        let policy = &shared.terms.policy;
        let hosts = is_transport.then(|| Hosts::new((local, peer), None, policy).unwrap());
        with(&shared, hosts, None)
    };
    let path = ((here, 0).into(), (there, 0).into());
    let (keys, seed) = (keys(suite), [7; 16]);
    let sender = OutboundSa::new(with_hosts(here, there), path, &keys, &seed, 0).unwrap();
    let receiver = InboundSa::new(with_hosts(there, here), &keys, 64).unwrap();
    (sender, receiver)
}

fn sealed(sa: &OutboundSa, inner: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; inner.len() + SEAL_ROOM];
    let length = sa.seal(inner, &mut buffer).unwrap();
    assert_eq!(length, sa.sealed_length(inner.len()));
    buffer.truncate(length);
    buffer
}

fn opened(sa: &mut InboundSa, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (mut packet, mut scratch) = (packet.to_vec(), Vec::new());
    let verified = sa.verify_ah(&packet, &mut scratch)?;
    let place = sa.admit_ah(&verified, &mut packet)?;
    Ok(packet[place].to_vec())
}

fn every_case() -> impl Iterator<Item = (Suite, bool)> {
    Suite::authentic().flat_map(|suite| [(suite, false), (suite, true)])
}

/// CF-U02, CF-U04: RFC 4302 §3.1.2: tunnel mode carries both IP versions in both, with every
/// algorithm, ESN or not, and the numbers count from 1.
#[test]
fn every_suite_opens_what_it_sealed() {
    for (suite, esn) in every_case() {
        for ends in [IPV4, IPV6] {
            let (sender, mut receiver) = pair(suite, esn, ends, false);
            for (count, payload) in (0..20).chain([1372, 8000]).enumerate() {
                for (which, inner) in
                    [ipv4_packet(payload), ipv6_packet(payload)].iter().enumerate()
                {
                    let packet = sealed(&sender, inner);
                    assert_eq!(spi(&packet), Ok(SPI));
                    let number = u32::try_from(2 * count + which + 1).unwrap();
                    assert_eq!(low_sequence(&packet), Ok(number));
                    assert_eq!(
                        opened(&mut receiver, &packet).as_ref(),
                        Ok(inner),
                        "{}",
                        suite.name()
                    );
                }
            }
        }
    }
}

/// RFC 4302 §3.1.1: transport mode keeps the header that the host made, and gives it back.
#[test]
fn transport_mode_gives_back_the_packet_of_the_host() {
    for (suite, esn) in every_case() {
        for (ends, mut inner) in [(HOSTS_IPV4, ipv4_packet(100)), (HOSTS_IPV6, ipv6_packet(100))] {
            if ends == HOSTS_IPV4 {
                inner[4..6].copy_from_slice(&[0x12, 0x34]);
                ipv4::finish(&mut inner, 128).unwrap();
            }
            let (sender, mut receiver) = pair(suite, esn, ends, true);
            let packet = sealed(&sender, &inner);
            assert_eq!(opened(&mut receiver, &packet), Ok(inner), "{}", suite.name());
        }
    }
}

/// RFC 4302 §2.2, §2.6: the length counts words but two; padding is what alignment takes, and only
/// that.
#[test]
fn the_header_is_aligned_as_its_ip_version_wants_it() {
    let lengths = |integ, ends| {
        let (sender, _) = pair(Suite::find(0, 0, integ).unwrap(), false, ends, false);
        let packet = sealed(&sender, &ipv4_packet(0));
        let at = if ends == IPV4 { 20 } else { 40 };
        assert_eq!(packet.len(), at + (usize::from(packet[at + 1]) + 2) * 4 + 28);
        packet[at + 1]
    };
    // SHA-1, SHA-256, SHA-384, SHA-512, XCBC, GMAC.
    let ipv4 = [2, 12, 13, 14, 5, 9].map(|integ| lengths(integ, IPV4));
    assert_eq!(ipv4, [4, 5, 7, 9, 4, 7]);
    let ipv6 = [2, 12, 13, 14, 5, 9].map(|integ| lengths(integ, IPV6));
    assert_eq!(ipv6, [4, 6, 8, 10, 4, 8]);
}

/// CF-U05: RFC 4302 §3.4.3: a packet is taken once.
#[test]
fn a_packet_is_taken_once() {
    let (sender, mut receiver) = pair(sha256(), true, IPV4, false);
    let packet = sealed(&sender, &ipv4_packet(10));
    assert!(opened(&mut receiver, &packet).is_ok());
    assert_eq!(opened(&mut receiver, &packet), Err(Refusal::Replayed));
}

/// CF-U03: RFC 4302 §3.3.2: no number is sent twice, so the last one ends the SA.
#[test]
fn the_last_number_ends_the_sa() {
    let path = ("192.0.2.1:0".parse().unwrap(), "192.0.2.2:0".parse().unwrap());
    let shared = shared(sha256(), false, everything(), everything());
    let after = u64::from(u32::MAX) - 1;
    let sa = OutboundSa::new(shared, path, &keys(sha256()), &[0; 16], after).unwrap();
    let mut buffer = vec![0; 200];
    assert!(sa.seal(&ipv4_packet(0), &mut buffer).is_ok());
    assert_eq!(sa.seal(&ipv4_packet(0), &mut buffer), Err(Refusal::SequenceExhausted));
}

/// RFC 4302 §3.3.3: the high half of the number is protected though it is not sent.
#[test]
fn the_high_half_of_the_number_is_protected() {
    for suite in Suite::authentic() {
        let packet = sealed(&pair(suite, true, IPV4, false).0, &ipv4_packet(10));
        let ah = Ah::new(suite, &keys(suite), true).unwrap();
        assert!(ah.verify(1, &packet, &mut Vec::new()).is_ok());
        assert!(ah.verify(1 << 32 | 1, &packet, &mut Vec::new()).is_err());
        let without = Ah::new(suite, &keys(suite), false).unwrap();
        assert!(without.verify(1, &packet, &mut Vec::new()).is_err());
    }
}

/// RFC 4301 §4.1: an SA is known by SPI and protocol: ESP does not open as AH, nor AH as ESP.
#[test]
fn a_packet_of_the_other_protocol_has_no_sa() {
    let (sender, mut receiver) = pair(sha256(), false, IPV4, false);
    let packet = sealed(&sender, &ipv4_packet(40));
    let esp = &mut crate::testing::inbound(crate::testing::aes_gcm(), false);
    assert_eq!(opened(esp, &packet), Err(Refusal::UnknownSpi));
    let mut other =
        seal(&crate::testing::outbound(crate::testing::aes_gcm(), false, 0), &ipv4_packet(40));
    assert_eq!(receiver.open(&mut other), Err(Refusal::UnknownSpi));
}

/// RFC 4301 §5.2: what is inside has to be what the SA is for.
#[test]
fn what_is_not_in_the_selectors_goes_no_further() {
    let (sender, mut receiver) = pair(sha256(), false, HOSTS_IPV4, true);
    let mut other = ipv4_packet(10);
    other[12..16].copy_from_slice(&[10, 9, 9, 9]);
    assert_eq!(opened(&mut receiver, &sealed(&sender, &other)), Err(Refusal::SelectorMismatch));
    let keys = keys(sha256());
    let [here, there] = addresses(IPV4);
    let narrow = shared(
        sha256(),
        false,
        vec![crate::testing::selector(6, (0, 65_535), "10.0.0.0-10.255.255.255")],
        everything(),
    );
    let mut receiver = InboundSa::new(narrow, &keys, 64).unwrap();
    let everywhere = shared(sha256(), false, everything(), everything());
    let sender =
        OutboundSa::new(everywhere, ((here, 0).into(), (there, 0).into()), &keys, &[0; 16], 0)
            .unwrap();
    assert_eq!(
        opened(&mut receiver, &sealed(&sender, &ipv4_packet(10))),
        Err(Refusal::SelectorMismatch)
    );
}

/// RFC 4302 §3.3.4, §3.4.1: transport mode carries no fragments, and one that comes in is no packet.
#[test]
fn fragments_go_no_further() {
    let (sender, mut receiver) = pair(sha256(), false, HOSTS_IPV4, true);
    let mut fragment = ipv4_packet(10);
    fragment[6] = 0x20;
    let mut buffer = vec![0; 200];
    assert_eq!(sender.seal(&fragment, &mut buffer), Err(Refusal::Fragment));
    for octets in [[0x20, 0], [0, 1]] {
        let mut packet = sealed(&sender, &ipv4_packet(10));
        packet[6..8].copy_from_slice(&octets);
        assert_eq!(opened(&mut receiver, &packet), Err(Refusal::Fragment));
    }
}

/// Keys of another length than the algorithm's are refused, and no SA of ESP has a suite of AH.
#[test]
fn keys_have_to_fit() {
    for suite in Suite::authentic() {
        let mut wrong = keys(suite);
        wrong.integ.pop();
        assert!(matches!(Ah::new(suite, &wrong, false), Err(InstallError::KeyLength { .. })));
        assert_eq!(suite.key_octets().0, 0);
        assert!(Suite::all().all(|other| other.codes() != suite.codes()));
    }
    assert!(Suite::find(0, 0, 0).is_err());
}

/// What is no IP packet, or one of the other version, is not what transport mode carries.
#[test]
fn transport_mode_takes_packets_of_its_own_version() {
    for (ends, own) in [(HOSTS_IPV4, 4), (HOSTS_IPV6, 6)] {
        let (sender, _) = pair(sha256(), false, ends, true);
        for version in (0_u8..16).filter(|version| *version != own) {
            let mut packet = ipv6_packet(20);
            packet[0] = version << 4 | 5;
            assert_eq!(sender.seal(&packet, &mut [0; 300]), Err(Refusal::NotIp), "{version}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! What several unit tests build: keys, pairs of SAs, packets.

use std::sync::Arc;

use crate::inbound::InboundSa;
use crate::ipcomp::Ipcomp;
use crate::outbound::OutboundSa;
use crate::selector::{Policy, Selector};
use crate::suite::Suite;
use crate::terms::Terms;
use crate::transform::{Direction, DirectionKeys, ESP_HEADER, Shared, Transform};
use crate::transport::Hosts;

pub(crate) const SPI: u32 = 0x0102_0304;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// Returns AES-256-GCM, where any suite does.
pub(crate) fn aes_gcm() -> Suite {
    Suite::find(20, 256, 0).unwrap()
}

pub(crate) fn keys(suite: Suite) -> DirectionKeys {
    let octets = |count: usize| (0..count).map(|octet| u8::try_from(octet).unwrap()).collect();
    let (encr, integ) = suite.key_octets();
    DirectionKeys { encr: octets(encr), integ: octets(integ) }
}

pub(crate) fn everything() -> Vec<Selector> {
    ["0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
        .iter()
        .map(|range| selector(0, (0, 65_535), range))
        .collect()
}

pub(crate) fn selector(protocol: u8, ports: (u16, u16), range: &str) -> Selector {
    let (start, end) = range.split_once('-').unwrap();
    Selector::new(protocol, ports, start.parse().unwrap(), end.parse().unwrap()).unwrap()
}

pub(crate) fn shared(suite: Suite, esn: bool, local: Vec<Selector>, peer: Vec<Selector>) -> Shared {
    Shared::new(SPI, suite, esn, Policy::new(local, peer).unwrap())
}

/// Returns the same with these hosts and this compression.
pub(crate) fn with(plain: &Shared, hosts: Option<Hosts>, ipcomp: Option<Ipcomp>) -> Shared {
    let plain_terms = Terms::new(plain.terms.policy.clone());
    let terms = Terms { hosts: hosts.map(Box::new), ipcomp, ..plain_terms };
    Shared { terms: Arc::new(terms), ..plain.clone() }
}

pub(crate) fn outbound(suite: Suite, esn: bool, after: u64) -> OutboundSa {
    let path = ("192.0.2.1:4500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap());
    let shared = shared(suite, esn, everything(), everything());
    OutboundSa::new(shared, path, &keys(suite), &[7; 16], after).unwrap()
}

pub(crate) fn inbound(suite: Suite, esn: bool) -> InboundSa {
    InboundSa::new(shared(suite, esn, everything(), everything()), &keys(suite), 64).unwrap()
}

pub(crate) fn seal(sa: &OutboundSa, inner: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; sa.sealed_length(inner.len())];
    let length = sa.seal(inner, &mut buffer).unwrap();
    assert_eq!(length, buffer.len());
    buffer
}

/// Returns a packet with this plaintext, trailer included, whatever it is.
pub(crate) fn craft(suite: Suite, esn: bool, sequence: u64, plaintext: &[u8]) -> Vec<u8> {
    let transform = Transform::new(&Direction::Seal, suite, &keys(suite), esn).unwrap();
    let mut packet = SPI.to_be_bytes().to_vec();
    packet.extend_from_slice(&sequence.to_be_bytes()[4..]);
    packet.resize(ESP_HEADER + transform.shape().iv_octets(), 0x55);
    packet.resize(packet.len() + plaintext.len() + transform.shape().icv_octets(), 0);
    transform.seal(sequence, plaintext, &[], &mut packet).unwrap();
    packet
}

/// Returns a UDP packet from 10.1.0.1 port 1000 to 10.2.0.1 port 2000.
pub(crate) fn ipv4_packet(payload: usize) -> Vec<u8> {
    let length = u16::try_from(28 + payload).unwrap().to_be_bytes();
    let mut packet =
        vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1];
    packet.extend_from_slice(&[0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0]);
    packet.resize(28 + payload, 0xab);
    packet
}

/// Returns a UDP packet from fd00::1 port 1000 to fd00::2 port 2000.
pub(crate) fn ipv6_packet(payload: usize) -> Vec<u8> {
    let length = u16::try_from(8 + payload).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], 17, 64];
    for last in [1, 2] {
        packet.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend_from_slice(&[0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0]);
    packet.resize(48 + payload, 0xcd);
    packet
}

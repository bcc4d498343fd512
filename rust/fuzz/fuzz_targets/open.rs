// SPDX-License-Identifier: Apache-2.0
//! Octets from the network, from a peer with the keys, and from the host: none panic the engine.
//!
//! The first octet chooses the suite, the second what the rest is.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ikeway_esp::{
    DirectionKeys, Flow, InboundSa, OutboundSa, Policy, Selector, Shared, Suite, inner_length,
};
use libfuzzer_sys::fuzz_target;

const SPI: u32 = 0x0102_0304;

fuzz_target!(|data: &[u8]| {
    let [row, kind, rest @ ..] = data else { return };
    let Some(suite) = Suite::all().cycle().nth(usize::from(*row)) else { return };
    let esn = kind & 1 != 0;
    match kind >> 1 & 3 {
        0 => from_the_network(suite, esn, rest),
        1 => from_a_peer(suite, esn, rest),
        2 => changed_on_the_way(suite, esn, rest),
        _ => from_the_host(rest),
    }
});

/// Without the keys nothing opens, and nothing changes.
fn from_the_network(suite: Suite, esn: bool, octets: &[u8]) {
    let mut packet = octets.to_vec();
    assert!(inbound(suite, esn).open(&mut packet).is_err());
}

/// A peer may seal what it likes: what comes out is a whole IP packet.
fn from_a_peer(suite: Suite, esn: bool, octets: &[u8]) {
    let mut packet = vec![0; octets.len() + ikeway_esp::SEAL_ROOM];
    let Ok(length) = outbound(suite, esn).seal(octets, &mut packet) else { return };
    packet.truncate(length);
    if let Ok(place) = inbound(suite, esn).open(&mut packet) {
        let inner = &packet[place];
        assert_eq!(inner, &octets[..inner.len()]);
        assert_eq!(inner_length(inner), Ok(inner.len()));
    }
}

/// A good packet of which the network changed an octet, or cut the end off, does not open.
fn changed_on_the_way(suite: Suite, esn: bool, octets: &[u8]) {
    let [place, change, cut, ..] = *octets else { return };
    let inner = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1];
    let mut packet = vec![0; inner.len() + ikeway_esp::SEAL_ROOM];
    let length = outbound(suite, esn).seal(&inner, &mut packet).unwrap_or(0);
    packet.truncate(length - usize::from(cut) % length);
    let count = packet.len();
    packet[usize::from(place) % count] ^= change;
    let is_changed = change != 0 || count != length;
    assert_eq!(inbound(suite, esn).open(&mut packet).is_err(), is_changed);
}

fn from_the_host(octets: &[u8]) {
    let length = inner_length(octets);
    let flow = Flow::read(octets);
    if let (Ok(length), Ok(flow)) = (length, flow) {
        assert!(length <= octets.len());
        assert_eq!(policy().admits(&flow), policy().selects(&flow));
    }
}

fn inbound(suite: Suite, esn: bool) -> InboundSa {
    InboundSa::new(shared(suite, esn), &keys(suite), 64).expect("the keys fit")
}

fn outbound(suite: Suite, esn: bool) -> OutboundSa {
    let path = (IpAddr::from(Ipv4Addr::LOCALHOST), 4500).into();
    OutboundSa::new(shared(suite, esn), (path, path), &keys(suite), &[7; 16], 0)
        .expect("the keys fit")
}

fn shared(suite: Suite, esn: bool) -> Shared {
    Shared::new(SPI, suite, esn, policy())
}

fn keys(suite: Suite) -> DirectionKeys {
    let (encr, integ) = suite.key_octets();
    DirectionKeys { encr: vec![1; encr], integ: vec![2; integ] }
}

fn policy() -> Policy {
    let any = (0, u16::MAX);
    let ipv4 = Selector::new(0, any, Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    let ipv6 =
        Selector::new(0, any, Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from(u128::MAX).into());
    let everything = vec![ipv4.expect("a range"), ipv6.expect("a range")];
    Policy::new(everything.clone(), everything).expect("selectors")
}

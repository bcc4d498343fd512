// SPDX-License-Identifier: Apache-2.0
//! CF-U17: which policy decides, against looking through all of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::testing::{ipv4_packet, selector};

const ANY: (u16, u16) = (0, 65_535);
const OPAQUE: (u16, u16) = (65_535, 0);

fn policy(verdict: Verdict, peer: &[(u8, (u16, u16), &str)]) -> (Verdict, Policy) {
    let local =
        vec![selector(0, ANY, "10.1.0.0-10.1.255.255"), selector(0, ANY, "fd00::-fd00::ff")];
    let peer = peer.iter().map(|(protocol, ports, range)| selector(*protocol, *ports, range));
    (verdict, Policy::new(local, peer.collect()).unwrap())
}

fn to(destination: &str, protocol: u8, port: Port) -> Flow {
    let destination: IpAddr = destination.parse().unwrap();
    let source = if destination.is_ipv4() { "10.1.0.9" } else { "fd00::9" }.parse().unwrap();
    Flow { source, destination, protocol, source_port: port, destination_port: port }
}

/// RFC 4301 §4.4.1: "The SPD is an ordered database, [...] the first one that matches is used."
#[test]
fn the_first_policy_that_selects_a_packet_decides() {
    let spd = Spd::new(&[
        policy(Verdict::Bypass, &[(17, (53, 53), "10.2.0.1-10.2.0.1")]),
        policy(Verdict::Protect, &[(6, (443, 443), "10.2.0.0-10.2.255.255")]),
        policy(Verdict::Discard, &[(0, ANY, "10.2.0.0-10.2.255.255"), (6, ANY, "fd02::-fd02::f")]),
    ])
    .unwrap();
    let judge =
        |destination, protocol, port| spd.judge(&to(destination, protocol, Port::Known(port)));
    assert_eq!(judge("10.2.0.1", 17, 53), Some(Verdict::Bypass));
    assert_eq!(judge("10.2.0.1", 6, 53), Some(Verdict::Discard));
    assert_eq!(judge("10.2.0.1", 6, 443), Some(Verdict::Protect));
    assert_eq!(judge("10.3.0.1", 6, 443), None);
    assert_eq!(judge("fd02::1", 6, 443), Some(Verdict::Discard));
    assert_eq!(judge("fd02::1", 17, 443), None);
    assert!(spd.permits(&to("10.3.0.1", 6, Port::Known(1))));
    assert!(spd.permits(&to("10.2.0.1", 6, Port::Known(443))));
    assert!(!spd.permits(&to("10.2.0.1", 17, Port::Known(53))));
}

/// RFC 4301 §7: a later fragment has no ports: what names a port does not have it.
#[test]
fn a_fragment_meets_no_policy_that_names_a_port() {
    let spd = Spd::new(&[
        policy(Verdict::Bypass, &[(17, (53, 53), "10.2.0.1-10.2.0.1")]),
        policy(Verdict::Discard, &[(17, ANY, "10.2.0.1-10.2.0.1")]),
    ])
    .unwrap();
    assert_eq!(spd.judge(&to("10.2.0.1", 17, Port::Hidden)), Some(Verdict::Discard));
}

#[test]
fn no_policies_judge_nothing_and_too_many_are_refused() {
    let flow = Flow::read(&ipv4_packet(1)).unwrap();
    assert_eq!(Spd::default().judge(&flow), None);
    assert_eq!(Spd::new(&[]).unwrap().judge(&flow), None);
    let one = policy(Verdict::Discard, &[(0, ANY, "10.2.0.0-10.2.0.1")]);
    let many = vec![one; MAX_ROWS / 2 + 1];
    let refused = Spd::new(&many).map(|_| ()).unwrap_err();
    assert_eq!(refused, InstallError::TooManyPolicies(MAX_ROWS));
}

/// Few addresses and ports, so that policies and packets often meet.
fn address(is_ipv4: bool) -> impl Strategy<Value = IpAddr> {
    (0_u8..12).prop_map(move |last| {
        if is_ipv4 {
            // The last address of the family has none behind it.
            if last == 11 { Ipv4Addr::BROADCAST } else { Ipv4Addr::new(10, 0, 0, last) }.into()
        } else if last == 11 {
            Ipv6Addr::from(u128::MAX).into()
        } else {
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a00, last.into()).into()
        }
    })
}

fn protocol() -> impl Strategy<Value = u8> {
    prop_oneof![Just(1), Just(6), Just(17), Just(255)]
}

fn side(is_ipv4: bool) -> impl Strategy<Value = Selector> {
    let ports = prop_oneof![
        Just(ANY),
        Just(OPAQUE),
        (0_u16..6, 0_u16..6).prop_map(|(one, other)| (one.min(other), one.max(other))),
        (0_u16..6).prop_map(|first| (first, 65_535)),
    ];
    let protocols = prop_oneof![Just(0), protocol()];
    (protocols, ports, address(is_ipv4), address(is_ipv4)).prop_map(
        |(protocol, ports, one, other)| {
            Selector::new(protocol, ports, one.min(other), one.max(other)).unwrap()
        },
    )
}

fn any_side() -> impl Strategy<Value = Selector> {
    any::<bool>().prop_flat_map(side)
}

fn policies() -> impl Strategy<Value = Vec<(Verdict, Policy)>> {
    let verdict =
        prop_oneof![Just(Verdict::Bypass), Just(Verdict::Discard), Just(Verdict::Protect)];
    let sides = || prop::collection::vec(any_side(), 1..4);
    let one = (verdict, sides(), sides())
        .prop_map(|(verdict, local, peer)| (verdict, Policy::new(local, peer).unwrap()));
    prop::collection::vec(one, 0..40)
}

fn port() -> impl Strategy<Value = Port> {
    let known = prop_oneof![0_u16..7, Just(65_535)].prop_map(Port::Known);
    prop_oneof![4 => known, 1 => Just(Port::Hidden), 1 => Just(Port::Absent)]
}

fn flow() -> impl Strategy<Value = Flow> {
    any::<bool>().prop_flat_map(|is_ipv4| {
        (address(is_ipv4), address(is_ipv4), protocol(), port(), port()).prop_map(
            |(source, destination, protocol, source_port, destination_port)| Flow {
                source,
                destination,
                protocol,
                source_port,
                destination_port,
            },
        )
    })
}

proptest! {
    /// The pieces of the axes say what one finds who asks each policy in turn.
    #[test]
    fn a_lookup_is_the_same_as_asking_each_policy(
        policies in policies(),
        flows in prop::collection::vec(flow(), 64),
    ) {
        let spd = Spd::new(&policies).unwrap();
        for flow in flows {
            let first = policies.iter().find(|(_, policy)| policy.selects(&flow));
            prop_assert_eq!(spd.judge(&flow), first.map(|(verdict, _)| *verdict), "{:?}", flow);
        }
    }
}

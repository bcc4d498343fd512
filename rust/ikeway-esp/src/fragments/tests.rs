// SPDX-License-Identifier: Apache-2.0
use std::ops::Range;
use std::time::Duration;

use super::tracker::{AGE, MAX_HELD, MAX_WAITING, PATIENCE};
use super::{Leaving, Piece};
use crate::error::Refusal;
use crate::inbound::{Delivery, InboundSa};
use crate::inner::{Flow, Port};
use crate::ipcomp::Expander;
use crate::outbound::OutboundSa;
use crate::selector::Selector;
use crate::spd::{Spd, Verdict};
use crate::table::OutboundTable;
use crate::testing::{
    SPI, aes_gcm, everything, ipv4_packet, ipv6_packet, keys, outbound, seal, selector, shared,
};

const ANY: (u16, u16) = (0, 65_535);
const OPAQUE: (u16, u16) = (65_535, 0);
const UDP: u8 = 17;
const TCP: u8 = 6;
const HOSTS: &str = "10.0.0.0-10.255.255.255";
const HOSTS6: &str = "fd00::-fd00::ffff";
const START: Duration = Duration::from_secs(100);

/// Part of a packet from 10.1.0.1 to 10.2.0.1; its octets tell where in the payload they are.
fn ipv4(protocol: u8, number: u16, span: Range<usize>, is_last: bool) -> Vec<u8> {
    let length = u16::try_from(20 + span.len()).unwrap().to_be_bytes();
    let more = if is_last { 0 } else { 0x2000 };
    let place = (u16::try_from(span.start / 8).unwrap() | more).to_be_bytes();
    let number = number.to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], number[0], number[1], place[0], place[1]];
    packet.extend([64, protocol, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1]);
    packet.extend(payload(span));
    packet
}

/// Part of a packet from fd00::1 to fd00::2, `between` before what is fragmented.
fn ipv6(next: u8, span: Range<usize>, is_last: bool) -> Vec<u8> {
    let length = u16::try_from(8 + span.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], 44, 64];
    for last in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    let place = u16::try_from(span.start).unwrap() | u16::from(!is_last);
    packet.extend([next, 0]);
    packet.extend(place.to_be_bytes());
    packet.extend([0, 1, 2, 3]);
    packet.extend(payload(span));
    packet
}

/// Ports 1000 and 53, and then whatever.
fn payload(span: Range<usize>) -> Vec<u8> {
    let octet = |at: usize| match at {
        0..4 => [0x03, 0xe8, 0, 53][at],
        _ => u8::try_from(at % 251).unwrap(),
    };
    span.map(octet).collect()
}

/// The ports of what `payload` makes.
const PORTS: (u16, u16) = (53, 53);

fn with_ports(mut packet: Vec<u8>, destination: u16) -> Vec<u8> {
    packet[22..24].copy_from_slice(&destination.to_be_bytes());
    packet
}

fn sides(protocol: u8, ports: (u16, u16)) -> (Vec<Selector>, Vec<Selector>) {
    let of = |ports| [HOSTS, HOSTS6].map(|hosts| selector(protocol, ports, hosts)).to_vec();
    (of(ANY), of(ports))
}

/// Two ends of an SA from 10.1.0.1 to port 53 of 10.2.0.1.
struct Ends {
    out: OutboundSa,
    into: InboundSa,
    buffer: Vec<u8>,
}

impl Ends {
    fn new(protocol: u8, ports: (u16, u16)) -> Self {
        let (client, server) = sides(protocol, ports);
        let shared = shared(aes_gcm(), false, server, client);
        let into = InboundSa::new(shared, &keys(aes_gcm()), 1024).unwrap().following();
        Self { out: outbound(aes_gcm(), false, 0), into, buffer: Vec::new() }
    }

    /// Returns the packets that pass because of one.
    fn pass(&mut self, inner: &[u8], now: Duration) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut packet = seal(&self.out, inner);
        let verified = self.into.verify(&mut packet).unwrap();
        let (mut places, mut expander) = (Vec::new(), Expander::default());
        let room = (&mut self.buffer, &mut places);
        let sorted = self.into.sort(&verified, (&packet, 0), &mut expander, || now, room)?;
        let whole = sorted.map(|place| packet[place].to_vec());
        Ok(whole.into_iter().chain(places.into_iter().map(|at| self.buffer[at].to_vec())).collect())
    }

    fn passes(&mut self, inner: &[u8]) -> bool {
        self.pass(inner, START).is_ok_and(|passed| passed == [inner])
    }

    fn refuses(&mut self, inner: &[u8]) -> Refusal {
        self.pass(inner, START).unwrap_err()
    }
}

/// RFC 4301 §7.3: "the receiver MUST discard non-initial fragments that do not comply with the security
/// policy applied to the overall packet."
#[test]
fn later_fragments_follow_the_first() {
    let mut ends = Ends::new(UDP, PORTS);
    assert_eq!(ends.into.delivery(), Delivery::Sorted);
    assert!(ends.passes(&ipv4(UDP, 1, 0..1480, false)));
    assert!(ends.passes(&ipv4(UDP, 1, 1480..2960, false)));
    assert!(ends.passes(&ipv4(UDP, 1, 2960..3000, true)));
    let other = with_ports(ipv4(UDP, 2, 0..1480, false), 54);
    assert_eq!(ends.refuses(&other), Refusal::SelectorMismatch);
    assert_eq!(ends.pass(&ipv4(UDP, 2, 1480..2000, true), START), Ok(vec![]), "waits for ever");
    assert_eq!(ends.refuses(&ipv4(TCP, 1, 1480..2000, true)), Refusal::SelectorMismatch);
}

#[test]
fn later_fragments_of_ipv6_follow_the_first_whatever_they_say_that_they_are() {
    let mut ends = Ends::new(UDP, PORTS);
    assert!(ends.passes(&ipv6(UDP, 0..1448, false)));
    assert!(ends.passes(&ipv6(TCP, 1448..1500, true)));
}

#[test]
fn whole_packets_and_atomic_fragments_are_judged_by_themselves() {
    let mut ends = Ends::new(UDP, PORTS);
    assert!(ends.passes(&ipv6(UDP, 0..1448, false)));
    assert!(ends.passes(&ipv6(UDP, 0..100, true)), "RFC 6946: same number, and no part of it");
    assert!(ends.passes(&ipv6(UDP, 1448..1500, true)));
    assert!(ends.passes(&ipv4(UDP, 1, 0..100, true)));
}

/// What overtook the first waits, and goes behind it.
#[test]
fn later_fragments_wait_for_the_first() {
    let mut ends = Ends::new(UDP, PORTS);
    let parts =
        [0..800, 800..1600, 1600..2000].map(|span| ipv4(UDP, 9, span.clone(), span.end == 2000));
    assert_eq!(ends.pass(&parts[2], START), Ok(vec![]));
    assert_eq!(ends.pass(&parts[1], START), Ok(vec![]));
    let order = [&parts[0], &parts[2], &parts[1]].map(Clone::clone);
    assert_eq!(ends.pass(&parts[0], START), Ok(order.to_vec()));
    assert!(ends.passes(&parts[0]), "it was whole, and the number is free again");
}

#[test]
fn what_waits_too_long_is_given_up_and_counted() {
    let mut ends = Ends::new(UDP, PORTS);
    assert_eq!(ends.pass(&ipv4(UDP, 9, 800..1600, true), START), Ok(vec![]));
    let deadline = ends.into.deadline().unwrap();
    assert!(deadline > START + PATIENCE);
    let mut places = Vec::new();
    let given_up = ends.into.give_up(deadline, (&mut ends.buffer, &mut places));
    assert_eq!(given_up, Err(Refusal::StrayFragment));
    assert_eq!((ends.into.deadline(), places), (None, vec![]));
    assert_eq!(ends.into.counters().refused(Refusal::StrayFragment), 1);
    assert!(ends.passes(&ipv4(UDP, 9, 0..800, false)));
    let late = ends.pass(&ipv4(UDP, 9, 800..1600, true), START + AGE * 2);
    assert_eq!(late, Ok(vec![]), "its first one is too long ago");
}

/// The attack: ports that were allowed are written over (RFC 1858, RFC 3128, RFC 5722).
#[test]
fn fragments_do_not_rewrite_what_was_judged() {
    let mut ends = Ends::new(TCP, PORTS);
    assert!(ends.passes(&ipv4(TCP, 1, 0..48, false)));
    for (start, end) in [(8, 56), (16, 24), (40, 56), (24, 48)] {
        assert_eq!(ends.refuses(&ipv4(TCP, 1, start..end, false)), Refusal::BadFragment);
    }
    let again = with_ports(ipv4(TCP, 1, 0..48, false), 53);
    assert_eq!(ends.refuses(&again), Refusal::BadFragment);
    assert!(ends.passes(&ipv4(TCP, 1, 56..64, false)));
    assert_eq!(ends.refuses(&ipv4(TCP, 1, 48..60, true)), Refusal::BadFragment, "before others");
    assert!(ends.passes(&ipv4(TCP, 1, 64..70, true)));
    assert_eq!(ends.refuses(&ipv4(TCP, 1, 72..80, false)), Refusal::BadFragment, "behind the end");
    assert!(ends.passes(&ipv4(TCP, 1, 48..56, false)));
}

/// The attack: what waits is written over what came in the first.
#[test]
fn what_waited_does_not_overlap_either() {
    let mut ends = Ends::new(UDP, PORTS);
    for span in [8..808, 1600..2400, 1600..2408] {
        assert_eq!(ends.pass(&ipv4(UDP, 1, span, false), START), Ok(vec![]));
    }
    let mut packet = seal(&ends.out, &ipv4(UDP, 1, 0..1600, false));
    let verified = ends.into.verify(&mut packet).unwrap();
    let (mut places, mut expander) = (Vec::new(), Expander::default());
    let room = (&mut ends.buffer, &mut places);
    let sorted = ends.into.sort(&verified, (&packet, 0), &mut expander, || START, room);
    assert_eq!((sorted, places.len()), (Err(Refusal::BadFragment), 2));
}

/// The attack: a first fragment so short that its flags, or ports, are in the next (RFC 1858 §3).
#[test]
fn first_fragments_have_a_whole_header() {
    let mut ends = Ends::new(TCP, PORTS);
    for octets in [8, 16] {
        assert_eq!(ends.refuses(&ipv4(TCP, 1, 0..octets, false)), Refusal::BadFragment);
        assert_eq!(ends.refuses(&ipv6(TCP, 0..octets, false)), Refusal::BadFragment);
    }
    assert!(ends.passes(&ipv4(TCP, 1, 0..24, false)));
    let mut options = ipv6(60, 0..16, false);
    options[48..50].copy_from_slice(&[TCP, 1]);
    assert_eq!(ends.refuses(&options), Refusal::BadFragment, "RFC 7112");
    let mut again = ipv6(44, 0..48, false);
    again[48..52].copy_from_slice(&[TCP, 0, 0, 1]);
    assert_eq!(ends.refuses(&again), Refusal::BadFragment, "a fragment of a fragment");
}

#[test]
fn fragments_that_no_host_makes_are_refused() {
    let of = |packet: &[u8]| Piece::read(packet);
    assert_eq!(of(&ipv4(UDP, 1, 0..12, false)), Err(Refusal::BadFragment), "no multiple of 8");
    assert_eq!(of(&ipv4(UDP, 1, 800..800, true)), Err(Refusal::BadFragment), "empty");
    assert_eq!(of(&ipv4(UDP, 1, 65_512..65_520, true)), Err(Refusal::BadFragment), "too far");
    assert!(of(&ipv4(UDP, 1, 65_504..65_512, true)).unwrap().is_some());
    assert_eq!(of(&ipv6(UDP, 65_528..65_536, false)), Err(Refusal::BadFragment));
    for octets in 0..28 {
        assert!(of(&ipv4(UDP, 1, 0..16, false)[..octets]).is_err());
    }
}

/// The attack: later fragments without end, and no first.
#[test]
fn a_flood_of_later_fragments_fills_a_bounded_place() {
    let mut ends = Ends::new(UDP, PORTS);
    assert!(ends.passes(&ipv4(UDP, 60_000, 0..800, false)));
    for number in 0..2000 {
        let _ = ends.pass(&ipv4(UDP, number, 800..1600, true), START);
    }
    let refused = ends.into.counters().refused(Refusal::StrayFragment);
    let most = u64::try_from(MAX_WAITING.min(MAX_HELD / 820)).unwrap();
    assert_eq!(refused, 2000 - most);
    assert!(ends.passes(&ipv4(UDP, 60_000, 800..1600, true)), "whose first is there is not hurt");
    let large = ipv4(UDP, 7, 8..60_000, true);
    let _ = ends.pass(&large, START + PATIENCE * 2);
    let full = ends.pass(&ipv4(UDP, 8, 8..10_000, true), START + PATIENCE * 2);
    assert_eq!(full, Err(Refusal::StrayFragment), "octets are bounded, too");
}

/// The attack: one peer begins datagrams without end. Another's SA has a place of its own.
#[test]
fn who_begins_many_datagrams_crowds_out_their_own() {
    let (mut hostile, mut other) = (Ends::new(UDP, PORTS), Ends::new(UDP, PORTS));
    assert!(other.passes(&ipv4(UDP, 1, 0..800, false)));
    for number in 0..2000 {
        assert!(hostile.passes(&ipv4(UDP, number, 0..800, false)));
    }
    assert_eq!(hostile.pass(&ipv4(UDP, 1, 800..1600, true), START), Ok(vec![]), "long gone");
    assert!(hostile.passes(&ipv4(UDP, 1999, 800..1600, true)), "the newest are there");
    assert!(other.passes(&ipv4(UDP, 1, 800..1600, true)));
}

/// The attack: the first fragment on one SA, later ones on another.
#[test]
fn a_first_fragment_speaks_for_its_own_sa_only() {
    let (mut one, mut other) = (Ends::new(UDP, PORTS), Ends::new(UDP, (80, 80)));
    assert!(one.passes(&ipv4(UDP, 1, 0..800, false)));
    assert_eq!(other.pass(&ipv4(UDP, 1, 800..1600, true), START), Ok(vec![]));
    assert_eq!(other.refuses(&ipv4(UDP, 1, 0..800, false)), Refusal::SelectorMismatch);
}

/// RFC 4301 §4.4.1.1: types and codes of ICMP are like ports, and in the first fragment only.
#[test]
fn later_fragments_of_icmp_follow_its_type() {
    for (protocol, kind) in [(1, 8_u8), (58, 128)] {
        let ports = (u16::from(kind) << 8, u16::from(kind) << 8);
        let mut ends = Ends::new(protocol, ANY);
        let (client, server) = (sides(protocol, ports).1, sides(protocol, ANY).1);
        let shared = shared(aes_gcm(), false, server, client);
        ends.into = InboundSa::new(shared, &keys(aes_gcm()), 1024).unwrap().following();
        let of = |span: Range<usize>, is_last| match protocol {
            1 => ipv4(1, 1, span, is_last),
            _ => ipv6(58, span, is_last),
        };
        let headers = if protocol == 1 { 20 } else { 48 };
        let mut first = of(0..800, false);
        first[headers..headers + 2].copy_from_slice(&[kind, 1]);
        assert_eq!(ends.refuses(&first), Refusal::SelectorMismatch, "another code");
        first[headers + 1] = 0;
        assert!(ends.passes(&first));
        assert!(ends.passes(&of(800..1600, true)));
    }
}

/// RFC 4301 §7.2: "Receivers MUST perform a minimum offset check on IPv4 (non-initial) fragments".
#[test]
fn on_an_opaque_sa_later_fragments_are_not_in_the_header() {
    let (_, opaque) = sides(TCP, OPAQUE);
    let shared = shared(aes_gcm(), false, opaque.clone(), opaque);
    let mut ends = Ends::new(TCP, PORTS);
    ends.into = InboundSa::new(shared, &keys(aes_gcm()), 1024).unwrap();
    for start in [8, 16] {
        assert_eq!(ends.refuses(&ipv4(TCP, 1, start..800, true)), Refusal::BadFragment);
    }
    assert!(ends.passes(&ipv4(TCP, 1, 24..800, true)));
    assert_eq!(ends.refuses(&ipv4(TCP, 1, 0..24, false)), Refusal::SelectorMismatch);
    assert_eq!(ends.into.deadline(), None);
}

/// An SA for all ports has nothing to look up, with and without the peer's consent.
#[test]
fn an_sa_for_all_ports_sorts_nothing() {
    let shared = || shared(aes_gcm(), false, everything(), everything());
    let into = InboundSa::new(shared(), &keys(aes_gcm()), 64).unwrap().following();
    assert_eq!(into.delivery(), Delivery::Within);
    assert!(!outbound(aes_gcm(), false, 0).following().follows());
}

mod leaving {
    use super::*;

    fn flow(packet: &[u8]) -> Flow {
        Flow::read(packet).unwrap()
    }

    fn sa(spi: u32, protocol: u8, ports: (u16, u16)) -> OutboundSa {
        let (client, server) = sides(protocol, ports);
        let mut shared = shared(aes_gcm(), false, client, server);
        shared.spi = spi;
        let path = ("192.0.2.1:4500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap());
        OutboundSa::new(shared, path, &keys(aes_gcm()), &[7; 16], 0).unwrap()
    }

    /// Returns the SPI of the SA that a packet goes on, and how many go behind it.
    fn leave(table: &mut OutboundTable, packet: &[u8]) -> Result<Option<(u32, usize)>, Refusal> {
        if !table.sorts(packet) {
            return Ok(table.find(&flow(packet)).map(|sa| (sa.spi(), 0)));
        }
        match table.sort(flow(packet), packet, || START)? {
            Leaving::With(flow, waited) => Ok(table.find(&flow).map(|sa| (sa.spi(), waited.len()))),
            Leaving::Behind(_, sa) => Ok(Some((sa.spi(), 0))),
            Leaving::Waits => Ok(None),
        }
    }

    /// CF-A15: RFC 4301 §7.3: "If an implementation does not successfully negotiate transmission of
    /// non-initial fragments for such an SA, it MUST NOT send such fragments over the SA."
    #[test]
    fn later_fragments_leave_where_the_peer_agreed() {
        let (first, later) = (ipv4(UDP, 1, 0..800, false), ipv4(UDP, 1, 800..1600, true));
        let mut table = OutboundTable::default();
        table.insert(SPI, sa(SPI, UDP, PORTS));
        assert_eq!(leave(&mut table, &first), Ok(Some((SPI, 0))));
        assert_eq!(leave(&mut table, &later), Ok(None));
        table.insert(SPI, sa(SPI, UDP, PORTS).following());
        assert_eq!(leave(&mut table, &first), Ok(Some((SPI, 0))));
        assert_eq!(leave(&mut table, &later), Ok(Some((SPI, 0))));
        table.remove(SPI);
        assert!(!table.sorts(&first), "without such an SA packets are not looked at");
    }

    /// What is no fragment at a glance is none when it is read, of either IP version.
    #[test]
    fn no_fragment_is_overlooked() {
        let mut table = OutboundTable::default();
        table.insert(SPI, sa(SPI, UDP, PORTS).following());
        let whole = [ipv4(UDP, 1, 0..800, true), ipv4_packet(8), ipv6_packet(8)];
        assert!(whole.iter().all(|packet| !table.sorts(packet)));
        for fragment in [ipv4(UDP, 1, 0..800, false), ipv4(UDP, 1, 800..1600, true)] {
            assert!(table.sorts(&fragment));
        }
        for next in 0..=u8::MAX {
            let mut packet = ipv6_packet(64);
            packet[6] = next;
            let is_whole = matches!(Piece::read(&packet), Ok(None));
            assert!(is_whole || table.sorts(&packet), "{next}");
        }
    }

    #[test]
    fn a_later_fragment_goes_where_its_first_one_went() {
        let mut table = OutboundTable::default();
        table.insert(SPI, sa(SPI, UDP, PORTS).following());
        table.insert(SPI + 1, sa(SPI + 1, 0, ANY));
        table.insert(SPI + 2, sa(SPI + 2, UDP, (80, 80)));
        let later = |number| ipv4(UDP, number, 800..1600, true);
        assert_eq!(leave(&mut table, &ipv4(UDP, 1, 0..800, false)), Ok(Some((SPI, 0))));
        assert_eq!(leave(&mut table, &later(1)), Ok(Some((SPI, 0))));
        assert_eq!(leave(&mut table, &later(2)), Ok(Some((SPI + 1, 0))), "nothing is known of it");
        let web = with_ports(ipv4(UDP, 3, 0..800, false), 80);
        assert_eq!(leave(&mut table, &web), Ok(Some((SPI + 2, 0))));
        assert_eq!(leave(&mut table, &later(3)), Ok(Some((SPI + 1, 0))), "not agreed on there");
    }

    /// The peer knows the first fragment by the SA that it came on; that still receives for a while.
    #[test]
    fn a_later_fragment_stays_on_the_sa_of_its_first_one_through_a_rekey() {
        let mut table = OutboundTable::default();
        table.insert(SPI, sa(SPI, UDP, PORTS).following());
        for number in [1, 2] {
            let first = ipv4(UDP, number, 0..800, false);
            assert_eq!(leave(&mut table, &first), Ok(Some((SPI, 0))));
        }
        table.insert_standby(SPI + 1, sa(SPI + 1, UDP, PORTS).following());
        table.activate(SPI + 1);
        assert_eq!(leave(&mut table, &ipv4(UDP, 1, 800..1600, true)), Ok(Some((SPI, 0))));
        assert_eq!(leave(&mut table, &ipv4(UDP, 3, 0..800, false)), Ok(Some((SPI + 1, 0))));
        assert_eq!(leave(&mut table, &ipv4(UDP, 3, 800..1600, true)), Ok(Some((SPI + 1, 0))));
        table.remove(SPI);
        let late = ipv4(UDP, 2, 800..1600, true);
        assert_eq!(leave(&mut table, &late), Ok(Some((SPI + 1, 0))), "there is no other way");
    }

    #[test]
    fn a_later_fragment_waits_and_is_given_up() {
        let mut table = OutboundTable::default();
        table.insert(SPI, sa(SPI, UDP, PORTS).following());
        assert_eq!(leave(&mut table, &ipv4(UDP, 1, 800..1600, true)), Ok(None));
        assert_eq!(leave(&mut table, &ipv4(UDP, 1, 0..800, false)), Ok(Some((SPI, 1))));
        assert_eq!(leave(&mut table, &ipv4(UDP, 2, 800..1600, true)), Ok(None));
        assert_eq!(table.give_up(|| START), 0);
        assert_eq!(table.give_up(|| START + PATIENCE * 2), 1);
    }

    /// The attack: what a policy with ports forbids leaves in pieces.
    #[test]
    fn policies_see_the_ports_of_later_fragments() {
        let mut table = OutboundTable::default();
        table.insert(SPI, sa(SPI, 0, ANY));
        table.insert(SPI + 1, sa(SPI + 1, UDP, PORTS).following());
        let (client, server) = sides(UDP, PORTS);
        let discard = crate::selector::Policy::new(client, server).unwrap();
        let first = ipv4(UDP, 1, 0..800, false);
        assert_eq!(leave(&mut table, &first), Ok(Some((SPI + 1, 0))));
        let spd = Spd::new(&[(Verdict::Discard, discard)]).unwrap();
        table.govern(Some(std::sync::Arc::new(spd)));
        let later = ipv4(UDP, 1, 800..1600, true);
        assert_eq!(leave(&mut table, &later), Err(Refusal::Discarded));
        assert_eq!(flow(&later).source_port, Port::Hidden);
    }
}

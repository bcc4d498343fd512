// SPDX-License-Identifier: Apache-2.0
//! Packets through payloads: as they were, whatever is lost, late or made up.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Congestion, CongestionInfo, Dialogue, Packer, Reassembly};
use crate::error::Refusal;
use crate::testing::{ipv4_packet, ipv6_packet};

const NOW: Duration = Duration::from_secs(9);
const PATIENCE: Duration = Duration::from_millis(100);

/// Returns the payloads that carry the packets.
fn pack(payload: usize, may_fragment: bool, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut packer = Packer::new(payload, may_fragment).unwrap();
    let mut waiting = packets.iter().map(|packet| packet.clone().into_boxed_slice()).peekable();
    let mut payloads = Vec::new();
    while waiting.peek().is_some() || packer.is_within_a_packet() {
        let mut buffer = Vec::new();
        packer.fill(&mut buffer, || waiting.next());
        payloads.push(buffer);
    }
    payloads
}

/// Returns what comes out of payloads with these numbers, and what was refused.
fn arrive<'a>(
    reassembly: &mut Reassembly,
    payloads: impl IntoIterator<Item = (u64, &'a [u8])>,
) -> (Vec<Vec<u8>>, Vec<Refusal>) {
    let (mut packets, mut refused) = (Vec::new(), Vec::new());
    for (number, payload) in payloads {
        let taken = reassembly.add(number, payload, NOW, |packet| packets.push(packet.to_vec()));
        refused.extend(taken.err());
    }
    (packets, refused)
}

fn in_order(payloads: &[Vec<u8>]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(payloads.iter().map(Vec::as_slice))
}

fn offset(payload: &[u8]) -> u16 {
    u16::from_be_bytes([payload[2], payload[3]])
}

fn fresh() -> Reassembly {
    Reassembly::new(3, PATIENCE)
}

/// RFC 9347 App. A, figure 11: five packets in four payloads of 1404 octets.
#[test]
fn the_example_of_appendix_a() {
    let packets: Vec<_> =
        [750, 750, 60, 240, 3000].iter().map(|length| ipv4_packet(length - 28)).collect();
    let payloads = pack(1404, true, &packets);
    assert_eq!(payloads.iter().map(Vec::len).collect::<Vec<_>>(), [1404; 4]);
    assert_eq!(payloads.iter().map(|one| offset(one)).collect::<Vec<_>>(), [0, 100, 2000, 600]);
    assert!(payloads[3][4 + 600..].iter().all(|octet| *octet == 0));
    assert_eq!(arrive(&mut fresh(), in_order(&payloads)), (packets, vec![]));
}

/// RFC 9347 §2.2.3: all-pad payloads may come in between, and change nothing.
#[test]
fn padding_between_the_parts_of_a_packet_is_skipped() {
    let packets = vec![ipv6_packet(3000)];
    let mut payloads = pack(1404, true, &packets);
    let mut idle = Vec::new();
    Packer::new(1404, true).unwrap().fill(&mut idle, || None);
    assert_eq!(idle, vec![0; 1404]);
    payloads.insert(1, idle.clone());
    payloads.insert(3, vec![0, 0, 0, 0]);
    payloads.insert(0, idle);
    assert_eq!(arrive(&mut fresh(), in_order(&payloads)), (packets, vec![]));
}

/// RFC 9347 §6.1.2: payloads with congestion information carry packets as others do, and what they
/// tell reaches who sends.
#[test]
fn payloads_that_tell_of_congestion_carry_packets_as_others_do() {
    let dialogue = Arc::new(Dialogue::default());
    let mut reassembly = fresh().reporting(Some(Arc::clone(&dialogue)));
    let mut packer = Packer::new(300, true).unwrap().reporting();
    assert_eq!(packer.longest(), 65_535);
    let packets = [ipv4_packet(1000), ipv6_packet(9)];
    let mut waiting = packets.iter().map(|packet| packet.clone().into_boxed_slice());
    let info = CongestionInfo { stamp: 7, rtt: 5000, ..CongestionInfo::default() };
    let mut taken = Vec::new();
    for number in 1..6 {
        let mut payload = Vec::new();
        packer.fill_telling(&info, &mut payload, || waiting.next());
        assert_eq!(payload.len(), 300);
        reassembly.note(number, &payload, false, NOW);
        reassembly.add(number, &payload, NOW, |packet| taken.push(packet.to_vec())).unwrap();
    }
    assert_eq!(taken, packets);
    let said = Congestion::new(dialogue).next(PATIENCE, NOW + PATIENCE);
    assert_eq!((said.echo, said.echo_delay, said.transmit_delay), (7, 100_000, 100_000));
}

/// RFC 9347 §6.1.4, D: without fragments each packet is in one payload.
#[test]
fn without_fragments_no_packet_is_cut() {
    let packets: Vec<_> = [900, 900, 40, 1368].iter().map(|size| ipv4_packet(*size)).collect();
    let payloads = pack(1400, false, &packets);
    assert_eq!(payloads.len(), 3);
    assert!(payloads.iter().all(|payload| offset(payload) == 0));
    assert_eq!(arrive(&mut fresh(), in_order(&payloads)), (packets, vec![]));
    assert!(pack(1400, false, &[ipv4_packet(1369)]).iter().all(|payload| payload[4] == 0));
}

/// RFC 9347 §2.2.3: what the window has passed is dropped; what is missing is waited for.
#[test]
fn a_packet_is_waited_for_as_long_as_the_window_says() {
    let packets: Vec<_> = (0..7).map(|size| ipv4_packet(1000 + size)).collect();
    let payloads = pack(1404, false, &packets);
    let mut reassembly = fresh();
    let mut come = |number: usize| {
        let one = [(u64::try_from(number).unwrap(), payloads[number - 1].as_slice())];
        arrive(&mut reassembly, one)
    };
    assert_eq!(come(1), (packets[..1].to_vec(), vec![]));
    for number in [3, 4, 5] {
        assert_eq!(come(number), (vec![], vec![]));
    }
    assert_eq!(come(6), (packets[2..6].to_vec(), vec![]), "2 is given up");
    assert_eq!(come(2), (vec![], vec![Refusal::Replayed]));
    assert_eq!(come(7), (packets[6..].to_vec(), vec![]));
    assert_eq!((reassembly.lost(), reassembly.deadline()), (1, None));
}

/// RFC 9347 §2.2.3: "using a lost packet timer is RECOMMENDED".
#[test]
fn a_packet_is_waited_for_only_so_long() {
    let packets: Vec<_> = (0..3).map(|size| ipv4_packet(1000 + size)).collect();
    let payloads = pack(1404, false, &packets);
    let mut reassembly = fresh();
    assert_eq!(arrive(&mut reassembly, [(3, payloads[2].as_slice())]), (vec![], vec![]));
    assert_eq!(reassembly.deadline(), Some(NOW + PATIENCE));
    let mut found = Vec::new();
    let soon = NOW + PATIENCE / 2;
    reassembly.give_up(soon, |packet| found.push(packet.to_vec())).unwrap();
    assert!(found.is_empty());
    reassembly.give_up(NOW + PATIENCE, |packet| found.push(packet.to_vec())).unwrap();
    assert_eq!(found, packets[2..]);
    assert_eq!((reassembly.lost(), reassembly.deadline()), (2, None));
}

/// RFC 9347 §2.5: a sender whose offset and lengths do not agree costs itself that packet.
#[test]
fn an_offset_that_does_not_agree_with_the_length_costs_that_packet() {
    let packets = vec![ipv4_packet(1900), ipv4_packet(10)];
    for wrong in [0_u16, 1, 600, 1400, 60_000] {
        let mut payloads = pack(1404, true, &packets);
        payloads[1][2..4].copy_from_slice(&wrong.to_be_bytes());
        payloads.push(pack(1404, true, &packets[1..]).remove(0));
        let (found, refused) = arrive(&mut fresh(), in_order(&payloads));
        assert_eq!(found.last(), packets.last(), "{wrong}");
        assert!(!found.contains(&packets[0]) && refused.contains(&Refusal::Malformed), "{wrong}");
    }
}

/// A peer that never ends a packet has us hold one, and never more than IP says.
#[test]
fn fragments_that_never_end_are_held_no_longer_than_ip_says() {
    let mut endless = vec![0, 0, 0, 0, 0x60, 0, 0, 0, 0xff, 0xff];
    endless.resize(1404, 7);
    let mut more = vec![0, 0, 0xff, 0xff];
    more.resize(1404, 7);
    let mut reassembly = fresh();
    let (found, refused) = arrive(
        &mut reassembly,
        (1..).zip([endless.as_slice()].into_iter().chain([more.as_slice(); 200])),
    );
    assert!(found.is_empty());
    assert_eq!(refused, [Refusal::Malformed], "once, when it did not agree");
}

/// A jump ahead costs what is in between, and no time for each number of it.
#[test]
fn a_jump_of_the_numbers_is_taken_in_one_step() {
    let packets = vec![ipv4_packet(10)];
    let payloads = pack(1404, true, &packets);
    let mut reassembly = fresh();
    let far = 1 << 40;
    let later = (far..far + 4).map(|number| (number, payloads[0].as_slice()));
    let (found, refused) = arrive(&mut reassembly, later);
    assert_eq!((found.len(), refused), (4, vec![]));
    assert_eq!(reassembly.lost(), far - 1);
}

prop_compose! {
    fn some_packets()(
        sizes in prop::collection::vec((any::<bool>(), 0_usize..4000), 0..40),
    ) -> Vec<Vec<u8>> {
        sizes.into_iter().map(|(six, size)| if six { ipv6_packet(size) } else { ipv4_packet(size) })
            .collect()
    }
}

/// Returns the payloads that each packet has a part in.
fn touched(packets: &[Vec<u8>], payloads: &[Vec<u8>]) -> Vec<std::ops::RangeInclusive<usize>> {
    let data = payloads[0].len() - 4;
    let mut at = 0;
    let mut found = Vec::new();
    for packet in packets {
        let payload = at / data;
        // Where padding begins, the next packet is in the next payload.
        let is_padding = payloads.get(payload).is_none_or(|one| one[4 + at % data] >> 4 == 0);
        if is_padding {
            at = (payload + 1) * data;
        }
        found.push(at / data..=(at + packet.len() - 1) / data);
        at += packet.len();
    }
    found
}

proptest! {
    /// Any packets come out as they went in, in order.
    #[test]
    fn any_packets_come_out_the_same(packets in some_packets(), payload in 68_usize..2000) {
        let payloads = pack(payload, true, &packets);
        prop_assert!(payloads.iter().all(|one| one.len() == payload));
        prop_assert_eq!(arrive(&mut fresh(), in_order(&payloads)), (packets, vec![]));
    }

    /// Under loss those are lost that a lost payload has a part of, and no others.
    #[test]
    fn loss_costs_only_what_it_touches(
        packets in some_packets(),
        payload in 68_usize..2000,
        lost in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        reorder in 0_usize..6,
    ) {
        let payloads = pack(payload, true, &packets);
        prop_assume!(!payloads.is_empty());
        let lost: Vec<_> = lost.iter().map(|index| index.index(payloads.len())).collect();
        let mut reassembly = Reassembly::new(reorder, PATIENCE);
        let left = in_order(&payloads).enumerate().filter(|(place, _)| !lost.contains(place));
        let (mut found, refused) = arrive(&mut reassembly, left.map(|(_, one)| one));
        while let Some(deadline) = reassembly.deadline() {
            reassembly.give_up(deadline, |packet| found.push(packet.to_vec())).unwrap();
        }
        let kept: Vec<_> = packets.iter().zip(touched(&packets, &payloads))
            .filter(|(_, places)| !lost.iter().any(|place| places.contains(place)))
            .map(|(packet, _)| packet.clone()).collect();
        prop_assert_eq!((found, refused), (kept, vec![]));
    }

    /// Payloads that overtake others by less than the window change nothing.
    #[test]
    fn what_is_out_of_order_within_the_window_is_put_in_order(
        packets in some_packets(),
        payload in 68_usize..2000,
        delays in prop::collection::vec(0_usize..=3, 200),
    ) {
        let payloads = pack(payload, true, &packets);
        let mut arriving: Vec<_> = in_order(&payloads).collect();
        // Each leaves at its number and arrives up to 3 later: none overtakes by more than 3.
        arriving.sort_by_key(|(number, _)| {
            let place = usize::try_from(*number).unwrap();
            (place + delays[place % 200], *number)
        });
        prop_assert_eq!(arrive(&mut fresh(), arriving), (packets, vec![]));
    }

    /// Any octets of a peer are refused or are packets of the length that they say.
    #[test]
    fn any_payloads_are_judged(
        octets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..30),
        numbers in prop::collection::vec(0_u64..40, 30),
    ) {
        let mut reassembly = fresh();
        let arriving = numbers.into_iter().zip(octets.iter().map(Vec::as_slice));
        let (found, _) = arrive(&mut reassembly, arriving);
        prop_assert!(found.iter().all(|packet| matches!(packet[0] >> 4, 4 | 6)));
    }
}

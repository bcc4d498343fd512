// SPDX-License-Identifier: Apache-2.0
//! Fragmenting before ESP (RFC 791 §3.2): fragments put together again are the packet.
//!
//! The first octets choose the longest fragment, the options and the place of what is perhaps a fragment
//! already; the rest is the payload.
#![no_main]

use std::time::Duration;

use ikeway_esp::{Flow, Piece, Tracker};
use ikeway_io::fuzzing::fragment;
use libfuzzer_sys::fuzz_target;

const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

fuzz_target!(|data: &[u8]| {
    // Whatever it is, it is survived.
    let _ = fragment(data, 100);
    let [most, words, high, low, rest @ ..] = data else { return };
    let octets = usize::from(words % 11) * 4;
    let Some((options, payload)) = rest.split_at_checked(octets) else { return };
    let place = u16::from_be_bytes([*high, *low]) & !0xc000;
    let packet = packet(options, place, payload);
    let most = 28 + usize::from(*most) * 2;
    if let Ok(parts) = fragment(&packet, most) {
        check(&packet, &parts, most);
        if place == 0 {
            follow(&parts);
        }
    }
});

fn check(packet: &[u8], parts: &[Vec<u8>], most: usize) {
    let header = header_octets(packet);
    let mut joined = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let own = header_octets(part);
        assert!(part.len() <= most && own <= header);
        assert_eq!(usize::from(word(part, 2)), part.len());
        assert_eq!((&part[4..6], &part[8..10]), (&packet[4..6], &packet[8..10]));
        assert_eq!(part[12..20], packet[12..20]);
        let offset = usize::from(word(packet, 6) & OFFSET) * 8 + joined.len();
        assert_eq!(usize::from(word(part, 6) & OFFSET) * 8, offset);
        let is_last = number + 1 == parts.len();
        assert_eq!(word(part, 6) & MORE != 0, !is_last || word(packet, 6) & MORE != 0);
        joined.extend_from_slice(&part[own..]);
    }
    assert_eq!(joined, packet[header..]);
    if let [first, ..] = parts {
        assert_eq!(first[20..header], packet[20..header], "all options are in the first");
    }
}

/// The peer's gateway lets all of them pass, if the first has a whole header.
fn follow(parts: &[Vec<u8>]) {
    let [first, later @ ..] = parts else { return };
    let Ok(Some(piece)) = Piece::read(first) else { return };
    let mut tracker = Tracker::new(1);
    let flow = Flow::read(first).expect("it is a packet");
    tracker.lead(&piece, flow, Duration::ZERO).expect("it is the first");
    for part in later.iter().rev() {
        let piece = Piece::read(part).expect("it is a fragment").expect("it is one");
        assert_eq!(tracker.follow(&piece, Duration::ZERO), Ok(flow));
    }
}

fn packet(options: &[u8], place: u16, payload: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).expect("they are few");
    let length = u16::try_from(20 + options.len() + payload.len()).unwrap_or(0).to_be_bytes();
    let mut packet = vec![0x40 | words, 0, length[0], length[1], 0, 7];
    packet.extend(place.to_be_bytes());
    packet.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(options);
    packet.extend(payload);
    packet
}

fn header_octets(packet: &[u8]) -> usize {
    usize::from(packet[0] & 0x0f) * 4
}

fn word(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

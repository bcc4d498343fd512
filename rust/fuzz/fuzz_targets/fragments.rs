// SPDX-License-Identifier: Apache-2.0
//! Later fragments that follow their first one (RFC 4301 §7.3), against a plain set of octets for each
//! packet.
//!
//! Each four octets are a fragment: which of few packets it is of, and after how much time; where it
//! begins; how long it is, and whether more come. Whatever they are, they are read as a fragment, too.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use ikeway_esp::{Flow, Piece, Refusal, Tracker};
use libfuzzer_sys::fuzz_target;

const AGE: Duration = Duration::from_secs(15);
/// More parts that do not touch are not followed.
const PARTS: usize = 16;
/// Beyond the end of the farthest fragment.
const FAR: usize = 4096;

fuzz_target!(|data: &[u8]| {
    if let Ok(Some(_)) = Piece::read(data) {
        assert!(Flow::read(data).is_ok(), "what is a fragment has addresses");
    }
    let (mut tracker, mut model) = (Tracker::new(16), Model::default());
    let mut now = Duration::from_secs(60);
    for step in data.chunks_exact(4) {
        let [which, start, length, more] = step else { return };
        now += Duration::from_millis(u64::from(which >> 3) * 40);
        let packet = packet(which & 7, usize::from(*start) * 8, *length, more & 1 != 0);
        model.forget(now);
        if let Ok(Some(piece)) = Piece::read(&packet) {
            take(&mut tracker, &mut model, &piece, &packet, now);
        }
        let deadline = tracker.deadline().unwrap_or(now);
        assert!(deadline <= now + Duration::from_secs(3), "nothing waits for long");
        model.lost += tracker.take_lost();
    }
    tracker.forget(now + AGE * 2);
    model.lost += tracker.take_lost();
    assert_eq!(model.held, model.released + model.lost, "what waits passes or is counted");
});

fn take(tracker: &mut Tracker, model: &mut Model, piece: &Piece, packet: &[u8], now: Duration) {
    if piece.is_first() {
        let flow = Flow::read(packet).expect("it is a fragment");
        match tracker.lead(piece, flow, now) {
            Ok(waited) => {
                model.lead(packet, now);
                for packet in waited {
                    model.released += 1;
                    let piece = Piece::read(&packet).expect("it was one").expect("it was one");
                    follow(tracker, model, &piece, &packet, now);
                }
            }
            Err(refusal) => assert!(model.knows(packet), "{refusal}"),
        }
    } else if follow(tracker, model, piece, packet, now).is_none()
        && tracker.hold(piece, packet, now).is_ok()
    {
        model.held += 1;
    }
}

/// `None` is that its first one is not known.
fn follow(
    tracker: &mut Tracker,
    model: &mut Model,
    piece: &Piece,
    packet: &[u8],
    now: Duration,
) -> Option<()> {
    match tracker.follow(piece, now) {
        Ok(flow) => {
            assert_eq!(Some(flow.destination_port), model.port(packet));
            assert!(model.follow(packet), "it overlaps, or is beyond the end");
        }
        Err(Refusal::StrayFragment) => {
            assert!(!model.knows(packet));
            return None;
        }
        Err(_) => assert!(model.is_crowded(packet) || !model.follow(packet)),
    }
    Some(())
}

/// A packet of UDP; its ports are those of its number.
fn packet(number: u8, start: usize, length: u8, more: bool) -> Vec<u8> {
    let octets = if more { usize::from(length) * 8 } else { usize::from(length) };
    let [high, low] = u16::try_from(20 + octets).expect("it is short").to_be_bytes();
    let place = u16::try_from(start / 8).expect("it is near") | if more { 0x2000 } else { 0 };
    let mut packet = vec![0x45, 0, high, low, 0, number];
    packet.extend(place.to_be_bytes());
    packet.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, number, 0, number]);
    packet.resize(20 + octets, 0);
    packet
}

#[derive(Default)]
struct Model {
    known: BTreeMap<u8, Known>,
    held: u64,
    released: u64,
    lost: u64,
}

struct Known {
    since: Duration,
    /// Whether each has passed.
    octets: Vec<bool>,
    end: Option<usize>,
}

impl Model {
    fn forget(&mut self, now: Duration) {
        self.known.retain(|_, known| known.since >= now - AGE);
    }

    fn knows(&self, packet: &[u8]) -> bool {
        self.known.contains_key(&packet[5])
    }

    fn port(&self, packet: &[u8]) -> Option<ikeway_esp::Port> {
        self.knows(packet).then_some(ikeway_esp::Port::Known(u16::from(packet[5])))
    }

    fn lead(&mut self, packet: &[u8], now: Duration) {
        let known = Known { since: now, octets: vec![false; FAR], end: None };
        assert!(self.known.insert(packet[5], known).is_none());
        assert!(self.follow(packet));
    }

    /// Whether there are as many gaps as are followed.
    fn is_crowded(&self, packet: &[u8]) -> bool {
        let octets = &self.known[&packet[5]].octets;
        octets.windows(2).filter(|pair| pair[0] && !pair[1]).count() >= PARTS
    }

    /// Takes a fragment, if no octet of it has passed, and it is not beyond the end.
    fn follow(&mut self, packet: &[u8]) -> bool {
        let known = self.known.get_mut(&packet[5]).expect("its first one has passed");
        let place = u16::from_be_bytes([packet[6], packet[7]]);
        let (start, is_last) = (usize::from(place & 0x1fff) * 8, place & 0x2000 == 0);
        let span = start..start + packet.len() - 20;
        let is_within = match known.end {
            Some(end) => !is_last && span.end <= end,
            None => !is_last || !known.octets[span.end..].contains(&true),
        };
        if !is_within || known.octets[span.clone()].contains(&true) {
            return false;
        }
        known.end = known.end.or(is_last.then_some(span.end));
        known.octets[span].fill(true);
        if known.end.is_some_and(|end| !known.octets[..end].contains(&false)) {
            self.known.remove(&packet[5]);
        }
        true
    }
}

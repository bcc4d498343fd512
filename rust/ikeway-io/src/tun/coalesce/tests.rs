// SPDX-License-Identifier: Apache-2.0
//! Cutting and joining: what one does the other undoes, and what may not be joined is not.

use std::cell::RefCell;

use super::*;
use crate::tun::header::HEADER_OCTETS;
use crate::tun::segment::Handed;

const SEGMENT: usize = 1348;

/// Everything written: offload and packet.
#[derive(Default)]
struct Written(RefCell<Vec<(Offload, Vec<u8>)>>);

impl Sink for Written {
    fn write(&self, parts: &[IoSlice<'_>]) {
        let header = Offload::read(parts[0].first_chunk().unwrap());
        let packet = parts[1..].iter().flat_map(|part| part.iter().copied()).collect();
        self.0.borrow_mut().push((header, packet));
    }
}

#[test]
fn segments_are_whole_packets_with_right_checksums() {
    for is_ipv6 in [false, true] {
        let whole = tcp(is_ipv6, 1000, ACK | PSH | 0x80, 5 * SEGMENT + 77);
        let segments = cut(&whole, is_ipv6);
        assert_eq!(segments.len(), 6);
        for (number, segment) in segments.iter().enumerate() {
            let layout = Layout::of(segment).unwrap();
            assert!(layout.is_intact(segment));
            let sequence = u32::from_be_bytes(octets(segment, layout.network + 4).unwrap());
            assert_eq!(sequence, 1000 + u32::try_from(number * SEGMENT).unwrap());
            let flags = segment[layout.network + 13];
            assert_eq!(flags & 0x80 != 0, number == 0, "CWR is said once");
            assert_eq!(flags & PSH != 0, number == 5, "PSH is about the end");
        }
    }
}

#[test]
fn what_is_cut_is_joined_to_what_it_was() {
    for is_ipv6 in [false, true] {
        for octets in [SEGMENT, SEGMENT + 1, 20 * SEGMENT, 40 * SEGMENT + 5] {
            let whole = tcp(is_ipv6, 7, ACK | PSH, octets);
            let written = join(&cut(&whole, is_ipv6));
            let [(offload, packet)] = written.as_slice() else {
                panic!("{} writes", written.len())
            };
            let layout = Layout::of(packet).unwrap();
            let mut finished = packet.clone();
            if octets > SEGMENT {
                assert_eq!(usize::from(offload.segment), SEGMENT);
                assert_eq!(usize::from(offload.header_length), layout.headers);
                layout.set_checksum(&mut finished).unwrap();
            }
            let mut wanted = whole.clone();
            layout.set_checksum(&mut wanted).unwrap();
            assert_eq!(finished, wanted);
        }
    }
}

#[test]
fn a_damaged_segment_stays_alone_and_damaged() {
    let mut segments = cut(&tcp(false, 7, ACK, 4 * SEGMENT), false);
    let last = segments[1].len() - 1;
    segments[1][last] ^= 1;
    let written = join(&segments);
    assert_eq!(written.len(), 3);
    assert_eq!(written[1], (Offload::default(), segments[1].clone()));
    assert_eq!(written[2].1.len(), segments[2].len() + SEGMENT);
}

#[test]
fn what_differs_is_not_joined() {
    let two = cut(&tcp(false, 7, ACK, 2 * SEGMENT), false);
    // Type of service, time to live, ports, acknowledgement, window, an option, and the sequence
    // number.
    for place in [1, 8, 20, 23, 28, 35, 43, 27] {
        let mut changed = two.clone();
        changed[1][place] ^= 1;
        let layout = Layout::of(&changed[1]).unwrap();
        let length = changed[1].len();
        layout.set_length(&mut changed[1], length).unwrap();
        layout.set_checksum(&mut changed[1]).unwrap();
        assert_eq!(join(&changed).len(), 2, "octet {place}");
    }
    assert_eq!(join(&two).len(), 1);
    assert_eq!(join(&[two[1].clone(), two[0].clone()]).len(), 2, "out of order");
}

#[test]
fn control_segments_fragments_and_others_pass_as_they_are() {
    for flags in [0x02, 0x12, 0x11, 0x14, 0x30, 0x50] {
        let segments = cut(&tcp(false, 7, ACK, 2 * SEGMENT), false);
        let control = tcp(false, 9, flags, 10);
        let written = join(&[segments[0].clone(), control.clone(), segments[1].clone()]);
        assert_eq!(written.len(), 3);
        assert_eq!(written[1], (Offload::default(), control));
    }
    let mut fragment = tcp(false, 7, ACK, SEGMENT);
    fragment[6] = 0x20;
    let echo = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 0];
    for other in [fragment, echo, Vec::new(), vec![0x45], vec![0x60; 41]] {
        assert_eq!(join(std::slice::from_ref(&other)), [(Offload::default(), other)]);
    }
}

/// I1: whatever the header says, cutting ends, and never reads or writes beyond the packet.
#[test]
fn any_offload_header_is_survived() {
    let whole = tcp(false, 7, ACK, 3000);
    for kind in 0..=255_u8 {
        for flags in [0, 1, 2] {
            for number in [0, 1, 19, 54, 1348, 65_535] {
                let header = Offload {
                    flags,
                    cut: kind,
                    header_length: number,
                    segment: number,
                    checksum_start: number,
                    checksum_offset: number,
                };
                let mut read = [header.write().as_slice(), &whole].concat();
                let mut count = 0;
                if let Ok(mut handed) = Handed::read(&mut read) {
                    let _ = handed.each(|_| {
                        count += 1;
                        Ok(())
                    });
                }
                assert!(count <= 3000);
            }
        }
    }
}

#[test]
fn udp_is_cut_into_datagrams() {
    let mut whole = tcp(true, 0, 0, 3000);
    whole.drain(40..60);
    whole[6] = 17;
    let length = whole.len();
    Layout::of_udp(&mut whole, length);
    let header = Offload { cut: 5, segment: 1000, ..Offload::default() };
    let mut read = [header.write().as_slice(), &whole].concat();
    let mut sizes = Vec::new();
    let mut handed = Handed::read(&mut read).unwrap();
    handed
        .each(|packet| {
            let layout = Layout::of(packet).unwrap();
            assert!(layout.is_intact(packet));
            sizes.push(packet.len() - layout.headers);
            Ok(())
        })
        .unwrap();
    assert_eq!(sizes.iter().sum::<usize>(), length - 48);
    assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == 1000));
}

#[test]
fn datagrams_of_a_flow_are_joined_to_what_is_cut_into_them() {
    for is_ipv6 in [false, true] {
        let datagrams: Vec<_> = [500, 500, 500, 77].map(|octets| udp(is_ipv6, octets)).into();
        let written = join(&datagrams);
        let [(offload, packet)] = written.as_slice() else { panic!("{} writes", written.len()) };
        assert_eq!((offload.cut, offload.segment, offload.flags), (5, 500, NEEDS_CHECKSUM));
        let mut read = [offload.write().as_slice(), packet].concat();
        let mut again = Vec::new();
        let mut handed = Handed::read(&mut read).unwrap();
        let taken = handed.each(|packet| {
            again.push(packet.to_vec());
            Ok(())
        });
        assert_eq!(taken, Ok(()));
        for (one, other) in again.iter_mut().zip(&datagrams) {
            let layout = Layout::of(one).unwrap();
            assert!(layout.is_intact(one));
            assert_eq!(one[layout.network..], other[layout.network..]);
        }
        assert_eq!(again.len(), 4);
    }
}

#[test]
fn datagrams_that_cutting_would_change_stay_alone() {
    let (one, short, long) = (udp(false, 500), udp(false, 77), udp(false, 501));
    assert_eq!(join(&[one.clone(), short.clone(), one.clone()]).len(), 2, "short ones are last");
    assert_eq!(join(&[one.clone(), long]).len(), 2);
    let mut unchecked = one.clone();
    unchecked[26..28].fill(0);
    let mut other_port = one.clone();
    other_port[23] ^= 1;
    let mut may_be_fragmented = one.clone();
    may_be_fragmented[6] = 0;
    for mut other in [other_port, may_be_fragmented] {
        let layout = Layout::of(&other).unwrap();
        let length = other.len();
        layout.set_length(&mut other, length).unwrap();
        layout.set_checksum(&mut other).unwrap();
        assert_eq!(join(&[one.clone(), other.clone()]).len(), 2);
        assert_eq!(join(&[other.clone(), one.clone()])[0], (Offload::default(), other));
    }
    assert_eq!(join(&[unchecked.clone(), unchecked.clone()]).len(), 2);
    assert_eq!(join_for(false, &[one.clone(), one]).len(), 2, "a kernel that cannot cut them");
}

/// Returns a UDP packet with its checksum.
fn udp(is_ipv6: bool, payload: usize) -> Vec<u8> {
    let mut packet = tcp(is_ipv6, 0, 0, payload);
    let network = if is_ipv6 { 40 } else { 20 };
    packet.drain(network + 4..network + 28);
    packet[if is_ipv6 { 6 } else { 9 }] = UDP;
    let length = packet.len();
    let layout = Layout { is_ipv6, protocol: UDP, network, headers: network + 8 };
    layout.set_length(&mut packet, length).unwrap();
    layout.set_checksum(&mut packet).unwrap();
    packet
}

impl Layout {
    /// Sets the lengths of a packet of IPv6 and UDP.
    fn of_udp(packet: &mut [u8], length: usize) {
        let layout = Self { is_ipv6: true, protocol: 17, network: 40, headers: 48 };
        layout.set_length(packet, length).unwrap();
    }
}

fn cut(whole: &[u8], is_ipv6: bool) -> Vec<Vec<u8>> {
    let kind = if is_ipv6 { CUT_TCPV6 } else { CUT_TCPV4 };
    let segment = u16::try_from(SEGMENT).unwrap();
    let header = Offload { cut: kind, flags: NEEDS_CHECKSUM, segment, ..Offload::default() };
    let mut read = [header.write().as_slice(), whole].concat();
    assert_eq!(read.len(), HEADER_OCTETS + whole.len());
    let mut segments = Vec::new();
    let mut handed = Handed::read(&mut read).unwrap();
    handed
        .each(|packet| {
            segments.push(packet.to_vec());
            Ok(())
        })
        .unwrap();
    segments
}

fn join(packets: &[Vec<u8>]) -> Vec<(Offload, Vec<u8>)> {
    join_for(true, packets)
}

fn join_for(joins_udp: bool, packets: &[Vec<u8>]) -> Vec<(Offload, Vec<u8>)> {
    let (sink, mut coalescer) = (Written::default(), Coalescer::new(joins_udp));
    let mut buffer = packets.concat();
    let mut start = 0;
    for packet in packets {
        coalescer.push(&sink, &mut buffer, start..start + packet.len());
        start += packet.len();
    }
    coalescer.flush(&sink, &mut buffer);
    sink.0.into_inner()
}

/// Returns a TCP packet with a timestamp option and its checksum.
fn tcp(is_ipv6: bool, sequence: u32, flags: u8, payload: usize) -> Vec<u8> {
    let mut packet = if is_ipv6 {
        let mut header = vec![0x60, 0, 0, 0, 0, 0, 6, 64];
        header.extend((0..32).map(|octet| octet ^ 0xfd));
        header
    } else {
        vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1]
    };
    packet.extend_from_slice(&[0x1b, 0x58, 0x80, 0x01]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 9, 0x80, flags, 1, 0, 0, 0, 0, 0]);
    packet.extend_from_slice(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    packet.extend((0..payload).map(|octet| u8::try_from(octet % 251).unwrap()));
    let headers = packet.len() - payload;
    let layout = Layout { is_ipv6, protocol: 6, network: headers - 32, headers };
    let length = packet.len();
    layout.set_length(&mut packet, length).unwrap();
    layout.set_checksum(&mut packet).unwrap();
    packet
}

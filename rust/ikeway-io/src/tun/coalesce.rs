// SPDX-License-Identifier: Apache-2.0
//! Joins the TCP segments, or the UDP datagrams of a flow, that arrive one after the other, so that
//! the host takes them with one write.

use std::io::IoSlice;
use std::ops::Range;

use super::header::{NEEDS_CHECKSUM, Offload};
use super::layout::{Layout, TCP, UDP, octets, put};

const CUT_TCPV4: u8 = 1;
const CUT_TCPV6: u8 = 4;
const CUT_UDP: u8 = 5;

/// Segments in one write; with the header they stay far below the kernel's limit of parts.
const PIECES: usize = 128;
/// The longest IP packet.
const MAX_OCTETS: usize = 65_535;

const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// What packets are written to, each given in parts.
pub(crate) trait Sink {
    /// Writes one packet behind its virtio-net header. A full interface drops, as a full link does.
    fn write(&self, parts: &[IoSlice<'_>]);
}

/// Packets on their way to the interface, each of them a place in one buffer.
pub(crate) struct Coalescer {
    run: Option<Run>,
    pieces: Vec<Range<usize>>,
    most: usize,
    joins_udp: bool,
}

/// Segments or datagrams of one flow, all as long as the first but for the last.
#[derive(Clone, Copy)]
struct Run {
    layout: Layout,
    first: usize,
    segment: usize,
    octets: usize,
    next_sequence: u32,
    is_pushed: bool,
    is_closed: bool,
}

impl Coalescer {
    /// `joins_udp` says whether the interface takes joined datagrams, and cuts them again.
    pub(crate) fn new(joins_udp: bool) -> Self {
        Self { run: None, pieces: Vec::with_capacity(PIECES), most: PIECES, joins_udp }
    }

    /// Joins no more than so many.
    pub(crate) fn at_most(self, pieces: usize) -> Self {
        Self { most: pieces.min(PIECES), ..self }
    }

    /// Takes a packet; it, and those before it, reach the interface at the latest with `flush`.
    pub(crate) fn push(&mut self, sink: &impl Sink, buffer: &mut [u8], place: Range<usize>) {
        let read = buffer.get(place.clone()).and_then(Segment::read);
        let Some(segment) = read.filter(|one| self.joins_udp || one.layout.protocol == TCP) else {
            self.flush(sink, buffer);
            return write_one(sink, buffer.get(place).unwrap_or_default());
        };
        if !self.join(buffer, &segment, &place) {
            self.flush(sink, buffer);
            self.run = Some(Run::start(&segment, place.start));
            self.pieces.push(place);
        }
    }

    /// Writes what was joined.
    pub(crate) fn flush(&mut self, sink: &impl Sink, buffer: &mut [u8]) {
        let Some(run) = self.run.take() else { return };
        if self.pieces.len() > 1 && run.finish(buffer).is_some() {
            let header = run.offload().write();
            let mut parts = [IoSlice::new(&[]); PIECES + 1];
            parts[0] = IoSlice::new(&header);
            for (part, piece) in parts.iter_mut().skip(1).zip(&self.pieces) {
                *part = IoSlice::new(buffer.get(piece.clone()).unwrap_or_default());
            }
            let used = self.pieces.len() + 1;
            sink.write(parts.get(..used).unwrap_or_default());
        } else if let Some(piece) = self.pieces.first() {
            write_one(sink, buffer.get(piece.clone()).unwrap_or_default());
        }
        self.pieces.clear();
    }

    fn join(&mut self, buffer: &[u8], segment: &Segment, place: &Range<usize>) -> bool {
        let Some(run) = &mut self.run else { return false };
        let is_next = self.pieces.len() < self.most && run.takes(buffer, segment, place);
        if is_next {
            run.add(segment);
            self.pieces.push(place.start + segment.layout.headers..place.end);
        }
        is_next
    }
}

/// What may be joined: data of TCP with nothing but ACK and PSH set, or of UDP; no options of IP, and a
/// right checksum.
struct Segment {
    layout: Layout,
    payload: usize,
    sequence: u32,
    is_pushed: bool,
}

impl Segment {
    fn read(packet: &[u8]) -> Option<Self> {
        let layout = Layout::of(packet).filter(Layout::has_plain_header)?;
        let payload = packet.len() - layout.headers;
        let may_cut_again = layout.is_ipv6 || packet.get(6)? & 0x40 != 0;
        let (sequence, flags) = match layout.protocol {
            TCP => (octets(packet, layout.network + 4)?, *packet.get(layout.network + 13)?),
            // A datagram without a checksum would get one.
            UDP if octets(packet, layout.network + 6)? != [0; 2] => ([0; 4], ACK),
            _ => return None,
        };
        let is_plain = payload > 0 && flags & !PSH == ACK && may_cut_again;
        // Joined octets are trusted by the host, so a segment that was damaged before it was sealed
        // stays alone.
        (is_plain && layout.is_intact(packet)).then_some(())?;
        let sequence = u32::from_be_bytes(sequence);
        Some(Self { layout, payload, sequence, is_pushed: flags & PSH != 0 })
    }
}

impl Run {
    fn start(segment: &Segment, first: usize) -> Self {
        let mut run = Self {
            layout: segment.layout,
            first,
            segment: segment.payload,
            octets: segment.layout.headers,
            next_sequence: segment.sequence,
            is_pushed: false,
            is_closed: false,
        };
        run.add(segment);
        run
    }

    fn takes(&self, buffer: &[u8], segment: &Segment, place: &Range<usize>) -> bool {
        let headers =
            |start: usize| buffer.get(start..start + self.layout.headers).unwrap_or_default();
        !self.is_closed
            && segment.layout == self.layout
            && (self.layout.protocol == UDP || segment.sequence == self.next_sequence)
            && segment.payload <= self.segment
            && self.octets + segment.payload <= MAX_OCTETS
            && are_alike(&self.layout, headers(self.first), headers(place.start))
    }

    /// A shorter segment is the last; so is a pushed one, which the sender wants to be seen.
    fn add(&mut self, segment: &Segment) {
        self.octets += segment.payload;
        self.next_sequence =
            segment.sequence.wrapping_add(u32::try_from(segment.payload).unwrap_or(0));
        self.is_pushed = segment.is_pushed;
        self.is_closed = segment.payload < self.segment || segment.is_pushed;
    }

    /// Makes the first segment's headers those of the whole.
    fn finish(&self, buffer: &mut [u8]) -> Option<()> {
        let packet = buffer.get_mut(self.first..)?;
        if self.is_pushed {
            let flags = *packet.get(self.layout.network + 13)?;
            put(packet, self.layout.network + 13, [flags | PSH])?;
        }
        self.layout.set_length(packet, self.octets)?;
        self.layout.set_partial_checksum(packet, self.octets)
    }

    fn offload(&self) -> Offload {
        let word = |value: usize| u16::try_from(value).unwrap_or(0);
        Offload {
            flags: NEEDS_CHECKSUM,
            cut: match (self.layout.protocol, self.layout.is_ipv6) {
                (UDP, _) => CUT_UDP,
                (_, true) => CUT_TCPV6,
                (_, false) => CUT_TCPV4,
            },
            header_length: word(self.layout.headers),
            segment: word(self.segment),
            checksum_start: word(self.layout.network),
            checksum_offset: word(self.layout.checksum_offset()),
        }
    }
}

/// Whether two headers are of one flow and differ only in what cutting gives back: lengths,
/// identification, sequence number, PSH and checksums.
fn are_alike(layout: &Layout, one: &[u8], other: &[u8]) -> bool {
    let same = |range: Range<usize>| one.get(range.clone()) == other.get(range);
    let network = layout.network;
    let ip = if layout.is_ipv6 {
        same(0..4) && same(6..40)
    } else {
        same(0..2) && same(6..10) && same(12..20)
    };
    // Ports; of TCP also acknowledgement and its offset; window; urgent pointer and options.
    let is_tcp_alike = || {
        same(network + 8..network + 13)
            && same(network + 14..network + 16)
            && same(network + 18..layout.headers)
    };
    ip && same(network..network + 4) && (layout.protocol == UDP || is_tcp_alike())
}

fn write_one(sink: &impl Sink, packet: &[u8]) {
    let header = Offload::default().write();
    sink.write(&[IoSlice::new(&header), IoSlice::new(packet)]);
}

#[cfg(test)]
mod tests;

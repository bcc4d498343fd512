// SPDX-License-Identifier: Apache-2.0
//! Joins the TCP segments that arrive one after the other, so that the host takes them with one
//! write.

use std::io::IoSlice;
use std::ops::Range;

use super::header::{NEEDS_CHECKSUM, Offload};
use super::layout::{Layout, TCP, octets, put};

const CUT_TCPV4: u8 = 1;
const CUT_TCPV6: u8 = 4;

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
}

/// Segments of one TCP flow, all as long as the first but for the last.
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
    pub(crate) fn new() -> Self {
        Self { run: None, pieces: Vec::with_capacity(PIECES) }
    }

    /// Takes a packet; it, and those before it, reach the interface at the latest with `flush`.
    pub(crate) fn push(&mut self, sink: &impl Sink, buffer: &mut [u8], place: Range<usize>) {
        let Some(segment) = buffer.get(place.clone()).and_then(Segment::read) else {
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
        let is_next = self.pieces.len() < PIECES && run.takes(buffer, segment, place);
        if is_next {
            run.add(segment);
            self.pieces.push(place.start + segment.layout.headers..place.end);
        }
        is_next
    }
}

/// A TCP segment that may be joined: data, nothing but ACK and PSH set, no options of IP, a right
/// checksum.
struct Segment {
    layout: Layout,
    payload: usize,
    sequence: u32,
    is_pushed: bool,
}

impl Segment {
    fn read(packet: &[u8]) -> Option<Self> {
        let layout = Layout::of(packet)
            .filter(|layout| layout.protocol == TCP && layout.has_plain_header())?;
        let payload = packet.len() - layout.headers;
        let flags = *packet.get(layout.network + 13)?;
        let may_cut_again = layout.is_ipv6 || packet.get(6)? & 0x40 != 0;
        let is_plain = payload > 0 && flags & !PSH == ACK && may_cut_again;
        // Joined octets are trusted by the host, so a segment that was damaged before it was sealed
        // stays alone.
        (is_plain && layout.is_intact(packet)).then_some(())?;
        let sequence = u32::from_be_bytes(octets(packet, layout.network + 4)?);
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
            && segment.sequence == self.next_sequence
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
            cut: if self.layout.is_ipv6 { CUT_TCPV6 } else { CUT_TCPV4 },
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
    // Ports, acknowledgement and its offset; window; urgent pointer and options.
    ip && same(network..network + 4)
        && same(network + 8..network + 13)
        && same(network + 14..network + 16)
        && same(network + 18..layout.headers)
}

fn write_one(sink: &impl Sink, packet: &[u8]) {
    let header = Offload::default().write();
    sink.write(&[IoSlice::new(&header), IoSlice::new(packet)]);
}

#[cfg(test)]
mod tests;

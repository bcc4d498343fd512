// SPDX-License-Identifier: Apache-2.0
//! What the interface hands over: a packet, or up to 64 KB of TCP or UDP that the host left for us
//! to cut.

use ikeway_esp::{Refusal, forbids_fragments};

use super::header::{HEADER_OCTETS, NEEDS_CHECKSUM, Offload};
use super::layout::{Layout, TCP, UDP, octets, put};
use super::mss::clamp;

const CUT_NOT: u8 = 0;
const CUT_TCPV4: u8 = 1;
const CUT_TCPV6: u8 = 4;
const CUT_UDP: u8 = 5;
/// TCP with ECN: CWR belongs to the first segment only, which cutting sees to in any case.
const CUT_ECN: u8 = 0x80;

const CWR: u8 = 0x80;
const FIN_AND_PSH: u8 = 0x09;

/// Whether what was handed over fits into a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It does.
    Whole,
    /// It does not, and only its sender may change that.
    Bound,
    /// It does not, and may be fragmented.
    Free,
}

/// One read of the interface.
pub(crate) struct Handed<'buffer> {
    packet: &'buffer mut [u8],
    cut: Option<Cut>,
}

/// How a packet is cut into segments.
#[derive(Clone, Copy)]
struct Cut {
    layout: Layout,
    segment: usize,
}

impl<'buffer> Handed<'buffer> {
    /// Returns what a read gave: header and packet. A checksum that the host left out is put in.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if the header asks for what the packet does not allow.
    pub(crate) fn read(buffer: &'buffer mut [u8]) -> Result<Self, Refusal> {
        let (header, packet) =
            buffer.split_first_chunk_mut::<HEADER_OCTETS>().ok_or(Refusal::Malformed)?;
        let offload = Offload::read(header);
        let cut = match offload.cut & !CUT_ECN {
            CUT_NOT => {
                complete(packet, offload).ok_or(Refusal::Malformed)?;
                // So that a packet that has to wait can be read once more.
                *header = Offload::default().write();
                None
            }
            kind => Some(Cut::new(packet, kind, offload.segment).ok_or(Refusal::Malformed)?),
        };
        Ok(Self { packet, cut })
    }

    /// Returns the packet as it was handed over; its addresses, protocol and ports are those of
    /// every segment.
    pub(crate) fn packet(&self) -> &[u8] {
        self.packet
    }

    /// Lowers the segment size that it announces to what an MTU carries, if it announces one.
    pub(crate) fn clamp(&mut self, mtu: usize) {
        if self.cut.is_none() {
            clamp(self.packet, || mtu);
        }
    }

    /// Makes TCP that the host left to be cut fit into `most` octets a packet. Returns whether all
    /// fits.
    pub(crate) fn fit(&mut self, most: usize) -> Fit {
        if let Some(cut) = &mut self.cut
            && cut.layout.protocol == TCP
            && most > cut.layout.headers
        {
            cut.segment = cut.segment.min(most - cut.layout.headers);
            return Fit::Whole;
        }
        let longest = match self.cut {
            Some(cut) => self.packet.len().min(cut.layout.headers + cut.segment),
            None => self.packet.len(),
        };
        match longest <= most {
            true => Fit::Whole,
            false if forbids_fragments(self.packet) => Fit::Bound,
            false => Fit::Free,
        }
    }

    /// Calls `take` with each packet that goes out, in order.
    ///
    /// A segment's headers are written in front of its payload, over the payload of the one before,
    /// which is sealed by then: so no octet is copied.
    ///
    /// # Errors
    /// Those of `take`, with the first of which it ends.
    pub(crate) fn each<F>(&mut self, mut take: F) -> Result<(), Refusal>
    where
        F: FnMut(&[u8]) -> Result<(), Refusal>,
    {
        let Some(cut) = self.cut else { return take(self.packet) };
        let headers = Headers::keep(self.packet, cut.layout).ok_or(Refusal::Malformed)?;
        let mut start = cut.layout.headers;
        let mut number = 0;
        while start < self.packet.len() {
            let end = (start + cut.segment).min(self.packet.len());
            let is_last = end == self.packet.len();
            let place = start - cut.layout.headers..end;
            let packet = self.packet.get_mut(place).ok_or(Refusal::Malformed)?;
            headers
                .write(packet, start - cut.layout.headers, number, is_last)
                .ok_or(Refusal::Malformed)?;
            take(packet)?;
            start = end;
            number = number.wrapping_add(1);
        }
        Ok(())
    }
}

impl Cut {
    fn new(packet: &[u8], kind: u8, segment: u16) -> Option<Self> {
        let layout = Layout::of(packet)?;
        let is_kind = match kind {
            CUT_TCPV4 => layout.protocol == TCP && !layout.is_ipv6,
            CUT_TCPV6 => layout.protocol == TCP && layout.is_ipv6,
            CUT_UDP => layout.protocol == UDP,
            _ => false,
        };
        let is_cuttable = is_kind
            && segment > 0
            && layout.headers <= MAX_HEADERS
            && layout.headers < packet.len();
        is_cuttable.then_some(Self { layout, segment: usize::from(segment) })
    }
}

/// The longest headers that TCP over IP without extension headers has.
const MAX_HEADERS: usize = 60 + 60;

/// The headers of a packet that is cut, from which those of its segments are made.
struct Headers {
    octets: [u8; MAX_HEADERS],
    layout: Layout,
    sequence: u32,
    identification: u16,
    flags: u8,
}

impl Headers {
    fn keep(packet: &[u8], layout: Layout) -> Option<Self> {
        let mut kept = [0; MAX_HEADERS];
        kept.get_mut(..layout.headers)?.copy_from_slice(packet.get(..layout.headers)?);
        let is_tcp = layout.protocol == TCP;
        Some(Self {
            octets: kept,
            layout,
            sequence: if is_tcp {
                u32::from_be_bytes(octets(packet, layout.network + 4)?)
            } else {
                0
            },
            identification: u16::from_be_bytes(octets(packet, 4)?),
            flags: if is_tcp { *packet.get(layout.network + 13)? } else { 0 },
        })
    }

    /// Writes the headers of segment `number`, whose payload starts `offset` octets into the whole
    /// payload.
    fn write(&self, packet: &mut [u8], offset: usize, number: u16, is_last: bool) -> Option<()> {
        let layout = self.layout;
        packet.get_mut(..layout.headers)?.copy_from_slice(self.octets.get(..layout.headers)?);
        if !layout.is_ipv6 {
            put(packet, 4, self.identification.wrapping_add(number).to_be_bytes())?;
        }
        if layout.protocol == TCP {
            let sequence = self.sequence.wrapping_add(u32::try_from(offset).ok()?);
            put(packet, layout.network + 4, sequence.to_be_bytes())?;
            put(packet, layout.network + 13, [self.segment_flags(number == 0, is_last)])?;
        }
        layout.set_length(packet, packet.len())?;
        layout.set_checksum(packet)
    }

    /// FIN and PSH are about the end of the octets, CWR is said once (RFC 9293 §3.1, RFC 3168
    /// §6.1.2).
    const fn segment_flags(&self, is_first: bool, is_last: bool) -> u8 {
        let mut flags = self.flags;
        if !is_first {
            flags &= !CWR;
        }
        if !is_last {
            flags &= !FIN_AND_PSH;
        }
        flags
    }
}

/// Puts in the checksum that the host left out: its place holds the sum of the pseudo header.
fn complete(packet: &mut [u8], offload: Offload) -> Option<()> {
    if offload.flags & NEEDS_CHECKSUM == 0 {
        return Some(());
    }
    let start = usize::from(offload.checksum_start);
    let place = start + usize::from(offload.checksum_offset);
    let checksum = super::checksum::finish(super::checksum::sum(packet.get(start..)?));
    let is_none = checksum == [0; 2];
    put(packet, place, if is_none { [0xff; 2] } else { checksum })
}

// SPDX-License-Identifier: Apache-2.0
//! Inner packets into payloads of one size (RFC 9347 §2.2).

use super::header::{CONGESTION_HEADER, CongestionInfo, HEADER};

/// The first part of a packet has its length field in it, so that no receiver has to guess.
const LEAST_PART: usize = 8;
/// A smaller payload would be all header.
const LEAST_PAYLOAD: usize = HEADER + 64;

/// Makes the payloads of one SA.
pub struct Packer {
    payload: usize,
    header: usize,
    may_fragment: bool,
    /// The packet that is sent in parts, or that had no room, and how much of it has left.
    begun: Option<(Box<[u8]>, usize)>,
}

/// How many packets begin in a payload, and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Packets.
    pub packets: u64,
    /// Octets of these packets.
    pub octets: u64,
    /// Packets that were too long by the time that it was their turn.
    pub dropped: u64,
}

impl Packer {
    /// Returns a packer of payloads of so many octets. Without fragments each packet is in one of
    /// them (§6.1.4, D).
    #[must_use]
    pub fn new(payload: usize, may_fragment: bool) -> Option<Self> {
        let header = HEADER;
        is_size(payload).then_some(Self { payload, header, may_fragment, begun: None })
    }

    /// Returns the same for payloads that tell of congestion (§6.1.2).
    #[must_use]
    pub fn reporting(self) -> Self {
        Self { header: CONGESTION_HEADER, ..self }
    }

    /// Makes payloads of another size from the next one on, if it is one; what has begun goes on in
    /// them (§2: the receiver expects that sizes vary).
    pub fn resize(&mut self, payload: usize) {
        if is_size(payload) {
            self.payload = payload;
        }
    }

    /// Returns the longest packet that can be sent.
    #[must_use]
    pub const fn longest(&self) -> usize {
        if self.may_fragment { u16::MAX as usize } else { self.payload - self.header }
    }

    /// Returns whether a packet has left in part.
    #[must_use]
    pub const fn is_within_a_packet(&self) -> bool {
        self.begun.is_some()
    }

    /// Puts the next payload into `buffer`: what is begun, then what `next` gives, then padding. A
    /// packet that is too long for [`Packer::longest`] is dropped.
    pub fn fill(
        &mut self,
        buffer: &mut Vec<u8>,
        next: impl FnMut() -> Option<Box<[u8]>>,
    ) -> Packed {
        self.fill_telling(&CongestionInfo::default(), buffer, next)
    }

    /// Does the same; payloads that tell of congestion tell this.
    pub fn fill_telling(
        &mut self,
        info: &CongestionInfo,
        buffer: &mut Vec<u8>,
        mut next: impl FnMut() -> Option<Box<[u8]>>,
    ) -> Packed {
        let mut filled = Packed::default();
        self.put_header(info, buffer);
        while buffer.len() < self.payload {
            let Some((packet, sent)) = self.begun.take().or_else(|| next().map(|one| (one, 0)))
            else {
                break;
            };
            if packet.len() > self.longest() {
                filled.dropped += 1;
                continue;
            }
            let room = self.payload - buffer.len();
            let whole = packet.len() - sent;
            let is_cut = whole > room;
            if is_cut && sent == 0 && (!self.may_fragment || room < LEAST_PART) {
                self.begun = Some((packet, 0));
                break;
            }
            if sent == 0 {
                filled.packets += 1;
                filled.octets += u64::try_from(packet.len()).unwrap_or(0);
            }
            let end = sent + whole.min(room);
            buffer.extend_from_slice(packet.get(sent..end).unwrap_or_default());
            if is_cut {
                self.begun = Some((packet, end));
            }
        }
        // A pad data block: its type is 0, and it extends to the end (§6.1.3.3).
        buffer.resize(self.payload, 0);
        filled
    }

    /// The offset counts what is left of the packet that began before, also beyond this payload.
    fn put_header(&self, info: &CongestionInfo, buffer: &mut Vec<u8>) {
        let left = self.begun.as_ref().map_or(0, |(packet, sent)| match sent {
            0 => 0,
            sent => packet.len() - sent,
        });
        let left = u16::try_from(left).unwrap_or(u16::MAX);
        buffer.clear();
        if self.header == CONGESTION_HEADER {
            info.write(left, buffer);
        } else {
            let [high, low] = left.to_be_bytes();
            buffer.extend_from_slice(&[0, 0, high, low]);
        }
    }
}

fn is_size(payload: usize) -> bool {
    (LEAST_PAYLOAD..=usize::from(u16::MAX)).contains(&payload)
}

// SPDX-License-Identifier: Apache-2.0
//! The virtio-net header before each packet of the TUN interface (virtio 1.2 §5.1.6).

/// Octets of the header.
pub(crate) const HEADER_OCTETS: usize = 10;

pub(crate) const NEEDS_CHECKSUM: u8 = 1;

/// What is left to do with a packet, or was left out for the kernel to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offload {
    pub(crate) flags: u8,
    /// How the packet is to be cut: 0 not at all.
    pub(crate) cut: u8,
    pub(crate) header_length: u16,
    pub(crate) segment: u16,
    pub(crate) checksum_start: u16,
    pub(crate) checksum_offset: u16,
}

impl Offload {
    pub(crate) fn read(octets: &[u8; HEADER_OCTETS]) -> Self {
        let [flags, cut, words @ ..] = *octets;
        let word = |place: usize| match words.get(place..place + 2) {
            Some(&[low, high]) => u16::from_ne_bytes([low, high]),
            _ => 0,
        };
        Self {
            flags,
            cut,
            header_length: word(0),
            segment: word(2),
            checksum_start: word(4),
            checksum_offset: word(6),
        }
    }

    pub(crate) fn write(self) -> [u8; HEADER_OCTETS] {
        let mut octets = [self.flags, self.cut, 0, 0, 0, 0, 0, 0, 0, 0];
        let words = [self.header_length, self.segment, self.checksum_start, self.checksum_offset];
        let (_, places) = octets.split_at_mut(2);
        for (place, word) in places.chunks_exact_mut(2).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_it_was_written() {
        let offload = Offload {
            flags: NEEDS_CHECKSUM,
            cut: 1,
            header_length: 52,
            segment: 1348,
            checksum_start: 20,
            checksum_offset: 16,
        };
        assert_eq!(Offload::read(&offload.write()), offload);
    }
}

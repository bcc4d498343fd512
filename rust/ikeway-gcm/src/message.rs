// SPDX-License-Identifier: Apache-2.0
//! What a packet is sealed with beside its key.

/// Octets of a whole tag.
pub const TAG_OCTETS: usize = 16;

/// The nonce of one packet, which no other packet of its key has (RFC 4106 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// Part of the keying material.
    pub salt: u32,
    /// As it stands in the packet, the first octet in the highest bits.
    pub iv: u64,
}

impl Nonce {
    /// Returns the block of a counter of 0 (SP 800-38D §7.1, J0 less 1), its first octet in the
    /// highest bits.
    pub(crate) const fn block(self) -> u128 {
        (self.salt as u128) << 96 | (self.iv as u128) << 32
    }
}

/// What is protected and not encrypted: SPI and sequence number, of two words or three with ESN
/// (RFC 4106 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Associated {
    block: u128,
    words: u8,
}

impl Associated {
    /// Takes words as they are written, the first one first.
    #[must_use]
    pub const fn of_two(first: u32, second: u32) -> Self {
        Self { block: (first as u128) << 96 | (second as u128) << 64, words: 2 }
    }

    /// Takes words as they are written, the first one first.
    #[must_use]
    pub const fn of_three(first: u32, second: u32, third: u32) -> Self {
        let Self { block, .. } = Self::of_two(first, second);
        Self { block: block | (third as u128) << 32, words: 3 }
    }

    /// Returns the words with zeros behind, the first octet in the highest bits.
    pub(crate) const fn block(self) -> u128 {
        self.block
    }

    /// Returns the block that ends what is authenticated: both lengths in bits (SP 800-38D §7.1).
    pub(crate) const fn lengths(self, octets: usize) -> u128 {
        (self.words as u128 * 32) << 64 | (octets as u128 * 8)
    }
}

/// The tag is not that of the packet: somebody changed or made it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

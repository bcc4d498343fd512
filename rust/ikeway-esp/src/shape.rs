// SPDX-License-Identifier: Apache-2.0
//! What a suite makes of a packet: how long its parts are, and where its IVs come from (RFC 4303 §2).

/// Where an IV comes from, and how much of it is in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Iv {
    /// There is none.
    None,
    /// It is the sequence number, which never repeats (RFC 4106 §3.1).
    Counter,
    /// It is the sequence number, and not sent (RFC 8750 §4).
    Implicit,
    /// It is a block of so many octets that nobody can predict (RFC 3602 §3, RFC 2451 §3).
    Random(u8),
}

/// Lengths of a packet's parts. Every SA has one, so they are as small as they can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    iv: Iv,
    icv_octets: u8,
    alignment: u8,
}

impl Shape {
    /// `alignment` is what the ciphertext's length is a multiple of: a block, and at least 4 octets
    /// (RFC 4303 §2.4).
    pub(crate) const fn new(iv: Iv, icv_octets: u8, alignment: u8) -> Self {
        Self { iv, icv_octets, alignment }
    }

    /// Returns the same with an ICV of another length.
    pub(crate) const fn with_icv(self, icv_octets: u8) -> Self {
        Self { icv_octets, ..self }
    }

    pub(crate) const fn iv(self) -> Iv {
        self.iv
    }

    pub(crate) const fn icv_octets(self) -> usize {
        self.icv_octets as usize
    }

    /// Returns what the ciphertext's length is a multiple of.
    pub(crate) const fn alignment(self) -> usize {
        self.alignment as usize
    }

    /// Returns the next multiple of the alignment, which is a power of two: a division would take
    /// longer than all else that is done for the length.
    pub(crate) const fn aligned(self, octets: usize) -> usize {
        let mask = self.alignment().wrapping_sub(1);
        octets.wrapping_add(mask) & !mask
    }

    /// Returns how many octets of IV there are in a packet.
    pub(crate) const fn iv_octets(self) -> usize {
        match self.iv {
            Iv::None | Iv::Implicit => 0,
            Iv::Counter => 8,
            Iv::Random(octets) => octets as usize,
        }
    }
}

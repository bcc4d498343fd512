// SPDX-License-Identifier: Apache-2.0
//! AEAD ciphers with whole tags, whose IVs are the packets' numbers: in the packet (RFC 4106, RFC
//! 7634), or left out (RFC 8750).

use crate::shape::{Iv, Shape};
use crate::transform::{BadIcv, Protection};

pub(crate) const ICV_OCTETS: usize = 16;
const EXPLICIT: Shape = Shape::new(Iv::Counter, 16, 4);
const IMPLICIT: Shape = Shape::new(Iv::Implicit, 16, 4);

/// The key of one direction. What has `IV` octets of IV in a packet is compiled for that number.
pub(crate) trait Numbered: Send + Sync {
    /// Returns whether packets have no IV.
    fn is_implicit(&self) -> bool;

    /// As [`Protection::seal`].
    fn seal_with<const IV: usize>(
        &self,
        sequence: u64,
        inner: &[u8],
        trailer: &[u8],
        packet: &mut [u8],
    ) -> Option<()>;

    /// As [`Protection::open`].
    fn open_with<const IV: usize>(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv>;

    /// Returns the shape of packets, which is one of two: no SA needs a place for it.
    #[inline]
    fn shape(&self) -> Shape {
        if self.is_implicit() { IMPLICIT } else { EXPLICIT }
    }
}

impl<Cipher: Numbered> Protection for Cipher {
    #[inline]
    fn seal(&self, sequence: u64, inner: &[u8], trailer: &[u8], packet: &mut [u8]) -> Option<()> {
        if self.is_implicit() {
            self.seal_with::<0>(sequence, inner, trailer, packet)
        } else {
            self.seal_with::<8>(sequence, inner, trailer, packet)
        }
    }

    #[inline]
    fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        if self.is_implicit() {
            self.open_with::<0>(sequence, packet)
        } else {
            self.open_with::<8>(sequence, packet)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! A key for whoever has packets to seal or open, where the processor can.

use crate::message::{Associated, Forged, Nonce, TAG_OCTETS};

#[cfg(target_arch = "x86_64")]
use crate::vectors::Expanded;

/// Longer packets would use up the counter's 32 bits (SP 800-38D §5.2.1.1); none are.
const LONGEST: usize = 1 << 24;

/// An expanded key of AES-128-GCM or AES-256-GCM; erased when dropped.
///
/// One is there only where the processor has what it takes.
pub struct Key(Expanded);

/// None is there for other processors.
#[cfg(not(target_arch = "x86_64"))]
enum Expanded {}

#[cfg(not(target_arch = "x86_64"))]
impl Expanded {
    fn new(_key: &[u8]) -> Option<Self> {
        None
    }

    fn seal(&self, _: Nonce, _: Associated, _: &[u8], _: &mut [u8]) -> [u8; TAG_OCTETS] {
        match *self {}
    }

    fn open(&self, _: Nonce, _: Associated, _: &mut [u8]) -> [u8; TAG_OCTETS] {
        match *self {}
    }
}

impl Key {
    /// Expands 16 or 32 octets of key. `None` is for another length, or for a processor without
    /// VAES, VPCLMULQDQ or AVX-512: use a library there.
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        Expanded::new(key).map(Self)
    }

    /// Seals `body` where it stands and returns the tag. What `inner` has comes first in it: it is
    /// read there, and `body` is overwritten.
    ///
    /// `None` is that `inner` is longer than `body`, or that longer than 16 MiB.
    #[inline]
    pub fn seal(
        &self,
        nonce: Nonce,
        associated: Associated,
        inner: &[u8],
        body: &mut [u8],
    ) -> Option<[u8; TAG_OCTETS]> {
        let fits = inner.len() <= body.len() && body.len() <= LONGEST;
        fits.then(|| self.0.seal(nonce, associated, inner, body))
    }

    /// Opens `body` where it stands.
    ///
    /// # Errors
    /// [`Forged`] if the tag is not that of the packet; `body` is zeros then.
    #[inline]
    pub fn open(
        &self,
        nonce: Nonce,
        associated: Associated,
        body: &mut [u8],
        tag: [u8; TAG_OCTETS],
    ) -> Result<(), Forged> {
        if body.len() > LONGEST {
            return Err(Forged);
        }
        let made = self.0.open(nonce, associated, body);
        // One comparison of all octets, whichever of them differ.
        if u128::from_ne_bytes(made) ^ u128::from_ne_bytes(tag) == 0 {
            return Ok(());
        }
        body.fill(0);
        Err(Forged)
    }
}

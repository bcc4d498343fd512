// SPDX-License-Identifier: Apache-2.0
//! The integrity check value: a MAC, or AES-GMAC with its IV before the tag (RFC 4302 §2.6, RFC 4543
//! §4).

use aws_lc_rs::aead::{Aad, LessSafeKey};

use crate::aead::expand;
use crate::associated::nonce;
use crate::mac::{Family, Mac};
use crate::suite::SALT_OCTETS;

/// As long as the longest: half of HMAC-SHA2-512.
pub(super) const MAX_ICV: usize = 32;
const IV_OCTETS: usize = 8;

/// An integrity algorithm with its key.
pub(super) enum Check {
    Mac(Mac),
    Gmac { key: Box<LessSafeKey>, salt: [u8; SALT_OCTETS] },
}

impl Check {
    /// Returns `family` with its key, or `None` if that has the wrong length.
    pub(super) fn new(family: &Family, key: &[u8]) -> Option<Self> {
        if let Family::Gmac(algorithm) = family {
            let (key, salt) = expand(algorithm, key)?;
            return Some(Self::Gmac { key: Box::new(key), salt });
        }
        Mac::new(family, key).map(Self::Mac)
    }

    /// Returns the IV of the packet that has this number: a number never repeats.
    pub(super) fn iv(sequence: u64) -> [u8; IV_OCTETS] {
        sequence.to_be_bytes()
    }

    /// Returns the ICV of these octets, zeros behind it. `iv` is that of AES-GMAC, which stands
    /// first in it.
    pub(super) fn compute(&self, iv: [u8; IV_OCTETS], octets: &[u8]) -> Option<[u8; MAX_ICV]> {
        match self {
            Self::Mac(mac) => mac.compute(octets).as_ref().first_chunk().copied(),
            Self::Gmac { key, salt } => {
                let aad = Aad::from(octets);
                let tag = key.seal_in_place_separate_tag(nonce(*salt, iv), aad, &mut []).ok()?;
                let mut icv = [0; MAX_ICV];
                *icv.first_chunk_mut()? = iv;
                icv.get_mut(IV_OCTETS..)?.iter_mut().zip(tag.as_ref()).for_each(|(a, b)| *a = *b);
                Some(icv)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! AES-GCM with an ICV of 8 or 12 octets: the beginning of its tag (RFC 4106 §6).
//!
//! The library opens with whole tags only. Its key stream does not depend on what it is applied to,
//! so that sealing turns a ciphertext into the plaintext, and sealing that makes the tag.

use aws_lc_rs::aead::{Algorithm, LessSafeKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::aead::expand;
use crate::associated::{Associated, iv, nonce};
use crate::suite::SALT_OCTETS;
use crate::transform::{BadIcv, ESP_HEADER, Protection, lay_out};

const IV_OCTETS: usize = 8;
const START: usize = ESP_HEADER + IV_OCTETS;
const TAG_OCTETS: usize = 16;

/// The key of one direction.
pub(crate) struct ShortGcm {
    key: LessSafeKey,
    salt: [u8; SALT_OCTETS],
    icv_octets: usize,
    esn: bool,
}

impl ShortGcm {
    /// Returns the expanded key, or `None` if `keymat` has the wrong length for `algorithm`.
    pub(crate) fn new(
        algorithm: &'static Algorithm,
        keymat: &[u8],
        icv_octets: usize,
        esn: bool,
    ) -> Option<Self> {
        let (key, salt) = expand(algorithm, keymat)?;
        Some(Self { key, salt, icv_octets, esn })
    }

    /// Applies the key stream to the body of a packet, and returns the tag of what is there then.
    fn run(&self, sequence: u64, packet: &mut [u8]) -> Option<[u8; TAG_OCTETS]> {
        let associated = Associated::new(sequence, self.esn, packet)?;
        let nonce = nonce(self.salt, iv(sequence, false, packet)?);
        let end = packet.len().checked_sub(self.icv_octets)?;
        let body = packet.get_mut(START..end)?;
        let tag = self.key.seal_in_place_separate_tag(nonce, associated.aad(), body).ok()?;
        tag.as_ref().first_chunk().copied()
    }

    fn verify(&self, tag: &[u8], packet: &[u8]) -> Option<()> {
        let (_, icv) = packet.split_at_checked(packet.len().checked_sub(self.icv_octets)?)?;
        verify_slices_are_equal(tag.get(..self.icv_octets)?, icv).ok()
    }
}

impl Protection for ShortGcm {
    fn seal(&self, sequence: u64, inner: &[u8], trailer: &[u8], packet: &mut [u8]) -> Option<()> {
        let end = lay_out(packet, START, self.icv_octets, inner, trailer)?;
        let tag = self.run(sequence, packet)?;
        packet.get_mut(end..)?.copy_from_slice(tag.get(..self.icv_octets)?);
        Some(())
    }

    /// The body is ciphertext again when the tag is compared: nothing else is left if it differs.
    fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        self.run(sequence, packet).ok_or(BadIcv)?;
        let tag = self.run(sequence, packet).ok_or(BadIcv)?;
        self.verify(&tag, packet).ok_or(BadIcv)?;
        self.run(sequence, packet).map(|_| ()).ok_or(BadIcv)
    }
}

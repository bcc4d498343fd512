// SPDX-License-Identifier: Apache-2.0
//! AEAD ciphers with their whole tag, by the library (RFC 4106, RFC 7634, RFC 8750).

use aws_lc_rs::aead::{Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::associated::{Associated, iv, nonce};
use crate::numbered::{ICV_OCTETS, Numbered};
use crate::suite::SALT_OCTETS;
use crate::transform::{BadIcv, ESP_HEADER, lay_out};

/// The key of one direction.
pub(crate) struct Aead {
    key: LessSafeKey,
    salt: [u8; SALT_OCTETS],
    esn: bool,
    /// Whether packets have no IV.
    is_implicit: bool,
    /// Whether it is faster to copy the packet and seal it where it then is, than to hand over the
    /// trailer by itself: AES-GCM takes the trailer at no cost, ChaCha20 makes a block for it.
    copies: bool,
}

/// Returns the expanded key and the salt, or `None` if `keymat` has the wrong length.
pub(crate) fn expand(
    algorithm: &'static Algorithm,
    keymat: &[u8],
) -> Option<(LessSafeKey, [u8; SALT_OCTETS])> {
    let (key, salt) = keymat.split_last_chunk()?;
    let key = UnboundKey::new(algorithm, key).ok()?;
    Some((LessSafeKey::new(key), *salt))
}

impl Aead {
    /// Returns the expanded key, or `None` if `keymat` has the wrong length for `algorithm`.
    pub(crate) fn new(
        algorithm: &'static Algorithm,
        keymat: &[u8],
        is_implicit: bool,
        esn: bool,
    ) -> Option<Self> {
        let (key, salt) = expand(algorithm, keymat)?;
        let copies = *algorithm == CHACHA20_POLY1305;
        Some(Self { key, salt, esn, is_implicit, copies })
    }

    fn seal_copy<const IV: usize>(
        &self,
        (nonce, associated): (Nonce, Associated),
        inner: &[u8],
        trailer: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        let end = lay_out(packet, ESP_HEADER + IV, ICV_OCTETS, inner, trailer)?;
        let (body, icv) = packet.split_at_mut_checked(end)?;
        let body = body.get_mut(ESP_HEADER + IV..)?;
        let tag = self.key.seal_in_place_separate_tag(nonce, associated.aad(), body).ok()?;
        icv.copy_from_slice(tag.as_ref());
        Some(())
    }
}

impl Numbered for Aead {
    #[inline]
    fn is_implicit(&self) -> bool {
        self.is_implicit
    }

    #[inline]
    fn seal_with<const IV: usize>(
        &self,
        sequence: u64,
        inner: &[u8],
        trailer: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        let associated = Associated::new(sequence, self.esn, packet)?;
        let nonce = nonce(self.salt, iv(sequence, IV == 0, packet)?);
        if self.copies {
            return self.seal_copy::<IV>((nonce, associated), inner, trailer, packet);
        }
        let (ciphertext, rest) =
            packet.get_mut(ESP_HEADER + IV..)?.split_at_mut_checked(inner.len())?;
        let aad = associated.aad();
        self.key.seal_out_of_place_scatter(nonce, aad, inner, ciphertext, trailer, rest).ok()
    }

    #[inline]
    fn open_with<const IV: usize>(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        let associated = Associated::new(sequence, self.esn, packet).ok_or(BadIcv)?;
        let nonce = nonce(self.salt, iv(sequence, IV == 0, packet).ok_or(BadIcv)?);
        let (body, icv) = packet.split_last_chunk_mut::<ICV_OCTETS>().ok_or(BadIcv)?;
        let ciphertext = body.get_mut(ESP_HEADER + IV..).ok_or(BadIcv)?;
        let opened = self.key.open_in_place_separate_tag(nonce, associated.aad(), icv, ciphertext);
        opened.map(|_| ()).map_err(|_| BadIcv)
    }
}

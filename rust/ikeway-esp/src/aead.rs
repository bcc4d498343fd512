// SPDX-License-Identifier: Apache-2.0
//! AEAD ciphers in ESP: salt and IV make the nonce, SPI and sequence number the AAD (RFC 4106, RFC
//! 7634).

use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::suite::SALT_OCTETS;
use crate::transform::{BadIcv, ESP_HEADER};

pub(crate) const IV_OCTETS: usize = 8;
pub(crate) const ICV_OCTETS: usize = 16;

const START: usize = ESP_HEADER + IV_OCTETS;

pub(crate) struct Aead {
    key: LessSafeKey,
    salt: [u8; SALT_OCTETS],
    esn: bool,
}

impl Aead {
    /// Returns the expanded key, or `None` if `keymat` has the wrong length for `algorithm`.
    pub(crate) fn new(algorithm: &'static Algorithm, keymat: &[u8], esn: bool) -> Option<Self> {
        let (key, salt) = keymat.split_last_chunk()?;
        let key = UnboundKey::new(algorithm, key).ok()?;
        Some(Self { key: LessSafeKey::new(key), salt: *salt, esn })
    }

    /// Seals `inner` and `trailer` to behind the header and the IV, which are there already.
    pub(crate) fn seal(
        &self,
        sequence: u64,
        inner: &[u8],
        trailer: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        let aad = self.aad(sequence, packet)?;
        let nonce = self.nonce(packet)?;
        let (ciphertext, rest) = packet.get_mut(START..)?.split_at_mut_checked(inner.len())?;
        self.key.seal_out_of_place_scatter(nonce, aad, inner, ciphertext, trailer, rest).ok()
    }

    /// Opens the ciphertext between IV and ICV. After an error the octets there are not plaintext.
    pub(crate) fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        let aad = self.aad(sequence, packet).ok_or(BadIcv)?;
        let nonce = self.nonce(packet).ok_or(BadIcv)?;
        let (body, icv) = packet.split_last_chunk_mut::<ICV_OCTETS>().ok_or(BadIcv)?;
        let ciphertext = body.get_mut(START..).ok_or(BadIcv)?;
        let opened = self.key.open_in_place_separate_tag(nonce, aad, icv, ciphertext);
        opened.map(|_| ()).map_err(|_| BadIcv)
    }

    /// SPI and sequence number, with its high half in between if ESN is used (RFC 4106 §5).
    fn aad(&self, sequence: u64, packet: &[u8]) -> Option<Aad<Associated>> {
        let spi: [u8; 4] = *packet.first_chunk()?;
        let mut octets = [0; 12];
        octets.first_chunk_mut::<4>()?.copy_from_slice(&spi);
        octets.last_chunk_mut::<8>()?.copy_from_slice(&sequence.to_be_bytes());
        if !self.esn {
            octets.copy_within(8..12, 4);
        }
        Some(Aad::from(Associated { octets, length: if self.esn { 12 } else { 8 } }))
    }

    fn nonce(&self, packet: &[u8]) -> Option<Nonce> {
        let mut nonce = [0; NONCE_LEN];
        nonce.first_chunk_mut::<SALT_OCTETS>()?.copy_from_slice(&self.salt);
        nonce.last_chunk_mut::<IV_OCTETS>()?.copy_from_slice(packet.get(ESP_HEADER..START)?);
        Some(Nonce::assume_unique_for_key(nonce))
    }
}

struct Associated {
    octets: [u8; 12],
    length: usize,
}

impl AsRef<[u8]> for Associated {
    fn as_ref(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or(&[])
    }
}

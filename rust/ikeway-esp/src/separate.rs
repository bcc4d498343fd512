// SPDX-License-Identifier: Apache-2.0
//! A cipher, or none, with a MAC of its own: encrypt, then MAC (RFC 3602, RFC 4868, RFC 2410).

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

use crate::cbc::{self, Aes};
use crate::sequence::halves;
use crate::transform::{BadIcv, ESP_HEADER};

const MAX_ICV_OCTETS: usize = 32;

/// The keys of one direction.
pub(crate) struct Separate {
    cipher: Option<Aes>,
    mac: hmac::Key,
    icv_octets: usize,
    esn: bool,
}

pub(crate) enum Direction {
    Seal,
    Open,
}

impl Separate {
    /// Returns the expanded keys, or `None` if `encr` is no AES key. Without one there is no cipher.
    pub(crate) fn new(
        direction: &Direction,
        encr: &[u8],
        mac: hmac::Key,
        icv_octets: usize,
        esn: bool,
    ) -> Option<Self> {
        let cipher = match direction {
            _ if encr.is_empty() => None,
            Direction::Seal => Some(Aes::sealing(encr)?),
            Direction::Open => Some(Aes::opening(encr)?),
        };
        Some(Self { cipher, mac, icv_octets, esn })
    }

    /// ENCR_NULL has no IV (RFC 2410 §3).
    pub(crate) const fn iv_octets(&self) -> usize {
        if self.cipher.is_some() { cbc::IV_OCTETS } else { 0 }
    }

    pub(crate) const fn alignment(&self) -> usize {
        if self.cipher.is_some() { cbc::BLOCK_OCTETS } else { 4 }
    }

    pub(crate) const fn icv_octets(&self) -> usize {
        self.icv_octets
    }

    /// Seals `inner` and `trailer` to behind the header and the IV, which are there already.
    pub(crate) fn seal(
        &self,
        sequence: u64,
        inner: &[u8],
        trailer: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        let end = packet.len().checked_sub(self.icv_octets)?;
        let start = ESP_HEADER + self.iv_octets();
        let (payload, space) = packet.get_mut(start..end)?.split_at_mut_checked(inner.len())?;
        payload.copy_from_slice(inner);
        (space.len() == trailer.len()).then(|| space.copy_from_slice(trailer))?;
        self.run_cipher(packet.get_mut(ESP_HEADER..end)?)?;
        let mac = self.mac(sequence, packet, end)?;
        packet.get_mut(end..)?.copy_from_slice(mac.as_ref().get(..self.icv_octets)?);
        Some(())
    }

    /// Checks the ICV, and only then opens the ciphertext between IV and ICV.
    pub(crate) fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        self.verify(sequence, packet).ok_or(BadIcv)?;
        let end = packet.len().checked_sub(self.icv_octets).ok_or(BadIcv)?;
        packet.get_mut(ESP_HEADER..end).and_then(|body| self.run_cipher(body)).ok_or(BadIcv)
    }

    /// Runs the cipher, if there is one, over what follows the IV.
    fn run_cipher(&self, body: &mut [u8]) -> Option<()> {
        if let Some(cipher) = &self.cipher {
            let (iv, blocks) = body.split_first_chunk_mut()?;
            cipher.run(iv, blocks);
        }
        Some(())
    }

    fn verify(&self, sequence: u64, packet: &mut [u8]) -> Option<()> {
        let end = packet.len().checked_sub(self.icv_octets)?;
        let mut saved = [0; MAX_ICV_OCTETS];
        let saved = saved.get_mut(..self.icv_octets)?;
        saved.copy_from_slice(packet.get(end..)?);
        let mac = self.mac(sequence, packet, end)?;
        verify_slices_are_equal(mac.as_ref().get(..self.icv_octets)?, saved).ok()
    }

    /// With ESN the high half follows the ciphertext; its place is where the ICV goes (RFC 4303
    /// §2.2.1).
    fn mac(&self, sequence: u64, packet: &mut [u8], end: usize) -> Option<hmac::Tag> {
        let mut signed = end;
        if self.esn {
            let [high, _] = halves(sequence);
            signed = end.checked_add(4)?;
            packet.get_mut(end..signed)?.copy_from_slice(&high.to_be_bytes());
        }
        Some(hmac::sign(&self.mac, packet.get(..signed)?))
    }
}

// SPDX-License-Identifier: Apache-2.0
//! A cipher, or none, with a MAC of its own: encrypt, then MAC (RFC 4303 §3.3, RFC 2410).

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::cbc::Cbc;
use crate::mac::{Code, MAX_OCTETS, Mac};
use crate::sequence::halves;
use crate::shape::Shape;
use crate::transform::{BadIcv, ESP_HEADER, Protection, lay_out};

/// The keys of one direction.
pub(crate) struct Separate {
    pub(crate) cipher: Option<Cbc>,
    pub(crate) mac: Mac,
    pub(crate) shape: Shape,
    pub(crate) esn: bool,
}

impl Protection for Separate {
    fn seal(&self, sequence: u64, inner: &[u8], trailer: &[u8], packet: &mut [u8]) -> Option<()> {
        let start = ESP_HEADER + self.shape.iv_octets();
        let end = lay_out(packet, start, self.shape.icv_octets(), inner, trailer)?;
        self.run_cipher(packet.get_mut(ESP_HEADER..end)?)?;
        let mac = self.mac(sequence, packet, end)?;
        packet.get_mut(end..)?.copy_from_slice(mac.as_ref().get(..self.shape.icv_octets())?);
        Some(())
    }

    /// Checks the ICV, and only then opens the ciphertext between IV and ICV.
    fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        self.verify(sequence, packet).ok_or(BadIcv)?;
        let end = packet.len().checked_sub(self.shape.icv_octets()).ok_or(BadIcv)?;
        packet.get_mut(ESP_HEADER..end).and_then(|body| self.run_cipher(body)).ok_or(BadIcv)
    }
}

impl Separate {
    /// Runs the cipher, if there is one, over what follows the IV.
    fn run_cipher(&self, body: &mut [u8]) -> Option<()> {
        self.cipher.as_ref().map_or(Some(()), |cipher| cipher.run(body))
    }

    fn verify(&self, sequence: u64, packet: &mut [u8]) -> Option<()> {
        let end = packet.len().checked_sub(self.shape.icv_octets())?;
        let mut saved = [0; MAX_OCTETS];
        let saved = saved.get_mut(..self.shape.icv_octets())?;
        saved.copy_from_slice(packet.get(end..)?);
        let mac = self.mac(sequence, packet, end)?;
        verify_slices_are_equal(mac.as_ref().get(..self.shape.icv_octets())?, saved).ok()
    }

    /// With ESN the high half follows the ciphertext; its place is where the ICV goes (RFC 4303
    /// §2.2.1).
    fn mac(&self, sequence: u64, packet: &mut [u8], end: usize) -> Option<Code> {
        let mut signed = end;
        if self.esn {
            let [high, _] = halves(sequence);
            signed = end.checked_add(4)?;
            packet.get_mut(end..signed)?.copy_from_slice(&high.to_be_bytes());
        }
        Some(self.mac.compute(packet.get(..signed)?))
    }
}

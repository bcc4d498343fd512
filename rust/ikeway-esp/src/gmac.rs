// SPDX-License-Identifier: Apache-2.0
//! AES-GMAC: the whole packet is protected and nothing of it encrypted (RFC 4543 §3).

use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::aead::expand;
use crate::associated::{iv, nonce};
use crate::sequence::halves;
use crate::suite::SALT_OCTETS;
use crate::transform::{BadIcv, ESP_HEADER, Protection, lay_out};

const IV_OCTETS: usize = 8;
const ICV_OCTETS: usize = 16;
const START: usize = ESP_HEADER + IV_OCTETS;
const SPI_OCTETS: usize = 4;
const HIGH_OCTETS: usize = 4;

/// The key of one direction.
pub(crate) struct Gmac {
    key: LessSafeKey,
    salt: [u8; SALT_OCTETS],
    esn: bool,
}

impl Gmac {
    /// Returns the expanded key, or `None` if `keymat` has the wrong length for `algorithm`.
    pub(crate) fn new(algorithm: &'static Algorithm, keymat: &[u8], esn: bool) -> Option<Self> {
        let (key, salt) = expand(algorithm, keymat)?;
        Some(Self { key, salt, esn })
    }

    /// Returns the tag of a packet up to `end`; where the ICV goes is written over.
    ///
    /// With ESN the high half stands before the low one in what is protected (§3.3, figure 3), so
    /// that all behind the SPI moves by its length and back again.
    fn tag(&self, sequence: u64, packet: &mut [u8], end: usize) -> Option<[u8; ICV_OCTETS]> {
        let nonce = nonce(self.salt, iv(sequence, false, packet)?);
        let mut protected = end;
        if self.esn {
            let [high, _] = halves(sequence);
            protected = end.checked_add(HIGH_OCTETS).filter(|last| *last <= packet.len())?;
            packet.copy_within(SPI_OCTETS..end, SPI_OCTETS + HIGH_OCTETS);
            let gap = packet.get_mut(SPI_OCTETS..SPI_OCTETS + HIGH_OCTETS)?;
            gap.copy_from_slice(&high.to_be_bytes());
        }
        let aad = Aad::from(packet.get(..protected)?);
        let tag = self.key.seal_in_place_separate_tag(nonce, aad, &mut []).ok()?;
        if self.esn {
            packet.copy_within(SPI_OCTETS + HIGH_OCTETS..protected, SPI_OCTETS);
        }
        tag.as_ref().first_chunk().copied()
    }
}

impl Protection for Gmac {
    fn seal(&self, sequence: u64, inner: &[u8], trailer: &[u8], packet: &mut [u8]) -> Option<()> {
        let end = lay_out(packet, START, ICV_OCTETS, inner, trailer)?;
        let tag = self.tag(sequence, packet, end)?;
        packet.get_mut(end..)?.copy_from_slice(&tag);
        Some(())
    }

    fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        let icv: [u8; ICV_OCTETS] = *packet.last_chunk().ok_or(BadIcv)?;
        let end = packet.len().checked_sub(ICV_OCTETS).ok_or(BadIcv)?;
        let tag = self.tag(sequence, packet, end).ok_or(BadIcv)?;
        verify_slices_are_equal(&tag, &icv).map_err(|_| BadIcv)
    }
}

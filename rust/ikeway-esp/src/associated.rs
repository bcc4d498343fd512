// SPDX-License-Identifier: Apache-2.0
//! What AEAD ciphers protect beside the payload, and their nonces (RFC 4106 §4, §5; RFC 8750 §4).

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};

use crate::suite::SALT_OCTETS;
use crate::transform::ESP_HEADER;

/// SPI and sequence number, with its high half in between if ESN is used (RFC 4106 §5).
pub(crate) struct Associated {
    octets: [u8; 12],
    length: usize,
}

impl Associated {
    pub(crate) fn new(sequence: u64, esn: bool, packet: &[u8]) -> Option<Self> {
        let spi: [u8; 4] = *packet.first_chunk()?;
        let mut octets = [0; 12];
        octets.first_chunk_mut::<4>()?.copy_from_slice(&spi);
        octets.last_chunk_mut::<8>()?.copy_from_slice(&sequence.to_be_bytes());
        if !esn {
            octets.copy_within(8..12, 4);
        }
        Some(Self { octets, length: if esn { 12 } else { 8 } })
    }

    pub(crate) fn aad(self) -> Aad<Self> {
        Aad::from(self)
    }
}

impl AsRef<[u8]> for Associated {
    fn as_ref(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or(&[])
    }
}

/// Returns the IV of a packet: what stands in it, or its number where that is left out.
pub(crate) fn iv(sequence: u64, is_implicit: bool, packet: &[u8]) -> Option<[u8; 8]> {
    if is_implicit {
        return Some(sequence.to_be_bytes());
    }
    packet.get(ESP_HEADER..)?.first_chunk().copied()
}

/// Returns the nonce of GCM, GMAC and ChaCha20-Poly1305.
pub(crate) fn nonce(salt: [u8; SALT_OCTETS], iv: [u8; 8]) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    let (head, tail) = nonce.split_at_mut(SALT_OCTETS);
    head.copy_from_slice(&salt);
    tail.copy_from_slice(&iv);
    Nonce::assume_unique_for_key(nonce)
}

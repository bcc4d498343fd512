// SPDX-License-Identifier: Apache-2.0
//! AES-CCM with an ICV of 8, 12 or 16 octets (RFC 4309, RFC 8750).

use aes::{Aes128, Aes192, Aes256};
use ccm::aead::array::Array;
use ccm::aead::inout::InOutBuf;
use ccm::consts::{U8, U11, U12, U16};
use ccm::{AeadInOut, Ccm, KeyInit};

use crate::associated::{Associated, iv};
use crate::shape::{Iv, Shape};
use crate::suite::CCM_SALT_OCTETS;
use crate::transform::{BadIcv, ESP_HEADER, Protection, lay_out};

const NONCE_OCTETS: usize = 11;

/// The key of one direction, `C` being AES-CCM with one length of key and of ICV.
struct AesCcm<C> {
    cipher: C,
    salt: [u8; CCM_SALT_OCTETS],
    shape: Shape,
    esn: bool,
}

/// Returns the expanded key, or `None` if no AES-CCM has a key or an ICV of such a length.
pub(crate) fn expand(keymat: &[u8], shape: Shape, esn: bool) -> Option<Box<dyn Protection>> {
    let (key, salt) = keymat.split_last_chunk()?;
    let with = (salt, shape, esn);
    match (key.len(), shape.icv_octets()) {
        (16, 8) => keyed::<Ccm<Aes128, U8, U11>>(key, with),
        (16, 12) => keyed::<Ccm<Aes128, U12, U11>>(key, with),
        (16, 16) => keyed::<Ccm<Aes128, U16, U11>>(key, with),
        (24, 8) => keyed::<Ccm<Aes192, U8, U11>>(key, with),
        (24, 12) => keyed::<Ccm<Aes192, U12, U11>>(key, with),
        (24, 16) => keyed::<Ccm<Aes192, U16, U11>>(key, with),
        (32, 8) => keyed::<Ccm<Aes256, U8, U11>>(key, with),
        (32, 12) => keyed::<Ccm<Aes256, U12, U11>>(key, with),
        (32, 16) => keyed::<Ccm<Aes256, U16, U11>>(key, with),
        _ => None,
    }
}

fn keyed<C>(
    key: &[u8],
    (salt, shape, esn): (&[u8; CCM_SALT_OCTETS], Shape, bool),
) -> Option<Box<dyn Protection>>
where
    C: AeadInOut<NonceSize = U11> + KeyInit + Send + Sync + 'static,
{
    let cipher = C::new_from_slice(key).ok()?;
    Some(Box::new(AesCcm { cipher, salt: *salt, shape, esn }))
}

impl<C> AesCcm<C> {
    const fn start(&self) -> usize {
        ESP_HEADER + self.shape.iv_octets()
    }

    /// Salt and IV (RFC 4309 §4).
    fn nonce(&self, sequence: u64, packet: &[u8]) -> Option<Array<u8, U11>> {
        let iv = iv(sequence, self.shape.iv() == Iv::Implicit, packet)?;
        let mut nonce = [0; NONCE_OCTETS];
        let (head, tail) = nonce.split_at_mut(CCM_SALT_OCTETS);
        head.copy_from_slice(&self.salt);
        tail.copy_from_slice(&iv);
        Some(Array(nonce))
    }
}

impl<C: AeadInOut<NonceSize = U11> + Send + Sync> Protection for AesCcm<C> {
    fn seal(&self, sequence: u64, inner: &[u8], trailer: &[u8], packet: &mut [u8]) -> Option<()> {
        let end = lay_out(packet, self.start(), self.shape.icv_octets(), inner, trailer)?;
        let associated = Associated::new(sequence, self.esn, packet)?;
        let nonce = self.nonce(sequence, packet)?;
        let body = InOutBuf::from(packet.get_mut(self.start()..end)?);
        let tag = self.cipher.encrypt_inout_detached(&nonce, associated.as_ref(), body).ok()?;
        packet.get_mut(end..)?.copy_from_slice(&tag);
        Some(())
    }

    fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        let associated = Associated::new(sequence, self.esn, packet).ok_or(BadIcv)?;
        let nonce = self.nonce(sequence, packet).ok_or(BadIcv)?;
        let end = packet.len().checked_sub(self.shape.icv_octets()).ok_or(BadIcv)?;
        let (body, icv) = packet.split_at_mut_checked(end).ok_or(BadIcv)?;
        let tag = (&*icv).try_into().map_err(|_| BadIcv)?;
        let body = InOutBuf::from(body.get_mut(self.start()..).ok_or(BadIcv)?);
        let opened = self.cipher.decrypt_inout_detached(&nonce, associated.as_ref(), body, tag);
        opened.map_err(|_| BadIcv)
    }
}

// SPDX-License-Identifier: Apache-2.0
//! MD4 and single DES, which MS-CHAPv2 is made of and Python's own libraries no longer have (RFC
//! 1320, RFC 2759 §8). Nothing else may use them: both are broken.

use ::des::Des;
use ::des::cipher::{Array, BlockCipherEncrypt, KeyInit};
use ::md4::{Digest, Md4};
use pyo3::prelude::*;

/// Return the 16 octets of MD4 over `octets`.
#[pyfunction]
pub(crate) fn md4(octets: &[u8]) -> [u8; 16] {
    Md4::digest(octets).into()
}

/// Return the block, encrypted with a key of 8 octets whose parity bits do not count.
#[pyfunction]
pub(crate) fn des_encrypt(key: [u8; 8], block: [u8; 8]) -> [u8; 8] {
    let mut out = Array::from(block);
    Des::new(&Array::from(key)).encrypt_block(&mut out);
    out.into()
}

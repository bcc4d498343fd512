// SPDX-License-Identifier: Apache-2.0
//! AES-GCM of single packets on processors with VAES, VPCLMULQDQ and AVX-512 (NIST SP 800-38D).
//!
//! A general library gets ready for messages of any length, and half the time that a packet of
//! 1,400 octets takes goes into that. Here nonces and associated data are those of ESP (RFC 4106),
//! keys and powers are expanded once, and four vectors of four blocks are on their way at a time.
//! There is no branch and no index that depends on a key or on a plaintext.

mod key;
mod message;

#[cfg(target_arch = "x86_64")]
mod vectors;

pub use key::Key;
pub use message::{Associated, Forged, Nonce, TAG_OCTETS};

// SPDX-License-Identifier: Apache-2.0
//! The ESP algorithms, a row each, by IKEv2 code points (RFC 8221, RFC 4106, RFC 7634, RFC 3602,
//! RFC 4868).

use aws_lc_rs::{aead, hmac};

use crate::error::InstallError;

/// One row: what a Child SA's transforms mean for its packets.
#[derive(Debug)]
pub struct Suite {
    /// As proposals write it.
    pub name: &'static str,
    /// Transform type 1.
    pub encr: u16,
    /// Key Length attribute; 0 where the cipher has one length only.
    pub key_bits: u16,
    /// Transform type 3; 0 for AEAD ciphers.
    pub integ: u16,
    /// Octets of encryption key, the salt of an AEAD cipher included.
    pub encr_octets: usize,
    /// Octets of integrity key.
    pub integ_octets: usize,
    pub(crate) mechanism: Mechanism,
}

#[derive(Debug)]
pub(crate) enum Mechanism {
    Aead(&'static aead::Algorithm),
    /// AES-CBC, or no cipher where the key has no octets, and a MAC cut to `icv_octets`.
    Separate {
        mac: &'static hmac::Algorithm,
        icv_octets: usize,
    },
}

const NULL: u16 = 11;
const AES_CBC: u16 = 12;
const AES_GCM_16: u16 = 20;
const CHACHA20_POLY1305: u16 = 28;

/// The salt at the end of an AEAD key (RFC 4106 §8.1, RFC 7634 §2).
pub(crate) const SALT_OCTETS: usize = 4;

/// Every suite that the engine knows.
pub static SUITES: [Suite; 16] = [
    aead("aes128gcm16", AES_GCM_16, 128, 16, &aead::AES_128_GCM),
    aead("aes192gcm16", AES_GCM_16, 192, 24, &aead::AES_192_GCM),
    aead("aes256gcm16", AES_GCM_16, 256, 32, &aead::AES_256_GCM),
    aead("chacha20poly1305", CHACHA20_POLY1305, 0, 32, &aead::CHACHA20_POLY1305),
    // Integrity alone (RFC 2410), for operators who ask for it by name.
    separate("null-sha256", NULL, 0, 12, 32, &hmac::HMAC_SHA256),
    separate("null-sha384", NULL, 0, 13, 48, &hmac::HMAC_SHA384),
    separate("null-sha512", NULL, 0, 14, 64, &hmac::HMAC_SHA512),
    separate("aes128-sha256", AES_CBC, 128, 12, 32, &hmac::HMAC_SHA256),
    separate("aes128-sha384", AES_CBC, 128, 13, 48, &hmac::HMAC_SHA384),
    separate("aes128-sha512", AES_CBC, 128, 14, 64, &hmac::HMAC_SHA512),
    separate("aes192-sha256", AES_CBC, 192, 12, 32, &hmac::HMAC_SHA256),
    separate("aes192-sha384", AES_CBC, 192, 13, 48, &hmac::HMAC_SHA384),
    separate("aes192-sha512", AES_CBC, 192, 14, 64, &hmac::HMAC_SHA512),
    separate("aes256-sha256", AES_CBC, 256, 12, 32, &hmac::HMAC_SHA256),
    separate("aes256-sha384", AES_CBC, 256, 13, 48, &hmac::HMAC_SHA384),
    separate("aes256-sha512", AES_CBC, 256, 14, 64, &hmac::HMAC_SHA512),
];

impl Suite {
    /// Returns the row of these code points.
    ///
    /// # Errors
    /// [`InstallError::UnknownSuite`] if there is none.
    pub fn find(encr: u16, key_bits: u16, integ: u16) -> Result<&'static Self, InstallError> {
        SUITES
            .iter()
            .find(|row| (row.encr, row.key_bits, row.integ) == (encr, key_bits, integ))
            .ok_or(InstallError::UnknownSuite { encr, key_bits, integ })
    }
}

const fn aead(
    name: &'static str,
    encr: u16,
    key_bits: u16,
    key_octets: usize,
    algorithm: &'static aead::Algorithm,
) -> Suite {
    Suite {
        name,
        encr,
        key_bits,
        integ: 0,
        encr_octets: key_octets + SALT_OCTETS,
        integ_octets: 0,
        mechanism: Mechanism::Aead(algorithm),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "a table cannot copy the value of a static")]
/// The ICV is half the MAC, and the MAC's key as long as the MAC (RFC 4868 §2.1).
const fn separate(
    name: &'static str,
    encr: u16,
    key_bits: u16,
    integ: u16,
    mac_octets: usize,
    mac: &'static hmac::Algorithm,
) -> Suite {
    Suite {
        name,
        encr,
        key_bits,
        integ,
        encr_octets: key_bits as usize / 8,
        integ_octets: mac_octets,
        mechanism: Mechanism::Separate { mac, icv_octets: mac_octets / 2 },
    }
}

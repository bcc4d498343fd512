// SPDX-License-Identifier: Apache-2.0
//! The algorithms of ESP and AH, a row each, by IKEv2 code points (RFC 8221). What a packet looks like and
//! how its keys are expanded follows from these rows.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};

use crate::cbc::Chaining;
use crate::error::InstallError;
use crate::mac::Family;
use crate::shape::{Iv, Shape};
use crate::transform::DirectionKeys;

/// One row of transform type 1.
#[derive(Debug)]
pub struct Encryption {
    /// As proposals write it.
    pub name: &'static str,
    /// Transform ID.
    pub code: u16,
    /// Key Length attribute; 0 where the cipher has one length only.
    pub key_bits: u16,
    /// Octets of key, the salt of an AEAD cipher included.
    pub key_octets: usize,
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
}

/// How packets are protected.
#[derive(Debug)]
pub(crate) enum Kind {
    /// AES-GCM with its whole tag.
    Gcm(&'static Algorithm),
    /// Another AEAD cipher with its whole tag.
    Aead(&'static Algorithm),
    /// AES-GCM with a shorter ICV than its tag.
    ShortGcm(&'static Algorithm),
    /// AES-GMAC: nothing is encrypted.
    Gmac(&'static Algorithm),
    /// AES-CCM.
    Ccm,
    /// Cipher block chaining, or no cipher, and a MAC.
    Separate(Option<Chaining>),
    /// None, nor ESP: AH.
    Authentic,
}

/// One row of transform type 3.
#[derive(Debug)]
pub struct Integrity {
    /// As proposals write it.
    pub name: &'static str,
    /// Transform ID.
    pub code: u16,
    /// Octets of key.
    pub key_octets: usize,
    pub(crate) icv_octets: u8,
    pub(crate) family: Family,
}

/// Octets of salt at the end of an AEAD key (RFC 4106 §8.1, RFC 4543 §5.4, RFC 7634 §2).
pub(crate) const SALT_OCTETS: usize = 4;
/// And at the end of that of AES-CCM (RFC 4309 §7.1).
pub(crate) const CCM_SALT_OCTETS: usize = 3;

const AES_BLOCK: u8 = 16;
const DES_BLOCK: u8 = 8;

static ENCRYPTION: [Encryption; 33] = [
    gcm("aes128gcm16", 20, 128, Iv::Counter, 16, Kind::Gcm(&AES_128_GCM)),
    gcm("aes192gcm16", 20, 192, Iv::Counter, 16, Kind::Gcm(&AES_192_GCM)),
    gcm("aes256gcm16", 20, 256, Iv::Counter, 16, Kind::Gcm(&AES_256_GCM)),
    gcm("aes128gcm12", 19, 128, Iv::Counter, 12, Kind::ShortGcm(&AES_128_GCM)),
    gcm("aes192gcm12", 19, 192, Iv::Counter, 12, Kind::ShortGcm(&AES_192_GCM)),
    gcm("aes256gcm12", 19, 256, Iv::Counter, 12, Kind::ShortGcm(&AES_256_GCM)),
    gcm("aes128gcm8", 18, 128, Iv::Counter, 8, Kind::ShortGcm(&AES_128_GCM)),
    gcm("aes192gcm8", 18, 192, Iv::Counter, 8, Kind::ShortGcm(&AES_192_GCM)),
    gcm("aes256gcm8", 18, 256, Iv::Counter, 8, Kind::ShortGcm(&AES_256_GCM)),
    gcm("aes128gcm16iiv", 30, 128, Iv::Implicit, 16, Kind::Gcm(&AES_128_GCM)),
    gcm("aes192gcm16iiv", 30, 192, Iv::Implicit, 16, Kind::Gcm(&AES_192_GCM)),
    gcm("aes256gcm16iiv", 30, 256, Iv::Implicit, 16, Kind::Gcm(&AES_256_GCM)),
    gcm("aes128gmac", 21, 128, Iv::Counter, 16, Kind::Gmac(&AES_128_GCM)),
    gcm("aes192gmac", 21, 192, Iv::Counter, 16, Kind::Gmac(&AES_192_GCM)),
    gcm("aes256gmac", 21, 256, Iv::Counter, 16, Kind::Gmac(&AES_256_GCM)),
    chacha("chacha20poly1305", 28, Iv::Counter),
    chacha("chacha20poly1305iiv", 31, Iv::Implicit),
    ccm("aes128ccm16", 16, 128, Iv::Counter, 16),
    ccm("aes192ccm16", 16, 192, Iv::Counter, 16),
    ccm("aes256ccm16", 16, 256, Iv::Counter, 16),
    ccm("aes128ccm12", 15, 128, Iv::Counter, 12),
    ccm("aes192ccm12", 15, 192, Iv::Counter, 12),
    ccm("aes256ccm12", 15, 256, Iv::Counter, 12),
    ccm("aes128ccm8", 14, 128, Iv::Counter, 8),
    ccm("aes192ccm8", 14, 192, Iv::Counter, 8),
    ccm("aes256ccm8", 14, 256, Iv::Counter, 8),
    ccm("aes128ccm8iiv", 29, 128, Iv::Implicit, 8),
    ccm("aes192ccm8iiv", 29, 192, Iv::Implicit, 8),
    ccm("aes256ccm8iiv", 29, 256, Iv::Implicit, 8),
    cbc("aes128", 12, 128, 16, AES_BLOCK, Chaining::Aes),
    cbc("aes192", 12, 192, 24, AES_BLOCK, Chaining::Aes),
    cbc("aes256", 12, 256, 32, AES_BLOCK, Chaining::Aes),
    // For old peers, where an operator asks for it by name.
    cbc("3des", 3, 0, 24, DES_BLOCK, Chaining::TripleDes),
];

/// Integrity alone (RFC 2410), where an operator asks for it by name. It has no IV.
static NULL: Encryption = Encryption {
    name: "null",
    code: 11,
    key_bits: 0,
    key_octets: 0,
    shape: Shape::new(Iv::None, 0, 4),
    kind: Kind::Separate(None),
};

/// What stands in for a cipher where the protocol is AH, which has none (RFC 4302).
static AH: Encryption = Encryption { name: "ah", code: 0, kind: Kind::Authentic, ..NULL };

static INTEGRITY: [Integrity; 6] = [
    // The ICV is half the MAC, and the MAC's key as long as the MAC (RFC 4868 §2.1).
    integrity("sha256", 12, 32, 16, Family::Hmac(HMAC_SHA256)),
    integrity("sha384", 13, 48, 24, Family::Hmac(HMAC_SHA384)),
    integrity("sha512", 14, 64, 32, Family::Hmac(HMAC_SHA512)),
    integrity("sha1", 2, 20, 12, Family::Hmac(HMAC_SHA1_FOR_LEGACY_USE_ONLY)),
    integrity("aesxcbc", 5, 16, 12, Family::Xcbc),
    integrity("aescmac", 8, 16, 12, Family::Cmac),
];

/// For AH alone, where the length of the key is in the transform ID (RFC 4543 §5.3), and the IV in the
/// ICV.
static GMAC: [Integrity; 3] = [
    integrity("aes128gmac", 9, 16 + SALT_OCTETS, 24, Family::Gmac(&AES_128_GCM)),
    integrity("aes192gmac", 10, 24 + SALT_OCTETS, 24, Family::Gmac(&AES_192_GCM)),
    integrity("aes256gmac", 11, 32 + SALT_OCTETS, 24, Family::Gmac(&AES_256_GCM)),
];

/// The algorithms of a Child SA: an AEAD cipher alone, or a cipher and a MAC; for AH a MAC alone.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// The cipher.
    pub encryption: &'static Encryption,
    /// The MAC, unless the cipher does its work.
    pub integrity: Option<&'static Integrity>,
}

impl Suite {
    /// Returns the suite of these code points; `integ` is 0 for AEAD ciphers, and `encr` for AH.
    ///
    /// # Errors
    /// [`InstallError::UnknownSuite`] if there is none.
    pub fn find(encr: u16, key_bits: u16, integ: u16) -> Result<Self, InstallError> {
        let codes = (encr, key_bits, integ);
        let every = Self::all().chain(Self::authentic());
        every.into_iter().find(|suite| suite.codes() == codes).ok_or(InstallError::UnknownSuite {
            encr,
            key_bits,
            integ,
        })
    }

    /// Returns every suite of AH.
    pub fn authentic() -> impl Iterator<Item = Self> + Clone {
        let rows = INTEGRITY.iter().chain(&GMAC);
        rows.map(|row| Self { encryption: &AH, integrity: Some(row) })
    }

    /// Returns every suite of ESP.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        let ciphers = ENCRYPTION.iter().chain([&NULL]);
        ciphers.flat_map(|encryption| {
            let macs = encryption.has_no_check().then_some(&INTEGRITY).into_iter().flatten();
            let alone = (!encryption.has_no_check()).then_some(None);
            alone
                .into_iter()
                .chain(macs.map(Some))
                .map(move |integrity| Self { encryption, integrity })
        })
    }

    /// Returns the transform IDs and, between them, the Key Length attribute.
    #[must_use]
    pub fn codes(&self) -> (u16, u16, u16) {
        let integ = self.integrity.map_or(0, |row| row.code);
        (self.encryption.code, self.encryption.key_bits, integ)
    }

    /// Returns the suite as proposals write it.
    #[must_use]
    pub fn name(&self) -> String {
        let mac = self.integrity.map(|row| format!("-{}", row.name));
        format!("{}{}", self.encryption.name, mac.unwrap_or_default())
    }

    /// Returns how many octets an encryption key has, and how many an integrity key.
    #[must_use]
    pub fn key_octets(&self) -> (usize, usize) {
        (self.encryption.key_octets, self.integrity.map_or(0, |row| row.key_octets))
    }

    /// Whether it is of AH.
    #[must_use]
    pub const fn is_authentic(&self) -> bool {
        matches!(self.encryption.kind, Kind::Authentic)
    }

    /// # Errors
    /// [`InstallError::KeyLength`] if a key is not as long as the suite wants it.
    pub(crate) fn check_keys(&self, keys: &DirectionKeys) -> Result<(), InstallError> {
        let (encr, integ) = self.key_octets();
        check_length("encryption", keys.encr.len(), encr)?;
        check_length("integrity", keys.integ.len(), integ)
    }

    pub(crate) fn shape(&self) -> Shape {
        let shape = self.encryption.shape;
        self.integrity.map_or(shape, |row| shape.with_icv(row.icv_octets))
    }
}

impl Encryption {
    const fn has_no_check(&self) -> bool {
        matches!(self.kind, Kind::Separate(_))
    }
}

fn check_length(what: &'static str, seen: usize, wanted: usize) -> Result<(), InstallError> {
    if seen == wanted { Ok(()) } else { Err(InstallError::KeyLength { what, seen, wanted }) }
}

const fn gcm(
    name: &'static str,
    code: u16,
    key_bits: u16,
    iv: Iv,
    icv_octets: u8,
    kind: Kind,
) -> Encryption {
    let key_octets = key_bits as usize / 8 + SALT_OCTETS;
    let shape = Shape::new(iv, icv_octets, 4);
    Encryption { name, code, key_bits, key_octets, shape, kind }
}

const fn chacha(name: &'static str, code: u16, iv: Iv) -> Encryption {
    let shape = Shape::new(iv, 16, 4);
    let kind = Kind::Aead(&CHACHA20_POLY1305);
    Encryption { name, code, key_bits: 0, key_octets: 32 + SALT_OCTETS, shape, kind }
}

const fn ccm(name: &'static str, code: u16, key_bits: u16, iv: Iv, icv_octets: u8) -> Encryption {
    let key_octets = key_bits as usize / 8 + CCM_SALT_OCTETS;
    let shape = Shape::new(iv, icv_octets, 4);
    Encryption { name, code, key_bits, key_octets, shape, kind: Kind::Ccm }
}

const fn cbc(
    name: &'static str,
    code: u16,
    key_bits: u16,
    key_octets: usize,
    block: u8,
    chaining: Chaining,
) -> Encryption {
    let shape = Shape::new(Iv::Random(block), 0, block);
    let kind = Kind::Separate(Some(chaining));
    Encryption { name, code, key_bits, key_octets, shape, kind }
}

const fn integrity(
    name: &'static str,
    code: u16,
    key_octets: usize,
    icv_octets: u8,
    family: Family,
) -> Integrity {
    Integrity { name, code, key_octets, icv_octets, family }
}

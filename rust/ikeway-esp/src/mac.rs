// SPDX-License-Identifier: Apache-2.0
//! Message authentication: HMAC, AES-XCBC and AES-CMAC (RFC 4868, RFC 2404, RFC 3566, RFC 4494).

use aes::Aes128Enc;
use aes::cipher::array::Array;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aws_lc_rs::aead::Algorithm;
use aws_lc_rs::hmac;

/// The most octets that a MAC has.
pub(crate) const MAX_OCTETS: usize = 64;

const BLOCK: usize = 16;

/// An algorithm without a key.
#[derive(Debug)]
pub(crate) enum Family {
    Hmac(hmac::Algorithm),
    Xcbc,
    Cmac,
    /// AES-GMAC, which is no MAC of the octets alone: it has an IV, and is for AH.
    Gmac(&'static Algorithm),
}

/// An algorithm with its key.
pub(crate) enum Mac {
    Hmac(Box<hmac::Key>),
    Block(Box<BlockMac>),
}

/// A MAC before it is cut to an ICV.
pub(crate) struct Code([u8; MAX_OCTETS]);

impl AsRef<[u8]> for Code {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Mac {
    /// Returns `family` with its key, or `None` if that has the wrong length or is no MAC's.
    pub(crate) fn new(family: &Family, key: &[u8]) -> Option<Self> {
        match family {
            Family::Hmac(algorithm) => Some(Self::Hmac(Box::new(hmac::Key::new(*algorithm, key)))),
            Family::Xcbc => {
                key.try_into().ok().map(|key| Self::Block(Box::new(BlockMac::xcbc(key))))
            }
            Family::Cmac => {
                key.try_into().ok().map(|key| Self::Block(Box::new(BlockMac::cmac(key))))
            }
            Family::Gmac(_) => None,
        }
    }

    /// Returns the MAC of `octets`, zeros behind it.
    pub(crate) fn compute(&self, octets: &[u8]) -> Code {
        let mut code = [0; MAX_OCTETS];
        match self {
            Self::Hmac(key) => {
                for (place, octet) in code.iter_mut().zip(hmac::sign(key, octets).as_ref()) {
                    *place = *octet;
                }
            }
            Self::Block(key) => code.iter_mut().zip(key.compute(octets)).for_each(|(a, b)| *a = b),
        }
        Code(code)
    }
}

/// Chained blocks, of which the last is mixed with a key of its own: one if it is whole, another
/// if it had to be padded. XCBC and CMAC differ in how they make these keys.
pub(crate) struct BlockMac {
    cipher: Aes128Enc,
    whole: [u8; BLOCK],
    padded: [u8; BLOCK],
}

impl BlockMac {
    /// Three keys are made from one (RFC 3566 §4).
    fn xcbc(key: &[u8; BLOCK]) -> Self {
        let root = Aes128Enc::new(&Array(*key));
        let [first, whole, padded] = [1, 2, 3].map(|octet| encrypt(&root, [octet; BLOCK]));
        Self { cipher: Aes128Enc::new(&Array(first)), whole, padded }
    }

    /// Two keys are made by doubling in GF(2^128) (RFC 4493 §2.3).
    fn cmac(key: &[u8; BLOCK]) -> Self {
        let cipher = Aes128Enc::new(&Array(*key));
        let whole = double(encrypt(&cipher, [0; BLOCK]));
        Self { cipher, whole, padded: double(whole) }
    }

    fn compute(&self, octets: &[u8]) -> [u8; BLOCK] {
        let is_whole = !octets.is_empty() && octets.len().is_multiple_of(BLOCK);
        let cut = octets.len().saturating_sub(1) / BLOCK * BLOCK;
        let (before, rest) = octets.split_at_checked(cut).unwrap_or((&[], octets));
        let chained = before
            .chunks_exact(BLOCK)
            .fold([0; BLOCK], |chained, block| encrypt(&self.cipher, mixed(chained, block)));
        let last = if is_whole { mixed(self.whole, rest) } else { mixed(self.padded, rest) };
        let padding = if is_whole { [0; BLOCK] } else { marked(rest.len()) };
        encrypt(&self.cipher, mixed(mixed(chained, &last), &padding))
    }
}

fn encrypt(key: &Aes128Enc, block: [u8; BLOCK]) -> [u8; BLOCK] {
    let mut block = Array(block);
    key.encrypt_block(&mut block);
    block.0
}

/// Returns `block` with `octets` added to its beginning.
fn mixed(mut block: [u8; BLOCK], octets: &[u8]) -> [u8; BLOCK] {
    block.iter_mut().zip(octets).for_each(|(place, octet)| *place ^= octet);
    block
}

/// Returns a block with the one bit that padding begins with.
fn marked(at: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some(place) = block.get_mut(at) {
        *place = 0x80;
    }
    block
}

fn double(block: [u8; BLOCK]) -> [u8; BLOCK] {
    let number = u128::from_be_bytes(block);
    ((number << 1) ^ ((number >> 127) * 0x87)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    fn code(family: &Family, key: &str, message: &str) -> Vec<u8> {
        let mac = Mac::new(family, &hex(key)).unwrap();
        mac.compute(&hex(message)).as_ref()[..BLOCK].to_vec()
    }

    /// RFC 3566 §4.6, test cases 1 to 4: none, part of a block, a block, more than one.
    #[test]
    fn the_cases_of_rfc_3566() {
        let key = "000102030405060708090a0b0c0d0e0f";
        for (message, wanted) in [
            ("", "75f0251d528ac01c4573dfd584d79f29"),
            ("000102", "5b376580ae2f19afe7219ceef172756f"),
            ("000102030405060708090a0b0c0d0e0f", "d2a246fa349b68a79998a4394ff7a263"),
            ("000102030405060708090a0b0c0d0e0f10111213", "47f51b4564966215b8985c63055ed308"),
        ] {
            assert_eq!(code(&Family::Xcbc, key, message), hex(wanted), "{message}");
        }
    }

    /// RFC 4493 §4, examples 1 to 3.
    #[test]
    fn the_examples_of_rfc_4493() {
        let key = "2b7e151628aed2a6abf7158809cf4f3c";
        for (message, wanted) in [
            ("", "bb1d6929e95937287fa37d129b756746"),
            ("6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c"),
            (
                "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411",
                "dfa66747de9ae63030ca32611497c827",
            ),
        ] {
            assert_eq!(code(&Family::Cmac, key, message), hex(wanted), "{message}");
        }
    }

    /// RFC 2202 §3, test case 1.
    #[test]
    fn hmac_sha1_of_rfc_2202() {
        let family = Family::Hmac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY);
        let seen = code(&family, &"0b".repeat(20), "4869205468657265");
        assert_eq!(seen, hex("b617318655057264e28bc0b6fb378c8e"));
    }
}

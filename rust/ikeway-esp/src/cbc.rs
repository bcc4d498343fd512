// SPDX-License-Identifier: Apache-2.0
//! Cipher block chaining over whole blocks, and its IVs (RFC 3602, RFC 2451).

use aes::cipher::array::Array;
use aes::cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit,
    KeyInit,
};
use aes::{Aes128Dec, Aes128Enc, Aes192Dec, Aes192Enc, Aes256Dec, Aes256Enc};
use des::TdesEde3;

const AES_BLOCK: usize = 16;

/// A cipher that is chained.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chaining {
    Aes,
    TripleDes,
}

/// A key expanded for the one direction that its SA uses.
pub(crate) enum Cbc {
    Seal128(Aes128Enc),
    Seal192(Aes192Enc),
    Seal256(Aes256Enc),
    SealTriple(TdesEde3),
    Open128(Aes128Dec),
    Open192(Aes192Dec),
    Open256(Aes256Dec),
    OpenTriple(TdesEde3),
}

impl Cbc {
    /// Returns the expanded key, or `None` if it has the wrong length.
    pub(crate) fn sealing(chaining: Chaining, key: &[u8]) -> Option<Self> {
        match (chaining, key.len()) {
            (Chaining::TripleDes, _) => TdesEde3::new_from_slice(key).ok().map(Self::SealTriple),
            (Chaining::Aes, 16) => Aes128Enc::new_from_slice(key).ok().map(Self::Seal128),
            (Chaining::Aes, 24) => Aes192Enc::new_from_slice(key).ok().map(Self::Seal192),
            (Chaining::Aes, _) => Aes256Enc::new_from_slice(key).ok().map(Self::Seal256),
        }
    }

    /// Returns the expanded key, or `None` if it has the wrong length.
    pub(crate) fn opening(chaining: Chaining, key: &[u8]) -> Option<Self> {
        match (chaining, key.len()) {
            (Chaining::TripleDes, _) => TdesEde3::new_from_slice(key).ok().map(Self::OpenTriple),
            (Chaining::Aes, 16) => Aes128Dec::new_from_slice(key).ok().map(Self::Open128),
            (Chaining::Aes, 24) => Aes192Dec::new_from_slice(key).ok().map(Self::Open192),
            (Chaining::Aes, _) => Aes256Dec::new_from_slice(key).ok().map(Self::Open256),
        }
    }

    /// Runs CBC over the whole blocks behind the IV that `octets` begin with, in the direction that
    /// the key was expanded for. `None` is that there is no IV.
    pub(crate) fn run(&self, octets: &mut [u8]) -> Option<()> {
        match self {
            Self::Seal128(key) => encrypt(key, octets),
            Self::Seal192(key) => encrypt(key, octets),
            Self::Seal256(key) => encrypt(key, octets),
            Self::SealTriple(key) => encrypt(key, octets),
            Self::Open128(key) => decrypt(key, octets),
            Self::Open192(key) => decrypt(key, octets),
            Self::Open256(key) => decrypt(key, octets),
            Self::OpenTriple(key) => decrypt(key, octets),
        }
    }
}

fn encrypt<C: BlockCipherEncrypt>(key: &C, octets: &mut [u8]) -> Option<()> {
    let (iv, blocks) = Array::slice_as_chunks_mut(octets).0.split_first_mut()?;
    cbc::Encryptor::inner_iv_init(key, iv).encrypt_blocks(blocks);
    Some(())
}

fn decrypt<C: BlockCipherDecrypt>(key: &C, octets: &mut [u8]) -> Option<()> {
    let (iv, blocks) = Array::slice_as_chunks_mut(octets).0.split_first_mut()?;
    cbc::Decryptor::inner_iv_init(key, iv).decrypt_blocks(blocks);
    Some(())
}

/// A source of IVs that are unique and that nobody without the seed can predict.
///
/// The IV of packet n is AES of n under a key of its own (NIST SP 800-38A App. C; RFC 3602 §3).
pub(crate) struct IvSource(Aes128Enc);

impl IvSource {
    pub(crate) fn new(seed: &[u8; 16]) -> Self {
        Self(Aes128Enc::new(&Array(*seed)))
    }

    /// Returns an AES block, of which a cipher with smaller blocks takes the beginning.
    pub(crate) fn iv(&self, sequence: u64) -> [u8; AES_BLOCK] {
        let mut block = Block::<Aes128Enc>::default();
        if let Some(low) = block.last_chunk_mut::<8>() {
            *low = sequence.to_be_bytes();
        }
        self.0.encrypt_block(&mut block);
        block.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    fn both_ways(key: &str, iv: &str, plain: &str, sealed: &str) {
        let (key, iv, plain, sealed) = (hex(key), hex(iv), hex(plain), hex(sealed));
        let kind = if key.len() == 24 { Chaining::TripleDes } else { Chaining::Aes };
        let mut octets = [iv.clone(), plain.clone()].concat();
        Cbc::sealing(kind, &key).unwrap().run(&mut octets).unwrap();
        assert_eq!(octets, [iv.clone(), sealed].concat());
        Cbc::opening(kind, &key).unwrap().run(&mut octets).unwrap();
        assert_eq!(octets, [iv, plain].concat());
    }

    /// RFC 3602 §4, case 5: a transport-mode packet of 80 octets.
    #[test]
    fn rfc_3602_case_5() {
        both_ways(
            "90d382b4 10eeba7a d938c46c ec1a82bf",
            "e96e8c08 ab465763 fd098d45 dd3ff893",
            "08000ebd a70a0000 8e9c083d b95b0700 08090a0b 0c0d0e0f 10111213 14151617
             18191a1b 1c1d1e1f 20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637
             01020304 05060708 090a0b0c 0d0e0e01",
            "f663c25d 325c18c6 a9453e19 4e120849 a4870b66 cc6b9965 330013b4 898dc856
             a4699e52 3a55db08 0b59ec3a 8e4b7e52 775b07d1 db34ed9c 538ab50c 551b874a
             a269add0 47ad2d59 13ac19b7 cfbad4a6",
        );
    }

    /// RFC 3602 §4, case 7: a tunnel-mode packet of 96 octets.
    #[test]
    fn rfc_3602_case_7() {
        both_ways(
            "01234567 89abcdef 01234567 89abcdef",
            "f4e76524 4f6407ad f13dc138 0f673f37",
            "45000054 09040000 4001f988 c0a87b03 c0a87bc8 08009f76 a90a0100 b49c083d
             02a20400 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f 20212223
             24252627 28292a2b 2c2d2e2f 30313233 34353637 01020304 05060708 090a0a04",
            "773b5241 a4c44922 5e4f3ce5 ed611b0c 237ca96c f74a9301 3c1b0ea1 a0cf70f8
             e4ecaec7 8ac53aad 7a0f022b 859243c6 47752e94 a859352b 8a4d4d2d ecd136e5
             c177f132 ad3fbfb2 201ac990 4c74ee0a 109e0ca1 e4dfe9d5 a100b842 f1c22f0d",
        );
    }

    /// NIST SP 800-38A F.2.5: CBC-AES256, first two blocks.
    #[test]
    fn nist_cbc_aes256() {
        both_ways(
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        );
    }

    /// NIST SP 800-20 (1999), as SP 800-67 prints it: three keys, "The qufc".
    #[test]
    fn nist_triple_des() {
        both_ways(
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "0000000000000000",
            "5468652071756663",
            "a826fd8ce53b855f",
        );
    }

    /// CF-U18: RFC 3602 §3: an IV is never used twice, and depends on the seed.
    #[test]
    fn ivs_differ_by_number_and_by_seed() {
        let one = IvSource::new(&[1; 16]);
        assert_ne!(one.iv(1), one.iv(2));
        assert_ne!(one.iv(1), IvSource::new(&[2; 16]).iv(1));
    }
}

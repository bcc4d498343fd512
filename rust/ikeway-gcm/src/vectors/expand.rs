// SPDX-License-Identifier: Apache-2.0
//! What is made of a key once: the key schedule of AES (FIPS 197 §5.2), and powers for the hash.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128,
    _mm_setzero_si128, _mm_shuffle_epi32, _mm_slli_si128, _mm_xor_si128, _mm512_broadcast_i32x4,
    _mm512_setzero_si512,
};
use std::array;

use zeroize::ZeroizeOnDrop;

use super::BLOCK;
use super::hash::{POWERS, fill};
use super::memory::{load, load_block, store_block};

/// Of AES-256; those of AES-128 are fewer, and zeros stand behind.
pub(super) const MOST_KEYS: usize = 15;

/// How many a block goes through: 10 with 128 bits of key, 14 with 256.
#[derive(Clone, Copy)]
pub(super) enum Rounds {
    Ten,
    Fourteen,
}

/// All that is made of a key once: powers of the hash key, the highest first, and behind them a key
/// for each round and one before those. Every SA has one, so it is as small as it can be.
#[derive(ZeroizeOnDrop)]
pub(super) struct Schedule {
    blocks: [[u8; BLOCK]; POWERS + MOST_KEYS],
    #[zeroize(skip)]
    rounds: Rounds,
}

impl Schedule {
    /// Returns `None` for a length that is none of AES-128 and AES-256.
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,aes,ssse3")]
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let (keys, rounds) = match key.as_chunks() {
            ([key], []) => (short(load_block(key)), Rounds::Ten),
            ([first, second], []) => {
                (long(load_block(first), load_block(second)), Rounds::Fourteen)
            }
            _ => return None,
        };
        let mut schedule = Self { blocks: [[0; BLOCK]; POWERS + MOST_KEYS], rounds };
        let (_, places) = schedule.blocks.split_at_mut(POWERS);
        for (place, key) in places.iter_mut().zip(keys) {
            *place = store_block(key);
        }
        let hash_key = schedule.hash_key();
        fill(&mut schedule.blocks[..POWERS], hash_key);
        Some(schedule)
    }

    #[inline]
    pub(super) const fn rounds(&self) -> Rounds {
        self.rounds
    }

    /// Returns the power for a block with so many behind it, and those for the next three. Whoever
    /// has fewer than four blocks has zeros in place of the others, and any factor will do for them:
    /// behind the lowest power it is a key.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn powers(&self, behind: usize) -> __m512i {
        let blocks = self.blocks.get(POWERS.saturating_sub(1 + behind)..).unwrap_or_default();
        let octets = blocks.as_flattened().first_chunk();
        octets.map_or(_mm512_setzero_si512(), |found| load(found))
    }

    /// Returns each key four times.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn wide(&self) -> [__m512i; MOST_KEYS] {
        array::from_fn(|at| _mm512_broadcast_i32x4(load_block(&self.blocks[POWERS + at])))
    }

    /// Encrypts one block.
    #[inline]
    #[target_feature(enable = "aes")]
    pub(super) fn encrypt<const ROUNDS: usize>(&self, block: __m128i) -> __m128i {
        let mut state = _mm_xor_si128(block, load_block(&self.blocks[POWERS]));
        for round in 1..ROUNDS {
            state = _mm_aesenc_si128(state, load_block(&self.blocks[POWERS + round]));
        }
        _mm_aesenclast_si128(state, load_block(&self.blocks[POWERS + ROUNDS]))
    }

    /// Returns a block of zeros, encrypted (SP 800-38D §6.4, H).
    #[target_feature(enable = "aes")]
    fn hash_key(&self) -> __m128i {
        match self.rounds {
            Rounds::Ten => self.encrypt::<10>(_mm_setzero_si128()),
            Rounds::Fourteen => self.encrypt::<14>(_mm_setzero_si128()),
        }
    }
}

#[target_feature(enable = "aes")]
fn short(key: __m128i) -> [__m128i; MOST_KEYS] {
    let mut keys = [_mm_setzero_si128(); MOST_KEYS];
    keys[0] = key;
    keys[1] = rotated::<0x01>(keys[0], keys[0]);
    keys[2] = rotated::<0x02>(keys[1], keys[1]);
    keys[3] = rotated::<0x04>(keys[2], keys[2]);
    keys[4] = rotated::<0x08>(keys[3], keys[3]);
    keys[5] = rotated::<0x10>(keys[4], keys[4]);
    keys[6] = rotated::<0x20>(keys[5], keys[5]);
    keys[7] = rotated::<0x40>(keys[6], keys[6]);
    keys[8] = rotated::<0x80>(keys[7], keys[7]);
    keys[9] = rotated::<0x1b>(keys[8], keys[8]);
    keys[10] = rotated::<0x36>(keys[9], keys[9]);
    keys
}

#[target_feature(enable = "aes")]
fn long(first: __m128i, second: __m128i) -> [__m128i; MOST_KEYS] {
    let mut keys = [_mm_setzero_si128(); MOST_KEYS];
    [keys[0], keys[1]] = [first, second];
    keys[2] = rotated::<0x01>(keys[0], keys[1]);
    keys[3] = substituted(keys[1], keys[2]);
    keys[4] = rotated::<0x02>(keys[2], keys[3]);
    keys[5] = substituted(keys[3], keys[4]);
    keys[6] = rotated::<0x04>(keys[4], keys[5]);
    keys[7] = substituted(keys[5], keys[6]);
    keys[8] = rotated::<0x08>(keys[6], keys[7]);
    keys[9] = substituted(keys[7], keys[8]);
    keys[10] = rotated::<0x10>(keys[8], keys[9]);
    keys[11] = substituted(keys[9], keys[10]);
    keys[12] = rotated::<0x20>(keys[10], keys[11]);
    keys[13] = substituted(keys[11], keys[12]);
    keys[14] = rotated::<0x40>(keys[12], keys[13]);
    keys
}

/// Returns the words that follow, with the last one rotated, substituted and given a constant.
#[target_feature(enable = "aes")]
fn rotated<const CONSTANT: i32>(words: __m128i, last: __m128i) -> __m128i {
    let assist = _mm_aeskeygenassist_si128::<CONSTANT>(last);
    _mm_xor_si128(summed(words), _mm_shuffle_epi32::<0b11_11_11_11>(assist))
}

/// Returns the words that follow, with the last one substituted.
#[target_feature(enable = "aes")]
fn substituted(words: __m128i, last: __m128i) -> __m128i {
    let assist = _mm_aeskeygenassist_si128::<0>(last);
    _mm_xor_si128(summed(words), _mm_shuffle_epi32::<0b10_10_10_10>(assist))
}

/// Adds to each word all that stand before it.
#[target_feature(enable = "sse2")]
fn summed(words: __m128i) -> __m128i {
    let words = _mm_xor_si128(words, _mm_slli_si128::<4>(words));
    _mm_xor_si128(words, _mm_slli_si128::<8>(words))
}

// SPDX-License-Identifier: Apache-2.0
//! The key stream: counters, encrypted (SP 800-38D §6.5).

use std::arch::x86_64::{
    __m128i, __m512i, _mm_add_epi32, _mm_set_epi32, _mm_xor_si128, _mm512_add_epi32,
    _mm512_aesenc_epi128, _mm512_aesenclast_epi128, _mm512_broadcast_i32x4, _mm512_set_epi32,
    _mm512_shuffle_epi8, _mm512_xor_si512,
};

use super::expand::{MOST_KEYS, Schedule};
use super::hash::{number, reversal, reversed};
use super::memory::store_block;
use super::{BLOCK, Vectors};

/// The key stream of one packet.
pub(super) struct Stream<const ROUNDS: usize> {
    keys: [__m512i; MOST_KEYS],
    /// The next four counters, their last octets in the lowest bits.
    counters: __m512i,
    /// What the hash becomes the tag with: the first counter, encrypted (SP 800-38D §7.1, J0).
    mask: __m128i,
}

impl<const ROUNDS: usize> Stream<ROUNDS> {
    /// `block` is what the nonce makes of a counter of 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,aes,ssse3")]
    pub(super) fn new(schedule: &Schedule, block: u128) -> Self {
        let block = number(block);
        let first = _mm_add_epi32(block, _mm_set_epi32(0, 0, 0, 1));
        let steps = _mm512_set_epi32(0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2);
        Self {
            mask: schedule.encrypt::<ROUNDS>(reversed(first)),
            counters: _mm512_add_epi32(_mm512_broadcast_i32x4(block), steps),
            keys: schedule.wide(),
        }
    }

    /// Returns the key stream's next four blocks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    pub(super) fn next(&mut self) -> __m512i {
        let mut state = self.begun();
        for round in 1..ROUNDS {
            state = _mm512_aesenc_epi128(state, self.keys[round]);
        }
        _mm512_aesenclast_epi128(state, self.keys[ROUNDS])
    }

    /// Adds the next sixteen blocks to these: plaintext becomes ciphertext, and back.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    pub(super) fn apply(&mut self, mut vectors: Vectors) -> Vectors {
        let mut states = [self.begun(), self.begun(), self.begun(), self.begun()];
        for round in 1..ROUNDS {
            for state in &mut states {
                *state = _mm512_aesenc_epi128(*state, self.keys[round]);
            }
        }
        for (vector, state) in vectors.iter_mut().zip(states) {
            let stream = _mm512_aesenclast_epi128(state, self.keys[ROUNDS]);
            *vector = _mm512_xor_si512(*vector, stream);
        }
        vectors
    }

    /// Returns the tag that a hash becomes.
    #[inline]
    #[target_feature(enable = "ssse3")]
    pub(super) fn tag(&self, hash: __m128i) -> [u8; BLOCK] {
        store_block(_mm_xor_si128(reversed(hash), self.mask))
    }

    /// Returns four counters with the first key added.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn begun(&mut self) -> __m512i {
        let blocks = _mm512_shuffle_epi8(self.counters, _mm512_broadcast_i32x4(reversal()));
        let four = _mm512_set_epi32(0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4);
        self.counters = _mm512_add_epi32(self.counters, four);
        _mm512_xor_si512(blocks, self.keys[0])
    }
}

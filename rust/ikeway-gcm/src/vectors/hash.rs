// SPDX-License-Identifier: Apache-2.0
//! GHASH (SP 800-38D §6.4), computed as POLYVAL is (RFC 8452 §3, appendix A): with the octets of
//! each block in reverse order, its bits are those of a number, and GHASH with H is POLYVAL with x·H.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_and_si128, _mm_or_si128, _mm_set_epi8, _mm_set_epi64x, _mm_setzero_si128,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_epi64, _mm_slli_si128, _mm_srli_epi64,
    _mm_sub_epi64, _mm_xor_si128, _mm256_castsi256_si128, _mm256_extracti128_si256,
    _mm256_xor_si256, _mm512_broadcast_i32x4, _mm512_bslli_epi128, _mm512_bsrli_epi128,
    _mm512_castsi512_si256, _mm512_clmulepi64_epi128, _mm512_extracti64x4_epi64, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_epi32, _mm512_ternarylogic_epi64,
    _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::expand::Schedule;
use super::memory::store_block;
use super::{AT_ONCE, BLOCK, VECTOR, Vectors};

/// x¹²⁸ + x¹²⁷ + x¹²⁶ + x¹²¹ + 1 without its first term (RFC 8452 §3): the upper half, as below it there is
/// only the 1.
const POLYNOMIAL: i64 = 0xc2 << 56;
/// The exclusive or of three.
const XOR: i32 = 0x96;
/// As many as a group has blocks, and one for what ends a packet.
pub(super) const POWERS: usize = AT_ONCE * VECTOR / BLOCK + 1;

/// Fills in powers of a hash key, the highest first.
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq,ssse3")]
pub(super) fn fill(places: &mut [[u8; BLOCK]], hash_key: __m128i) {
    let first = doubled(reversed(hash_key));
    let mut power = first;
    for place in places.iter_mut().rev() {
        *place = store_block(power);
        power = product(power, first);
    }
}

/// The hash of one packet, of whole groups as yet.
pub(super) struct Hash<'a> {
    schedule: &'a Schedule,
    far: Vectors,
    sum: __m128i,
}

impl<'a> Hash<'a> {
    /// Begins with a block of associated data.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    pub(super) fn new(schedule: &'a Schedule, block: u128) -> Self {
        let first = Products::new().add(four(number(block)), schedule.powers(0));
        let far =
            [schedule.powers(15), schedule.powers(11), schedule.powers(7), schedule.powers(3)];
        Self { schedule, far, sum: first.reduced() }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    pub(super) fn absorb(&mut self, [first, second, third, fourth]: Vectors) {
        let [far, next, nearer, near] = self.far;
        // The sum is known last.
        self.sum = Products::new()
            .add(turned(fourth), near)
            .add(turned(third), nearer)
            .add(turned(second), next)
            .add(_mm512_xor_si512(turned(first), four(self.sum)), far)
            .reduced();
    }

    /// Returns what takes the last `blocks`, which are not a whole group.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn last(self, blocks: usize) -> Last<'a> {
        let Self { schedule, sum, .. } = self;
        Last { schedule, sum: four(sum), behind: blocks, products: Products::new() }
    }
}

/// The hash of one packet, which ends.
pub(super) struct Last<'a> {
    schedule: &'a Schedule,
    /// What is added to the next block.
    sum: __m512i,
    behind: usize,
    products: Products,
}

impl Last<'_> {
    /// Takes four blocks, or zeros behind the last.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    pub(super) fn absorb(&mut self, blocks: __m512i) {
        self.add(turned(blocks));
        self.behind = self.behind.saturating_sub(VECTOR / BLOCK);
    }

    /// Takes the block of lengths, and returns the hash.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    pub(super) fn finish(mut self, lengths: u128) -> __m128i {
        self.behind = 0;
        self.add(four(number(lengths)));
        self.products.reduced()
    }

    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn add(&mut self, blocks: __m512i) {
        let blocks = _mm512_xor_si512(blocks, self.sum);
        self.sum = _mm512_setzero_si512();
        self.products = self.products.add(blocks, self.schedule.powers(self.behind));
    }
}

/// Sums of products of 128 bits with 128 bits, four at a time, each in three parts.
#[derive(Clone, Copy)]
struct Products {
    low: __m512i,
    middle: __m512i,
    high: __m512i,
}

impl Products {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new() -> Self {
        let zero = _mm512_setzero_si512();
        Self { low: zero, middle: zero, high: zero }
    }

    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn add(self, blocks: __m512i, powers: __m512i) -> Self {
        let low = _mm512_clmulepi64_epi128::<0x00>(blocks, powers);
        let inner = _mm512_clmulepi64_epi128::<0x01>(blocks, powers);
        let outer = _mm512_clmulepi64_epi128::<0x10>(blocks, powers);
        let high = _mm512_clmulepi64_epi128::<0x11>(blocks, powers);
        Self {
            low: _mm512_xor_si512(self.low, low),
            middle: _mm512_ternarylogic_epi64::<XOR>(self.middle, inner, outer),
            high: _mm512_xor_si512(self.high, high),
        }
    }

    /// Divides by x¹²⁸, modulo the polynomial, and adds up all four (RFC 8452 §3, `dot`).
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    fn reduced(self) -> __m128i {
        let polynomial = _mm512_set1_epi64(POLYNOMIAL);
        let low = _mm512_xor_si512(self.low, _mm512_bslli_epi128::<8>(self.middle));
        let high = _mm512_xor_si512(self.high, _mm512_bsrli_epi128::<8>(self.middle));
        let folded = _mm512_clmulepi64_epi128::<0x00>(low, polynomial);
        let low = _mm512_xor_si512(_mm512_shuffle_epi32::<SWAP>(low), folded);
        let folded = _mm512_clmulepi64_epi128::<0x00>(low, polynomial);
        let swapped = _mm512_shuffle_epi32::<SWAP>(low);
        let sums = _mm512_ternarylogic_epi64::<XOR>(high, swapped, folded);
        let upper = _mm512_extracti64x4_epi64::<1>(sums);
        let sums = _mm256_xor_si256(_mm512_castsi512_si256(sums), upper);
        _mm_xor_si128(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums))
    }
}

/// Halves of 128 bits change places.
const SWAP: i32 = 0b01_00_11_10;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn product(one: __m128i, other: __m128i) -> __m128i {
    Products::new().add(four(one), four(other)).reduced()
}

/// Multiplies by x, modulo the polynomial (RFC 8452 appendix A, `mulX_POLYVAL`).
#[target_feature(enable = "sse2")]
fn doubled(block: __m128i) -> __m128i {
    let carries = _mm_srli_epi64::<63>(block);
    let shifted = _mm_or_si128(_mm_slli_epi64::<1>(block), _mm_slli_si128::<8>(carries));
    let overflow = _mm_shuffle_epi32::<0b11_10_11_10>(carries);
    let all = _mm_sub_epi64(_mm_setzero_si128(), overflow);
    _mm_xor_si128(shifted, _mm_and_si128(all, _mm_set_epi64x(POLYNOMIAL, 1)))
}

/// Returns a block as a vector, with zeros behind.
#[inline]
#[target_feature(enable = "avx512f")]
fn four(block: __m128i) -> __m512i {
    _mm512_zextsi128_si512(block)
}

/// Returns a block that is given as a number, its octets in reverse order.
#[inline]
#[target_feature(enable = "sse2")]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "it is two halves")]
pub(super) fn number(block: u128) -> __m128i {
    _mm_set_epi64x((block >> 64) as i64, block as i64)
}

/// Which octet goes where, for the reverse order.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn reversal() -> __m128i {
    _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

#[inline]
#[target_feature(enable = "ssse3")]
pub(super) fn reversed(block: __m128i) -> __m128i {
    _mm_shuffle_epi8(block, reversal())
}

/// Returns four blocks, each with its octets in reverse order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn turned(blocks: __m512i) -> __m512i {
    _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(reversal()))
}

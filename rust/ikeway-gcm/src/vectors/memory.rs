// SPDX-License-Identifier: Apache-2.0
//! Between memory and the processor: all that is not safe by itself, an instruction each.

use std::arch::x86_64::{
    __m128i, __m512i, __mmask64, _mm_loadu_si128, _mm_storeu_si128, _mm512_loadu_si512,
    _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_storeu_si512,
};

use super::{BLOCK, Group, VECTOR, Vectors};

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn load_block(from: &[u8; BLOCK]) -> __m128i {
    // SAFETY: there are as many octets, and their address may be any.
    unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn store_block(block: __m128i) -> [u8; BLOCK] {
    let mut to = [0; BLOCK];
    // SAFETY: there are as many octets, and their address may be any.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), block) };
    to
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(from: &[u8; VECTOR]) -> __m512i {
    // SAFETY: there are as many octets, and their address may be any.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut [u8; VECTOR], vector: __m512i) {
    // SAFETY: there are as many octets, and their address may be any.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) };
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_all([first, second, third, fourth]: &Group) -> Vectors {
    [load(first), load(second), load(third), load(fourth)]
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_all(to: &mut Group, vectors: Vectors) {
    for (place, vector) in to.iter_mut().zip(vectors) {
        store(place, vector);
    }
}

/// Returns a bit for each of these octets, of which a vector is not shorter.
#[inline]
pub(super) const fn mask(octets: &[u8]) -> __mmask64 {
    let none = VECTOR.saturating_sub(octets.len());
    if none == VECTOR { 0 } else { u64::MAX >> none }
}

/// Loads what there is, with zeros behind.
#[inline]
#[target_feature(enable = "avx512bw")]
pub(super) fn load_some(from: &[u8]) -> __m512i {
    // SAFETY: octets without their bit in the mask are not touched.
    unsafe { _mm512_maskz_loadu_epi8(mask(from), from.as_ptr().cast()) }
}

/// Stores what there is a place for.
#[inline]
#[target_feature(enable = "avx512bw")]
pub(super) fn store_some(to: &mut [u8], vector: __m512i) {
    let mask = mask(to);
    // SAFETY: octets without their bit in the mask are not touched.
    unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), mask, vector) };
}

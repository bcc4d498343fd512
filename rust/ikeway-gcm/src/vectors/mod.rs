// SPDX-License-Identifier: Apache-2.0
//! The work itself, with instructions that not every processor has.

mod expand;
mod hash;
mod memory;
mod stream;

use std::arch::x86_64::{__m512i, _mm512_maskz_mov_epi8, _mm512_xor_si512};

use crate::message::{Associated, Nonce, TAG_OCTETS};
use expand::{Rounds, Schedule};
use hash::Hash;
use memory::{load_all, load_some, mask, store_all, store_some};
use stream::Stream;

/// Octets of a vector, which has four blocks.
const VECTOR: usize = 64;
const BLOCK: usize = 16;
/// Vectors that are on their way at a time.
const AT_ONCE: usize = 4;

const GROUP: usize = VECTOR * AT_ONCE;

/// Sixteen blocks, in memory and in the processor.
type Group = [[u8; VECTOR]; AT_ONCE];
type Vectors = [__m512i; AT_ONCE];

/// A key on a processor that has the instructions.
pub(crate) struct Expanded(Schedule);

impl Expanded {
    /// Returns `None` for a length that is none of AES-128 and AES-256, or without the instructions.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let is_able = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("vpclmulqdq")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("ssse3");
        // SAFETY: the processor has all that `with` is compiled for.
        if is_able { unsafe { Self::with(key) } } else { None }
    }

    /// Seals `body`, which begins with what `inner` has, and returns the tag.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: Nonce,
        associated: Associated,
        inner: &[u8],
        body: &mut [u8],
    ) -> [u8; TAG_OCTETS] {
        // What is not a whole group is sealed where it stands.
        let apart = whole(inner);
        if let Some((place, rest)) = body.get_mut(apart..inner.len()).zip(inner.get(apart..)) {
            place.copy_from_slice(rest);
        }
        match self.0.rounds() {
            // SAFETY: `new` makes none where the processor lacks what this is compiled for.
            Rounds::Ten => unsafe { self.sealed::<10>(nonce, associated, inner, body) },
            // SAFETY: as above.
            Rounds::Fourteen => unsafe { self.sealed::<14>(nonce, associated, inner, body) },
        }
    }

    /// Turns the ciphertext `body` into plaintext, and returns the tag that it should have had.
    #[inline]
    pub(crate) fn open(
        &self,
        nonce: Nonce,
        associated: Associated,
        body: &mut [u8],
    ) -> [u8; TAG_OCTETS] {
        match self.0.rounds() {
            // SAFETY: `new` makes none where the processor lacks what this is compiled for.
            Rounds::Ten => unsafe { self.opened::<10>(nonce, associated, body) },
            // SAFETY: as above.
            Rounds::Fourteen => unsafe { self.opened::<14>(nonce, associated, body) },
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,ssse3")]
    fn with(key: &[u8]) -> Option<Self> {
        Schedule::new(key).map(Self)
    }

    /// Seals `body`, of which whole groups are read from `inner` as long as it has some.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,ssse3")]
    fn sealed<const ROUNDS: usize>(
        &self,
        nonce: Nonce,
        associated: Associated,
        inner: &[u8],
        body: &mut [u8],
    ) -> [u8; TAG_OCTETS] {
        let lengths = associated.lengths(body.len());
        let mut stream = Stream::<ROUNDS>::new(&self.0, nonce.block());
        let mut hash = Hash::new(&self.0, associated.block());
        let (many, rest) = body.split_at_mut(whole(body));
        let mut apart = groups(inner).iter();
        // The hash is a group behind: there is the next one to encrypt while it waits for its sums.
        let mut before = None;
        for group in groups_mut(many) {
            let plain = apart.next().unwrap_or(group);
            let sealed = stream.apply(load_all(plain));
            store_all(group, sealed);
            if let Some(before) = before.replace(sealed) {
                hash.absorb(before);
            }
        }
        if let Some(before) = before {
            hash.absorb(before);
        }
        let mut last = hash.last(rest.len().div_ceil(BLOCK));
        for part in rest.chunks_mut(VECTOR) {
            let sealed = _mm512_xor_si512(load_some(part), stream.next());
            store_some(part, sealed);
            last.absorb(_mm512_maskz_mov_epi8(mask(part), sealed));
        }
        stream.tag(last.finish(lengths))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes,vpclmulqdq,aes,ssse3")]
    fn opened<const ROUNDS: usize>(
        &self,
        nonce: Nonce,
        associated: Associated,
        body: &mut [u8],
    ) -> [u8; TAG_OCTETS] {
        let lengths = associated.lengths(body.len());
        let mut stream = Stream::<ROUNDS>::new(&self.0, nonce.block());
        let mut hash = Hash::new(&self.0, associated.block());
        let (many, rest) = body.split_at_mut(whole(body));
        for group in groups_mut(many) {
            let sealed = load_all(group);
            hash.absorb(sealed);
            store_all(group, stream.apply(sealed));
        }
        let mut last = hash.last(rest.len().div_ceil(BLOCK));
        for part in rest.chunks_mut(VECTOR) {
            let sealed = load_some(part);
            last.absorb(sealed);
            store_some(part, _mm512_xor_si512(sealed, stream.next()));
        }
        stream.tag(last.finish(lengths))
    }
}

/// Returns how many octets of these stand in whole groups.
const fn whole(octets: &[u8]) -> usize {
    octets.len() / GROUP * GROUP
}

fn groups(octets: &[u8]) -> &[Group] {
    octets.as_chunks::<VECTOR>().0.as_chunks().0
}

fn groups_mut(octets: &mut [u8]) -> &mut [Group] {
    octets.as_chunks_mut::<VECTOR>().0.as_chunks_mut().0
}

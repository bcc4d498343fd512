// SPDX-License-Identifier: Apache-2.0
//! Published vectors, and every length against aws-lc-rs. Without the instructions there is nothing
//! to test, and that is said.
#![allow(clippy::unwrap_used, reason = "nothing of this can fail")]

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ikeway_gcm::{Associated, Forged, Key, TAG_OCTETS};
use proptest::collection::vec;
use proptest::prelude::*;

/// Longer than two groups of blocks and whatever remains behind them.
const LONGEST: usize = 1600;

fn key(octets: &[u8]) -> Option<Key> {
    let key = Key::new(octets);
    if key.is_none() {
        eprintln!("NOTICE: this processor has no VAES, VPCLMULQDQ or AVX-512");
    }
    key
}

/// Seals with the library; the tag stands behind.
fn sealed(key: &[u8], (salt, iv): (u32, u64), associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(&salt.to_be_bytes());
    nonce[4..].copy_from_slice(&iv.to_be_bytes());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut octets = plain.to_vec();
    LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap())
        .seal_in_place_append_tag(nonce, Aad::from(associated), &mut octets)
        .unwrap();
    octets
}

/// Seals with ours; the first `apart` octets are somewhere else before.
fn ours(
    key: &Key,
    (salt, iv): (u32, u64),
    associated: Associated,
    plain: &[u8],
    apart: usize,
) -> Vec<u8> {
    let mut body = plain.to_vec();
    body[..apart].fill(0xee);
    let nonce = ikeway_gcm::Nonce { salt, iv };
    let tag = key.seal(nonce, associated, &plain[..apart], &mut body).unwrap();
    [body, tag.to_vec()].concat()
}

fn words(associated: &[u32]) -> Associated {
    match *associated {
        [first, second] => Associated::of_two(first, second),
        [first, second, third] => Associated::of_three(first, second, third),
        _ => unreachable!(),
    }
}

fn octets(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Every length, so that each way of ending is met: no block, parts of one, whole vectors, groups.
#[test]
fn packets_of_every_length_are_as_the_library_seals_them() {
    for key_octets in [16, 32] {
        let octets_of_key: Vec<u8> = (0..key_octets).collect();
        let Some(key) = key(&octets_of_key) else { return };
        let nonce = (0x0102_0304, 0xffff_ffff_0506_0708);
        for length in 0..=LONGEST {
            let plain: Vec<u8> = (0..length).map(|at| (at * 7 % 251).try_into().unwrap()).collect();
            for associated in [&[0x1000_u32, 5][..], &[0x1000, 0xfff0_0001, 7]] {
                let expected = sealed(&octets_of_key, nonce, &octets(associated), &plain);
                let made = ours(&key, nonce, words(associated), &plain, length);
                assert_eq!(made, expected, "{length} octets, {key_octets} of key");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_packet_is_as_the_library_seals_it_and_opens_again(
        octets_of_key in prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 32)],
        nonce: (u32, u64),
        associated in vec(any::<u32>(), 2..=3),
        plain in vec(any::<u8>(), 0..LONGEST),
        part in 0_usize..=100,
    ) {
        let Some(key) = key(&octets_of_key) else { return Ok(()) };
        let apart = plain.len() * part / 100;
        let made = ours(&key, nonce, words(&associated), &plain, apart);
        prop_assert_eq!(&made, &sealed(&octets_of_key, nonce, &octets(&associated), &plain));
        let (body, tag) = made.split_last_chunk::<TAG_OCTETS>().unwrap();
        let mut opened = body.to_vec();
        let nonce = ikeway_gcm::Nonce { salt: nonce.0, iv: nonce.1 };
        prop_assert_eq!(key.open(nonce, words(&associated), &mut opened, *tag), Ok(()));
        prop_assert_eq!(opened, plain);
    }

    /// A single bit anywhere: in the ciphertext, in the tag, in what is associated, in the nonce.
    #[test]
    fn a_packet_with_any_bit_changed_is_refused_and_nothing_of_it_is_left(
        octets_of_key in prop_oneof![vec(any::<u8>(), 16), vec(any::<u8>(), 32)],
        nonce: (u32, u64),
        associated in vec(any::<u32>(), 2..=3),
        plain in vec(1_u8.., 1..600),
        place: prop::sample::Index,
    ) {
        let Some(key) = key(&octets_of_key) else { return Ok(()) };
        let sealed = ours(&key, nonce, words(&associated), &plain, plain.len());
        let mut all = [sealed, octets(&associated), nonce.0.to_be_bytes().to_vec()].concat();
        let bit = place.index(all.len() * 8);
        all[bit / 8] ^= 1 << (bit % 8);
        let (mut all, salt) = {
            let (rest, salt) = all.split_last_chunk::<4>().unwrap();
            (rest.to_vec(), u32::from_be_bytes(*salt))
        };
        let associated: Vec<u32> = all
            .split_off(plain.len() + TAG_OCTETS)
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()))
            .collect();
        let (body, tag) = all.split_last_chunk_mut::<TAG_OCTETS>().unwrap();
        let nonce = ikeway_gcm::Nonce { salt, iv: nonce.1 };
        prop_assert_eq!(key.open(nonce, words(&associated), body, *tag), Err(Forged));
        prop_assert!(body.iter().all(|octet| *octet == 0));
    }
}

/// The counter is of 32 bits and begins again behind them (SP 800-38D §6.5); no packet gets there,
/// but its neighbours in a vector are counters of 2 and more, whatever the nonce ends with.
#[test]
fn a_nonce_of_ones_does_not_disturb_the_counter() {
    let Some(key) = key(&[3; 32]) else { return };
    let nonce = (u32::MAX, u64::MAX);
    let made = ours(&key, nonce, Associated::of_two(1, 2), &[0; 700], 300);
    assert_eq!(made, sealed(&[3; 32], nonce, &octets(&[1, 2]), &[0; 700]));
}

#[test]
fn keys_of_other_lengths_are_not_made() {
    for octets in [0, 1, 15, 17, 24, 31, 33, 48] {
        assert!(Key::new(&vec![0; octets]).is_none(), "{octets}");
    }
}

#[test]
fn what_is_to_come_first_has_to_have_a_place() {
    let Some(key) = key(&[0; 16]) else { return };
    let nonce = ikeway_gcm::Nonce { salt: 0, iv: 0 };
    assert_eq!(key.seal(nonce, Associated::of_two(0, 0), &[0; 3], &mut [0; 2]), None);
}

// SPDX-License-Identifier: Apache-2.0
//! Octets in JSON, as hexadecimal text.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Octets that a message gives in hexadecimal.
pub(super) struct Octets(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Hexadecimal)
    }
}

struct Hexadecimal;

impl Visitor<'_> for Hexadecimal {
    type Value = Octets;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an even number of hexadecimal digits")
    }

    /// The error does not quote the text: it may be a key.
    fn visit_str<E: Error>(self, text: &str) -> Result<Octets, E> {
        decode(text)
            .map(Octets)
            .ok_or_else(|| E::custom("not an even number of hexadecimal digits"))
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    // The capacity is exact, so that no part of a key stays behind in a smaller allocation.
    let mut octets = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        octets.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(octets)
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Returns `octets` in hexadecimal.
pub(super) fn encode(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0x0f)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_survive_a_round_trip_and_nothing_else_is_taken() {
        assert_eq!(decode(&encode(&[0, 0x9f, 0xff])), Some(vec![0, 0x9f, 0xff]));
        assert_eq!(decode("0AfF"), Some(vec![0x0a, 0xff]));
        for bad in ["0", "0g", "é"] {
            assert_eq!(decode(bad), None);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The Internet checksum: of headers, of payloads, and with pseudo headers (RFC 1071, RFC 8200
//! §8.1).

/// Returns the sum of 16-bit words, not folded and in the machine's order; an odd octet counts as a
/// first one.
///
/// Every processor of the last decade has the wider instructions; the others take the same path
/// without.
pub(crate) fn sum(octets: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as just seen.
        return unsafe { sum_wide(octets) };
    }
    sum_words(octets)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_wide(octets: &[u8]) -> u64 {
    sum_words(octets)
}

/// Adds 32 bits at a time: 2^32 of them fit into 64 bits, far more than a packet has.
#[inline(always)]
#[allow(clippy::inline_always, reason = "so that it is compiled again for the wider instructions")]
fn sum_words(octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<4>();
    let whole: u64 =
        words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).fold(0, u64::wrapping_add);
    let mut last = [0; 4];
    for (place, octet) in last.iter_mut().zip(rest) {
        *place = *octet;
    }
    whole.wrapping_add(u64::from(u32::from_ne_bytes(last)))
}

/// Returns the sum folded to 16 bits, as the octets that stand in a header; not inverted.
pub(crate) fn fold(sum: u64) -> [u8; 2] {
    let mut sum = (sum >> 32) + (sum & 0xffff_ffff);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    u16::try_from(sum).unwrap_or(u16::MAX).to_ne_bytes()
}

/// Returns the checksum of octets whose sum this is.
pub(crate) fn finish(sum: u64) -> [u8; 2] {
    let [high, low] = fold(sum);
    [!high, !low]
}

/// Returns the sum of the pseudo header of `length` octets of `protocol`; `addresses` are source
/// and destination.
pub(crate) fn pseudo(addresses: &[u8], protocol: u8, length: usize) -> u64 {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    sum(addresses) + sum(&length) + sum(&[0, protocol])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 §3: the example of eight octets.
    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), [0xdd, 0xf2]);
    }

    #[test]
    fn any_length_agrees_with_the_sum_by_words() {
        let octets: Vec<u8> =
            (0..1500_u32).map(|octet| u8::try_from(octet * 7 % 251).unwrap()).collect();
        for length in 0..octets.len() {
            let mut plain = 0_u64;
            for pair in octets[..length].chunks(2) {
                plain += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
            }
            while plain > 0xffff {
                plain = (plain >> 16) + (plain & 0xffff);
            }
            assert_eq!(
                u64::from(u16::from_be_bytes(fold(sum(&octets[..length])))),
                plain,
                "{length}"
            );
        }
    }
}

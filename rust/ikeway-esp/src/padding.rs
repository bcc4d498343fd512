// SPDX-License-Identifier: Apache-2.0
//! Hiding how long packets are, and whether there are any: padding for traffic flow confidentiality
//! and dummy packets (RFC 4303 §2.6, §2.7).

use crate::inner::{IPV4, IPV6};
use crate::shape::Shape;
use crate::transform::TRAILER;

/// No next header: the receiver throws the packet away (RFC 4303 §2.6).
pub(crate) const DUMMY: u8 = 59;

/// The plaintext of a packet without an inner one, for each next header: zeros up to a length, then
/// padding, its length and the next header.
///
/// What is behind an inner packet is the end of one of these: where it stands, nothing has to be
/// written for a packet.
pub(crate) struct Padding {
    to: usize,
    shape: Shape,
    plaintexts: [(u8, Box<[u8]>); 3],
}

impl Padding {
    /// Returns padding up to so many octets of inner packet.
    pub(crate) fn new(to: usize, shape: Shape) -> Self {
        let plaintext = |next| {
            let mut octets = vec![0; to];
            let padding = shape.aligned(to + TRAILER) - to - TRAILER;
            octets.extend((1..=u8::MAX).take(padding));
            octets.extend([u8::try_from(padding).unwrap_or(u8::MAX), next]);
            octets.into_boxed_slice()
        };
        Self { to, shape, plaintexts: [IPV4, IPV6, DUMMY].map(|next| (next, plaintext(next))) }
    }

    /// Returns what follows an inner packet of that length, unless it is too long to be padded.
    pub(crate) fn after(&self, inner: usize, next: u8) -> Option<&[u8]> {
        let (_, plaintext) = self.plaintexts.iter().find(|(known, _)| *known == next)?;
        if inner > self.to { None } else { plaintext.get(inner..) }
    }

    /// Returns the same where the path carries inner packets of `most` octets only: whole blocks are
    /// left out in front, so that the end stands where it has to.
    pub(crate) fn after_within(&self, inner: usize, most: usize, next: u8) -> Option<&[u8]> {
        let body = |inner: usize| self.shape.aligned(inner + TRAILER);
        self.after(inner + body(self.to) - body(most.min(self.to)), next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::error::Refusal;
    use crate::outbound::{OutboundSa, SEAL_ROOM};
    use crate::suite::Suite;
    use crate::testing::{aes_gcm, inbound, ipv4_packet, ipv6_packet, outbound, seal};

    fn padded(suite: Suite, to: usize) -> OutboundSa {
        outbound(suite, false, 0).padded(to)
    }

    /// CF-U13: RFC 4303 §2.7: every suite pads, and the other side has the packet as it was.
    #[test]
    fn every_suite_pads_to_one_length_and_opens_what_it_padded() {
        for suite in Suite::all() {
            let (sender, mut receiver) = (padded(suite, 1400), inbound(suite, false));
            let mut lengths = Vec::new();
            for payload in [0, 1, 500, 1351, 1352] {
                for inner in [ipv4_packet(payload), ipv6_packet(payload)] {
                    let mut packet = seal(&sender, &inner);
                    lengths.push(packet.len());
                    assert!(packet.len() <= sender.room(inner.len()));
                    let place = receiver.open(&mut packet).unwrap();
                    assert_eq!(packet[place], inner, "{}", suite.name());
                }
            }
            lengths.dedup();
            assert_eq!(lengths.len(), 1, "{}", suite.name());
        }
    }

    /// Longer packets go as they are, never cut.
    #[test]
    fn a_longer_packet_is_sealed_as_without_padding() {
        let (plain, sender) = (outbound(aes_gcm(), false, 0), padded(aes_gcm(), 100));
        let inner = ipv4_packet(1000);
        assert_eq!(seal(&sender, &inner), seal(&plain, &inner));
    }

    /// CF-U12: RFC 4303 §2.6: a dummy is as long as what is padded, and goes no further there.
    #[test]
    fn a_dummy_looks_like_a_packet_and_is_thrown_away() {
        for suite in Suite::all() {
            let (sender, mut receiver) = (padded(suite, 600), inbound(suite, false));
            let mut buffer = vec![0; sender.room(0)];
            let length = sender.seal_dummy(None, &mut buffer).unwrap();
            assert_eq!(length, seal(&sender, &ipv4_packet(9)).len());
            assert_eq!(receiver.open(&mut buffer[..length]), Err(Refusal::Dummy));
        }
    }

    /// One that pads nothing makes the shortest of dummies.
    #[test]
    fn a_dummy_without_padding_is_a_trailer() {
        let (sender, mut receiver) = (outbound(aes_gcm(), false, 0), inbound(aes_gcm(), false));
        let mut buffer = [0; SEAL_ROOM];
        let length = sender.seal_dummy(None, &mut buffer).unwrap();
        assert_eq!(length, 8 + 8 + 4 + 16);
        assert_eq!(receiver.open(&mut buffer[..length]), Err(Refusal::Dummy));
    }

    /// A path that carries less takes shorter packets, of one length again, and loses none.
    #[test]
    fn a_narrow_path_takes_the_padding_that_fits() {
        for suite in Suite::all() {
            let (sender, mut receiver) = (padded(suite, 1400), inbound(suite, false));
            let plain = outbound(suite, false, 0);
            for most in [1399, 1200, 1187, 600] {
                let mut lengths = Vec::new();
                let fits = plain.sealed_length(most);
                for payload in [0, 1, 333, most - 48, most - 49] {
                    for inner in [ipv4_packet(payload), ipv6_packet(payload)] {
                        let mut packet = vec![0; sender.room(inner.len())];
                        let length = sender.seal_within(&inner, most, &mut packet).unwrap();
                        lengths.push(length);
                        let place = receiver.open(&mut packet[..length]).unwrap();
                        assert_eq!(packet[place], inner, "{}", suite.name());
                    }
                }
                let mut dummy = vec![0; sender.room(0)];
                lengths.push(sender.seal_dummy(Some(most), &mut dummy).unwrap());
                assert_eq!(receiver.open(&mut dummy[..lengths[0]]), Err(Refusal::Dummy));
                assert!(lengths.iter().all(|length| *length == fits), "{}", suite.name());
            }
        }
    }

    /// How much fits says the path, not what packets are padded to.
    #[test]
    fn padding_takes_nothing_from_what_a_path_carries() {
        let (plain, sender) = (outbound(aes_gcm(), false, 0), padded(aes_gcm(), 1400));
        assert_eq!(sender.longest_inner(1200), plain.longest_inner(1200));
    }

    proptest! {
        /// Whatever is asked for: a packet comes out as it went in, and no shorter than was asked.
        #[test]
        fn padding_changes_no_packet(to in 0_usize..3000, payload in 0_usize..2000, six: bool) {
            let (sender, mut receiver) = (padded(aes_gcm(), to), inbound(aes_gcm(), false));
            let inner = if six { ipv6_packet(payload) } else { ipv4_packet(payload) };
            let mut packet = seal(&sender, &inner);
            prop_assert!(packet.len() >= to.max(inner.len()));
            let place = receiver.open(&mut packet).unwrap();
            prop_assert_eq!(&packet[place], inner.as_slice());
        }
    }
}

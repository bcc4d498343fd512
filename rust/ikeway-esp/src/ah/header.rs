// SPDX-License-Identifier: Apache-2.0
//! Where AH stands in an IP packet, and what it says (RFC 4302 §2, §3.1).

use super::{AH, FIXED, ipv4, ipv6};
use crate::error::Refusal;

/// The parts of a packet with AH in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) is_ipv4: bool,
    /// Of the field that says that AH follows.
    pub(super) named_at: usize,
    pub(super) at: usize,
    /// Where AH ends.
    pub(super) payload_at: usize,
    /// Where the packet ends.
    pub(super) end: usize,
    pub(super) next: u8,
    pub(super) spi: u32,
    /// The low half of its number.
    pub(super) low: u32,
}

impl Place {
    /// Returns where AH is in a packet that was received.
    ///
    /// # Errors
    /// [`Refusal::Fragment`] if it is one (§3.4.1), [`Refusal::Malformed`] if a header is not whole.
    pub(super) fn find(packet: &[u8]) -> Result<Self, Refusal> {
        let is_ipv4 = match packet.first().map(|first| first >> 4) {
            Some(4) => true,
            Some(6) => false,
            _ => return Err(Refusal::Malformed),
        };
        let before = if is_ipv4 { ipv4::before(packet) } else { ipv6::before(packet) }?;
        Self::read(packet, is_ipv4, before).ok_or(Refusal::Malformed)
    }

    fn read(packet: &[u8], is_ipv4: bool, before: Before) -> Option<Self> {
        let Before { named_at, at, end } = before;
        if *packet.get(named_at)? != AH {
            return None;
        }
        let header: &[u8; FIXED] = packet.get(at..end)?.first_chunk()?;
        let [next, words, _, _, spi @ .., s0, s1, s2, s3] = *header;
        let payload_at = at + (usize::from(words) + 2) * 4;
        (payload_at <= end).then_some(Self {
            is_ipv4,
            named_at,
            at,
            payload_at,
            end,
            next,
            spi: u32::from_be_bytes(spi),
            low: u32::from_be_bytes([s0, s1, s2, s3]),
        })
    }
}

/// What stands before AH.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) named_at: usize,
    pub(super) at: usize,
    pub(super) end: usize,
}

/// Returns the SPI of an IP packet with AH in it.
///
/// # Errors
/// [`Refusal`] if it is none.
pub fn spi(packet: &[u8]) -> Result<u32, Refusal> {
    Place::find(packet).map(|place| place.spi)
}

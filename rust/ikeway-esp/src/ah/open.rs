// SPDX-License-Identifier: Apache-2.0
//! Checking AH of a packet that came in, and taking it out (RFC 4302 §3.4).

use std::ops::Range;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::check::{Check, MAX_ICV};
use super::header::Place;
use super::seal::settle;
use super::{Ah, FIXED, ipv4, ipv6};
use crate::error::Refusal;
use crate::sequence::halves;
use crate::transform::BadIcv;

impl Ah {
    /// Returns whether AH is as long as it is to be: with no more padding than alignment takes
    /// (§3.3.3.2.1).
    pub(crate) fn fits(&self, packet: &[u8]) -> bool {
        Place::find(packet).is_ok_and(|place| {
            let octets = place.payload_at - place.at;
            // INTEROP linux: AH over IPv4 has a length that is a multiple of 8 octets, as over IPv6,
            // unless who made the SA asked for 4 (XFRM_STATE_ALIGN4)
            octets == self.header_octets(place.is_ipv4) || octets == self.header_octets(false)
        })
    }

    /// Checks the ICV of a packet. `scratch` is for what it is computed over.
    pub(crate) fn verify(
        &self,
        sequence: u64,
        packet: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<(), BadIcv> {
        self.is_authentic(sequence, packet, scratch).ok_or(BadIcv)
    }

    fn is_authentic(&self, sequence: u64, packet: &[u8], scratch: &mut Vec<u8>) -> Option<()> {
        let whole = Place::find(packet).ok()?;
        scratch.clear();
        scratch.extend_from_slice(packet.get(..whole.end)?);
        if !whole.is_ipv4 {
            ipv6::drop_fragment_header(scratch)?;
        }
        let place = Place::find(scratch).ok()?;
        settle(place.is_ipv4, scratch.get_mut(..place.at)?, false)?;
        let icv = scratch.get_mut(place.at + FIXED..)?.get_mut(..self.icv_octets)?;
        let mut seen = [0; MAX_ICV];
        let seen = seen.get_mut(..self.icv_octets)?;
        seen.swap_with_slice(icv);
        if self.esn {
            let [high, _] = halves(sequence);
            scratch.extend_from_slice(&high.to_be_bytes());
        }
        let iv = seen.first_chunk().copied().unwrap_or(Check::iv(sequence));
        let wanted = self.check.compute(iv, scratch)?;
        verify_slices_are_equal(wanted.get(..self.icv_octets)?, seen).ok()
    }
}

/// Returns the SPI and the low half of the number of a packet.
///
/// # Errors
/// [`Refusal`] if it has no AH.
pub(crate) fn low_sequence(packet: &[u8]) -> Result<u32, Refusal> {
    Place::find(packet).map(|place| place.low)
}

/// Returns the next header of AH, and where what it protects begins and ends.
///
/// # Errors
/// [`Refusal`] if there is no AH.
pub(crate) fn payload(packet: &[u8]) -> Result<(u8, Range<usize>), Refusal> {
    Place::find(packet).map(|place| (place.next, place.payload_at..place.end))
}

/// Takes AH out of a packet, so that it is as the peer's host made it, and returns where that is.
///
/// # Errors
/// [`Refusal`] if there is no AH.
pub(crate) fn take_out(packet: &mut [u8]) -> Result<Range<usize>, Refusal> {
    let place = Place::find(packet)?;
    close_gap(&place, packet).ok_or(Refusal::Malformed)
}

/// Moves the headers before AH to its end.
fn close_gap(place: &Place, packet: &mut [u8]) -> Option<Range<usize>> {
    *packet.get_mut(place.named_at)? = place.next;
    let start = place.payload_at.checked_sub(place.at)?;
    packet.copy_within(..place.at, start);
    let moved = packet.get_mut(start..place.end)?;
    let octets = moved.len();
    let finish = if place.is_ipv4 { ipv4::finish } else { ipv6::finish };
    finish(moved, octets)?;
    Some(start..place.end)
}

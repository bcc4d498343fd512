// SPDX-License-Identifier: Apache-2.0
//! The IPv4 header before AH: what of it may change on the way (RFC 4302 §3.3.3.1.1, App. A1).

use super::header::Before;
use crate::error::Refusal;
use crate::transport::{fold, sum_octets};

const HEADER: usize = 20;
pub(super) const PROTOCOL_AT: usize = 9;

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_ROUTE: u8 = 131;
const STRICT_ROUTE: u8 = 137;
/// Security, extended and commercial security, router alert, sender directed delivery.
const IMMUTABLE: [u8; 5] = [130, 133, 134, 148, 149];

/// Returns where the header ends and the packet does.
///
/// # Errors
/// [`Refusal`] if it is a fragment, or not whole.
pub(super) fn before(packet: &[u8]) -> Result<Before, Refusal> {
    let (at, end) = lengths(packet).ok_or(Refusal::Malformed)?;
    if word(packet, 6).ok_or(Refusal::Malformed)? & 0x3fff != 0 {
        return Err(Refusal::Fragment);
    }
    Ok(Before { named_at: PROTOCOL_AT, at, end })
}

fn lengths(packet: &[u8]) -> Option<(usize, usize)> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let end = usize::from(word(packet, 2)?);
    (header >= HEADER && header <= end && end <= packet.len()).then_some((header, end))
}

/// Zeroes what may change on the way. Of a packet that `is_sent`, the destination becomes the one
/// that it will have in the end.
pub(super) fn settle(header: &mut [u8], is_sent: bool) -> Option<()> {
    *header.get_mut(1)? = 0;
    *header.get_mut(6..)?.first_chunk_mut()? = [0; 3];
    *header.get_mut(10..)?.first_chunk_mut()? = [0; 2];
    let mut at = HEADER;
    while let Some(&kind) = header.get(at) {
        let octets = match kind {
            END_OF_OPTIONS => break,
            NO_OPERATION => 1,
            _ => usize::from(*header.get(at + 1)?).max(2),
        };
        let option = header.get(at..at + octets)?;
        let target = if is_sent { target(option) } else { None };
        if let Some(target) = target {
            *header.get_mut(16..)?.first_chunk_mut()? = target;
        }
        if kind != NO_OPERATION && !IMMUTABLE.contains(&kind) {
            header.get_mut(at..at + octets)?.fill(0);
        }
        at += octets;
    }
    Some(())
}

/// Returns where a source route ends that has hops to go (RFC 791 §3.1).
fn target(option: &[u8]) -> Option<[u8; 4]> {
    let [LOOSE_ROUTE | STRICT_ROUTE, length, pointer, ..] = *option else { return None };
    (pointer <= length).then(|| option.last_chunk().copied()).flatten()
}

/// Writes length and checksum of a packet that ends at `end`.
pub(super) fn finish(packet: &mut [u8], end: usize) -> Option<()> {
    *packet.get_mut(2..)?.first_chunk_mut()? = u16::try_from(end).ok()?.to_be_bytes();
    *packet.get_mut(10..)?.first_chunk_mut()? = [0; 2];
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let checksum = !fold(sum_octets(packet.get(..header)?));
    *packet.get_mut(10..)?.first_chunk_mut()? = checksum.to_be_bytes();
    Some(())
}

/// Gives a packet an identification that the host does not change: it fills in those that are zero.
pub(super) fn identify(header: &mut [u8], number: u64) -> Option<()> {
    let field: &mut [u8; 2] = header.get_mut(4..)?.first_chunk_mut()?;
    if *field == [0; 2] {
        let [.., high, low] = number.to_be_bytes();
        *field = if [high, low] == [0; 2] { [0xff; 2] } else { [high, low] };
    }
    Some(())
}

fn word(packet: &[u8], at: usize) -> Option<u16> {
    packet.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

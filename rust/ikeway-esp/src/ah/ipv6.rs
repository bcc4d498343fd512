// SPDX-License-Identifier: Apache-2.0
//! The IPv6 header and the extension headers before AH: what of them may change on the way, and what
//! they will be in the end (RFC 4302 §3.3.3.1.2, App. A2).

use super::AH;
use super::header::Before;
use crate::error::Refusal;

pub(super) const HEADER: usize = 40;
const NEXT_AT: usize = 6;
/// More extension headers than any sender has a use for; bounds the work per packet.
const MAX_EXTENSIONS: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
const FRAGMENT_OCTETS: usize = 8;

const PAD_1: u8 = 0;
/// The bit of an option's type that says that its data may change on the way (RFC 8200 §4.2).
const CHANGES: u8 = 0x20;

/// Returns where the headers end that stand before AH, and the packet does.
///
/// # Errors
/// [`Refusal`] if it is a fragment, or not whole.
pub(super) fn before(packet: &[u8]) -> Result<Before, Refusal> {
    let end = end(packet).ok_or(Refusal::Malformed)?;
    let mut walk =
        Walk { packet: packet.get(..end).unwrap_or_default(), named_at: NEXT_AT, at: HEADER };
    for _ in 0..=MAX_EXTENSIONS {
        match walk.kind() {
            Some(AH) => return Ok(Before { named_at: walk.named_at, at: walk.at, end }),
            Some(FRAGMENT) if !walk.is_whole() => return Err(Refusal::Fragment),
            Some(HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION) => walk.pass()?,
            _ => break,
        }
    }
    Err(Refusal::Malformed)
}

/// Returns where AH is to stand in a packet that goes out: behind what the way reads (§3.1.1).
///
/// # Errors
/// [`Refusal`] if it is a fragment, or not whole.
pub(super) fn gap(packet: &[u8]) -> Result<Before, Refusal> {
    let end = end(packet).ok_or(Refusal::Malformed)?;
    let mut walk =
        Walk { packet: packet.get(..end).unwrap_or_default(), named_at: NEXT_AT, at: HEADER };
    let mut gap = Before { named_at: NEXT_AT, at: HEADER, end };
    for _ in 0..=MAX_EXTENSIONS {
        match walk.kind() {
            Some(FRAGMENT) => return Err(Refusal::Fragment),
            Some(DESTINATION) => walk.pass()?,
            Some(HOP_BY_HOP | ROUTING) => {
                walk.pass()?;
                gap = Before { named_at: walk.named_at, at: walk.at, end };
            }
            _ => return Ok(gap),
        }
    }
    Err(Refusal::Malformed)
}

fn end(packet: &[u8]) -> Option<usize> {
    let payload = u16::from_be_bytes(*packet.get(4..)?.first_chunk()?);
    let end = HEADER + usize::from(payload);
    (end <= packet.len()).then_some(end)
}

/// The chain of extension headers, up to the one that stands at `at` and is named at `named_at`.
struct Walk<'packet> {
    packet: &'packet [u8],
    named_at: usize,
    at: usize,
}

impl Walk<'_> {
    fn kind(&self) -> Option<u8> {
        self.packet.get(self.named_at).copied()
    }

    /// Whether the fragment that stands here is a whole packet (RFC 6946).
    fn is_whole(&self) -> bool {
        let field = self.packet.get(self.at + 2..).and_then(<[u8]>::first_chunk::<2>);
        field.is_some_and(|field| u16::from_be_bytes(*field) & 0xfff9 == 0)
    }

    fn pass(&mut self) -> Result<(), Refusal> {
        let units = match self.kind() {
            Some(FRAGMENT) => 0,
            _ => usize::from(*self.packet.get(self.at + 1).ok_or(Refusal::Malformed)?),
        };
        let after = self.at + (units + 1) * 8;
        if after > self.packet.len() {
            return Err(Refusal::Malformed);
        }
        (self.named_at, self.at) = (self.at, after);
        Ok(())
    }
}

/// Takes a fragment header that fragments nothing out of a packet (App. A2).
pub(super) fn drop_fragment_header(packet: &mut Vec<u8>) -> Option<()> {
    let mut walk = Walk { packet, named_at: NEXT_AT, at: HEADER };
    for _ in 0..=MAX_EXTENSIONS {
        match walk.kind()? {
            FRAGMENT => break,
            HOP_BY_HOP | ROUTING | DESTINATION => walk.pass().ok()?,
            _ => return Some(()),
        }
    }
    let (named_at, at) = (walk.named_at, walk.at);
    *packet.get_mut(named_at)? = *packet.get(at)?;
    packet.drain(at..(at + FRAGMENT_OCTETS).min(packet.len()));
    let end = packet.len();
    finish(packet, end)
}

/// Zeroes what may change on the way. Of a packet that `is_sent`, destination and routing header
/// become what they will be in the end.
pub(super) fn settle(headers: &mut [u8], is_sent: bool) -> Option<()> {
    *headers.first_chunk_mut()? = [0x60, 0, 0, 0];
    *headers.get_mut(7)? = 0;
    let (mut kind, mut at) = (*headers.get(NEXT_AT)?, HEADER);
    while at < headers.len() {
        let (base, extensions) = headers.split_at_mut_checked(HEADER)?;
        let rest = extensions.get_mut(at - HEADER..)?;
        let octets = (usize::from(*rest.get(1)?) + 1) * 8;
        let extension = rest.get_mut(..octets)?;
        match kind {
            HOP_BY_HOP | DESTINATION => settle_options(extension.get_mut(2..)?)?,
            ROUTING if is_sent => settle_route(base, extension)?,
            _ => (),
        }
        kind = *extension.first()?;
        at += octets;
    }
    Some(())
}

fn settle_options(mut options: &mut [u8]) -> Option<()> {
    while let Some(&kind) = options.first() {
        let octets = if kind == PAD_1 { 1 } else { 2 + usize::from(*options.get(1)?) };
        let (option, rest) = options.split_at_mut_checked(octets)?;
        if kind & CHANGES != 0 {
            option.get_mut(2..)?.fill(0);
        }
        options = rest;
    }
    Some(())
}

/// Each hop puts its own address where it took the next one from (RFC 2460 §4.4, RFC 6275 §6.4). What
/// other kinds of routes will be in the end is not known.
fn settle_route(base: &mut [u8], extension: &mut [u8]) -> Option<()> {
    let [_, units, kind, left, ..] = *extension else { return None };
    if left == 0 {
        return Some(());
    }
    let count = usize::from(units) / 2;
    let first = count.checked_sub(usize::from(left))?;
    if !matches!(kind, 0 | 2) || units % 2 != 0 {
        return None;
    }
    *extension.get_mut(3)? = 0;
    let destination: &mut [u8; 16] = base.get_mut(24..)?.first_chunk_mut()?;
    let (addresses, _) = extension.get_mut(8..)?.as_chunks_mut::<16>();
    for address in addresses.get_mut(first..count)? {
        std::mem::swap(destination, address);
    }
    Some(())
}

/// Writes the length of a packet that ends at `end`.
pub(super) fn finish(packet: &mut [u8], end: usize) -> Option<()> {
    let payload = u16::try_from(end.checked_sub(HEADER)?).ok()?;
    *packet.get_mut(4..)?.first_chunk_mut()? = payload.to_be_bytes();
    Some(())
}

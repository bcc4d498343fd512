// SPDX-License-Identifier: Apache-2.0
//! Payloads in order into inner packets (RFC 9347 §2.2, §2.5).

use super::header::Payload;
use crate::error::Refusal;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The packet that is in parts. It is never longer than IP says, so memory has a bound.
#[derive(Default)]
pub(super) struct Assembly {
    partial: Vec<u8>,
}

impl Assembly {
    /// Takes the next payload, and calls `take` with each packet that is whole then, in order.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if the payload and what came before do not agree; packets that are
    /// whole are taken in any case (§2.5).
    pub(super) fn add(
        &mut self,
        payload: &Payload<'_>,
        take: &mut impl FnMut(&[u8]),
    ) -> Result<(), Refusal> {
        if payload.is_all_pad() {
            return Ok(());
        }
        let continued = self.go_on(payload, take);
        let blocks = payload.data.get(payload.offset..).unwrap_or_default();
        continued.and(self.begin(blocks, take))
    }

    /// Forgets the packet that is in parts: one of them is lost. Returns whether there was any.
    pub(super) fn lose(&mut self) -> bool {
        let was_some = !self.partial.is_empty();
        self.partial.clear();
        was_some
    }

    /// Adds what belongs to a packet that began before. If nothing did, its beginning was lost.
    fn go_on(
        &mut self,
        payload: &Payload<'_>,
        take: &mut impl FnMut(&[u8]),
    ) -> Result<(), Refusal> {
        if self.partial.is_empty() {
            return Ok(());
        }
        let part = payload.data.get(..payload.offset).unwrap_or(payload.data);
        self.partial.extend_from_slice(part);
        let left = payload.offset - part.len();
        let length = length_of(&self.partial).unwrap_or(Some(usize::MAX));
        match length {
            Some(length) if length == self.partial.len() && left == 0 && payload.offset > 0 => {
                take(&self.partial);
                self.partial.clear();
                Ok(())
            }
            Some(length) if length == self.partial.len().saturating_add(left) && left > 0 => Ok(()),
            // Not even its length is there yet.
            None if left > 0 => Ok(()),
            _ => {
                self.partial.clear();
                Err(Refusal::Malformed)
            }
        }
    }

    /// Takes the data blocks that begin in a payload.
    fn begin(&mut self, mut blocks: &[u8], take: &mut impl FnMut(&[u8])) -> Result<(), Refusal> {
        while let Some(first) = blocks.first()
            && first >> 4 != 0
        {
            match length_of(blocks)? {
                Some(length) if length <= blocks.len() => {
                    let (packet, rest) = blocks.split_at(length);
                    take(packet);
                    blocks = rest;
                }
                _ => {
                    self.partial.extend_from_slice(blocks);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Returns the length that a packet gives itself; `None` if that is not there yet.
///
/// # Errors
/// [`Refusal::Malformed`] if it is no IP packet, or shorter than its header.
fn length_of(octets: &[u8]) -> Result<Option<usize>, Refusal> {
    let number = |at: usize| {
        let field: Option<&[u8; 2]> = octets.get(at..).and_then(<[u8]>::first_chunk);
        field.map(|field| usize::from(u16::from_be_bytes(*field)))
    };
    match octets.first().map(|first| first >> 4) {
        Some(4) => {
            let header = octets.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
            let is_whole = |length: &usize| *length >= header && header >= IPV4_HEADER;
            number(2)
                .map(|length| Some(length).filter(is_whole).ok_or(Refusal::Malformed))
                .transpose()
        }
        Some(6) => Ok(number(4).map(|length| IPV6_HEADER + length)),
        _ => Err(Refusal::Malformed),
    }
}

// SPDX-License-Identifier: Apache-2.0
//! What ESP seals behind a packet (RFC 4303 §2.4 to §2.6).

use crate::transform::TRAILER;

/// The longest trailer: padding up to a block.
const MAX_TRAILER: usize = 15 + TRAILER;

/// Padding 1, 2, 3 …, its length and the next header (RFC 4303 §2.4 to §2.6).
pub(crate) struct Trailer {
    octets: [u8; MAX_TRAILER],
    length: usize,
}

impl Trailer {
    pub(crate) fn new(length: usize, next: u8) -> Self {
        let padding = length.saturating_sub(TRAILER);
        let mut octets = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0];
        if let Some(end) = octets.get_mut(padding..).and_then(<[u8]>::first_chunk_mut) {
            *end = [u8::try_from(padding).unwrap_or(0), next];
        }
        Self { octets, length }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

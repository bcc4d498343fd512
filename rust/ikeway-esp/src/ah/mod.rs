// SPDX-License-Identifier: Apache-2.0
//! AH: a whole IP packet is protected, its header with it, and nothing is encrypted (RFC 4302).

mod check;
mod header;
mod ipv4;
mod ipv6;
mod open;
mod outer;
mod seal;

use crate::error::InstallError;
use crate::suite::Suite;
use crate::transform::DirectionKeys;
use check::Check;

pub use header::spi;
pub(crate) use open::{low_sequence, payload, take_out};
pub(crate) use seal::Outgoing;

/// IP protocol number.
const AH: u8 = 51;
/// Next header, length, reserved, SPI and sequence number (RFC 4302 §2).
const FIXED: usize = 12;
/// With ESN the high half of the number follows the packet where the ICV is computed.
const HIGH_OCTETS: usize = 4;
/// More octets than AH adds to a packet: an outer header, the longest ICV and what pads it, and the
/// place that computing it takes.
pub(crate) const AH_ROOM: usize = 40 + FIXED + 32 + 4 + HIGH_OCTETS;

/// The keys of one direction, expanded once.
pub(crate) struct Ah {
    check: Check,
    icv_octets: usize,
    esn: bool,
}

impl Ah {
    /// # Errors
    /// [`InstallError`] if `suite` is none of AH, or the key is not as long as it wants.
    pub(crate) fn new(suite: Suite, keys: &DirectionKeys, esn: bool) -> Result<Self, InstallError> {
        suite.check_keys(keys)?;
        let (encr, key_bits, integ) = suite.codes();
        let check = suite.integrity.and_then(|row| {
            let check = Check::new(&row.family, &keys.integ)?;
            Some(Self { check, icv_octets: usize::from(row.icv_octets), esn })
        });
        check.ok_or(InstallError::UnknownSuite { encr, key_bits, integ })
    }

    /// Returns how long the header is: a multiple of 4 octets over IPv4, of 8 over IPv6 (§2.6).
    const fn header_octets(&self, is_ipv4: bool) -> usize {
        // DEVIATION RFC 4543 §4: AES-GMAC has padding over IPv6, though "no padding is required" there:
        // with 12 octets before it the header would not be aligned as RFC 4302 §2.6 wants it.
        let alignment = if is_ipv4 { 4 } else { 8 };
        (FIXED + self.icv_octets).next_multiple_of(alignment)
    }
}

#[cfg(test)]
mod tests;

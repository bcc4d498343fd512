// SPDX-License-Identifier: Apache-2.0
//! IP payload compression under ESP, by DEFLATE (RFC 3173, RFC 2394).
//!
//! Each packet is compressed by itself, so that any may be lost. One that would not get smaller goes
//! as it is, without an IPComp header, and so either kind comes in (RFC 3173 §2.2).

mod compressor;
mod expander;
mod rest;

pub use compressor::Compressor;
pub use expander::Expander;

use crate::error::Refusal;
use crate::outbound::OutboundSa;

/// IPComp as a next header.
pub(crate) const IPCOMP: u8 = 108;

/// Next header, flags and index (RFC 3173 §3.3).
const HEADER: usize = 4;

/// The compression of a pair of SAs: the index that each side has chosen for what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipcomp {
    /// Ours.
    pub cpi_in: u16,
    /// The peer's.
    pub cpi_out: u16,
}

impl Ipcomp {
    fn header(self, next: u8) -> [u8; HEADER] {
        let [high, low] = self.cpi_out.to_be_bytes();
        [next, 0, high, low]
    }

    /// Returns the next header and what is compressed; flags are ignored (RFC 3173 §3.3).
    ///
    /// # Errors
    /// [`Refusal::NotExpanded`] if the index is not the one that we gave the peer.
    fn read(self, payload: &[u8]) -> Result<(u8, &[u8]), Refusal> {
        let ([next, _, high, low], packed) =
            payload.split_first_chunk::<HEADER>().ok_or(Refusal::NotExpanded)?;
        let is_ours = u16::from_be_bytes([*high, *low]) == self.cpi_in;
        if is_ours && *next != IPCOMP { Ok((*next, packed)) } else { Err(Refusal::NotExpanded) }
    }
}

impl OutboundSa {
    /// Does what [`OutboundSa::seal`] does, with compression where that makes the packet smaller.
    ///
    /// # Errors
    /// Those of [`OutboundSa::seal`].
    pub fn seal_compressed(
        &self,
        ipcomp: Ipcomp,
        compressor: &mut Compressor,
        inner: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        let (next, payload) = self.payload(inner)?;
        let flow = rest::flow(self.spi(), inner);
        let Some(packed) = compressor.compress(flow, ipcomp.header(next), payload) else {
            return self.seal_payload(payload, next, buffer);
        };
        let length = self.seal_payload(packed, IPCOMP, buffer)?;
        self.counters().compressed(payload.len(), packed.len());
        Ok(length)
    }
}

#[cfg(test)]
mod tests;

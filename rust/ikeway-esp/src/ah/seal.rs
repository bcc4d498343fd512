// SPDX-License-Identifier: Apache-2.0
//! Putting AH into a packet that goes out (RFC 4302 §3.3).

use std::net::IpAddr;

use super::check::Check;
use super::header::Before;
use super::{AH, Ah, FIXED, HIGH_OCTETS, ipv4, ipv6, outer};
use crate::congestion::traffic_class;
use crate::error::Refusal;
use crate::inner::next_header;
use crate::sequence::{SendCounter, halves};

/// The headers before AH of a packet in transport mode; longer ones are not sent.
const MAX_BEFORE: usize = 256;

/// An outbound SA, as far as AH needs to know it.
pub(crate) struct Outgoing<'sa> {
    pub(crate) spi: u32,
    pub(crate) path: (IpAddr, IpAddr),
    pub(crate) is_transport: bool,
    pub(crate) sequence: &'sa SendCounter,
}

/// What goes behind AH, and what it is; where AH is.
struct Outline<'packet> {
    at: usize,
    next: u8,
    payload: &'packet [u8],
}

impl Outline<'_> {
    /// Writes AH, without its ICV, and the payload, and finishes the header before them.
    fn fill(&self, spi: u32, sequence: u64, buffer: &mut [u8], end: usize) -> Option<()> {
        let payload_at = end.checked_sub(self.payload.len())?;
        let header = buffer.get_mut(self.at..payload_at)?;
        header.fill(0);
        let words = u8::try_from(header.len() / 4).ok()?.checked_sub(2)?;
        let [_, low] = halves(sequence);
        let (fixed, _) = header.split_first_chunk_mut::<FIXED>()?;
        (fixed[0], fixed[1]) = (self.next, words);
        fixed[4..8].copy_from_slice(&spi.to_be_bytes());
        fixed[8..].copy_from_slice(&low.to_be_bytes());
        buffer.get_mut(payload_at..end)?.copy_from_slice(self.payload);
        if buffer.first()? >> 4 == 4 {
            ipv4::identify(buffer, sequence)?;
            return ipv4::finish(buffer, end);
        }
        ipv6::finish(buffer, end)
    }
}

impl Ah {
    /// Returns the length of the packet that carries `inner` octets.
    pub(crate) fn sealed_length(&self, outgoing: &Outgoing<'_>, inner: usize) -> usize {
        let (local, _) = outgoing.path;
        let outer = if outgoing.is_transport { 0 } else { outer::octets(local) };
        outer + self.header_octets(local.is_ipv4()) + inner
    }

    /// Writes the whole IP packet that carries `inner` to the beginning of `buffer`, and returns its
    /// length.
    ///
    /// # Errors
    /// [`Refusal`] as [`crate::OutboundSa::seal`], and [`Refusal::Fragment`] if transport mode cannot
    /// carry it.
    pub(crate) fn seal(
        &self,
        outgoing: &Outgoing<'_>,
        inner: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        let is_ipv4 = outgoing.path.0.is_ipv4();
        let outline = if outgoing.is_transport {
            part(inner, is_ipv4, buffer)
        } else {
            wrap(outgoing, inner, buffer)
        }?;
        let payload_at = outline.at + self.header_octets(is_ipv4);
        let end = payload_at + outline.payload.len();
        if buffer.len() < end + HIGH_OCTETS || end > usize::from(u16::MAX) {
            return Err(Refusal::TooLong);
        }
        let sequence = outgoing.sequence.next().ok_or(Refusal::SequenceExhausted)?;
        outline.fill(outgoing.spi, sequence, buffer, end).ok_or(Refusal::TooLong)?;
        self.sign(sequence, outline.at, buffer, end).ok_or(Refusal::Fragment)?;
        Ok(end)
    }

    /// Writes the ICV; octets behind the packet are written over.
    fn sign(&self, sequence: u64, at: usize, buffer: &mut [u8], end: usize) -> Option<()> {
        let is_ipv4 = buffer.first()? >> 4 == 4;
        let mut kept = [0; MAX_BEFORE];
        let kept = kept.get_mut(..at)?;
        kept.copy_from_slice(buffer.get(..at)?);
        settle(is_ipv4, buffer.get_mut(..at)?, true)?;
        let [high, _] = halves(sequence);
        *buffer.get_mut(end..)?.first_chunk_mut()? = high.to_be_bytes();
        let signed = if self.esn { end + HIGH_OCTETS } else { end };
        let icv = self.check.compute(Check::iv(sequence), buffer.get(..signed)?)?;
        buffer.get_mut(..at)?.copy_from_slice(kept);
        let place = buffer.get_mut(at + FIXED..)?.get_mut(..self.icv_octets)?;
        place.copy_from_slice(icv.get(..self.icv_octets)?);
        Some(())
    }
}

/// Zeroes, in the headers before AH, what may change on the way.
pub(super) fn settle(is_ipv4: bool, headers: &mut [u8], is_sent: bool) -> Option<()> {
    if is_ipv4 { ipv4::settle(headers, is_sent) } else { ipv6::settle(headers, is_sent) }
}

/// Tunnel mode: writes the outer header.
fn wrap<'packet>(
    outgoing: &Outgoing<'_>,
    inner: &'packet [u8],
    buffer: &mut [u8],
) -> Result<Outline<'packet>, Refusal> {
    let next = next_header(inner).ok_or(Refusal::NotIp)?;
    outer::write(outgoing.path, traffic_class(inner), buffer).ok_or(Refusal::TooLong)?;
    Ok(Outline { at: outer::octets(outgoing.path.0), next, payload: inner })
}

/// Transport mode: copies the headers that stand before AH.
fn part<'packet>(
    packet: &'packet [u8],
    is_ipv4: bool,
    buffer: &mut [u8],
) -> Result<Outline<'packet>, Refusal> {
    if packet.first().is_none_or(|first| first >> 4 != if is_ipv4 { 4 } else { 6 }) {
        return Err(Refusal::NotIp);
    }
    let gap = if is_ipv4 { ipv4::before(packet) } else { ipv6::gap(packet) }?;
    let Before { named_at, at, end } = gap;
    let (headers, payload) = packet
        .get(..end)
        .and_then(|packet| packet.split_at_checked(at))
        .ok_or(Refusal::Malformed)?;
    buffer.get_mut(..at).ok_or(Refusal::TooLong)?.copy_from_slice(headers);
    let name = buffer.get_mut(named_at).ok_or(Refusal::Malformed)?;
    let next = std::mem::replace(name, AH);
    Ok(Outline { at, next, payload })
}

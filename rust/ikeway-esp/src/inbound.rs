// SPDX-License-Identifier: Apache-2.0
//! Opening: one inbound SA (RFC 4303 §3.4, RFC 4302 §3.4, RFC 4301 §5.2).

mod sorting;
mod stream;

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::aggfrag::Reassembly;
use crate::ah;
use crate::congestion::carry_congestion;
use crate::counters::Counters;
use crate::ends::Ends;
use crate::error::{InstallError, Refusal};
use crate::form::Form;
use crate::fragments::Sorter;
use crate::inner::{Flow, IPV4, IPV6, inner_length, next_header};
use crate::ipcomp::{Expander, IPCOMP};
use crate::outer::Outer;
use crate::padding::DUMMY;
use crate::replay::Window;
use crate::shape::Shape;
use crate::terms::Terms;
use crate::transform::{Direction, DirectionKeys, ESP_HEADER, Shared, TRAILER};

/// An SA that we receive on. Its window has one owner, so opening needs `&mut self`.
pub struct InboundSa {
    terms: Arc<Terms>,
    spi: u32,
    awaits_proof: bool,
    window: Window,
    form: Form,
    ends: Option<Ends>,
    delivery: Delivery,
    rare: Option<Box<Rare>>,
}

/// What few SAs have.
#[derive(Default)]
struct Rare {
    stream: Option<Reassembly>,
    /// Of an SA that tells ports apart and takes later fragments.
    sorter: Option<Sorter>,
}

/// Where the packets are that go on, which is decided when the SA is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Within what was received: see [`InboundSa::admit`].
    Within,
    /// They are made anew: see [`InboundSa::rebuild`].
    Anew,
    /// There may be several, or none, in the payloads of a stream: see [`InboundSa::unpack`].
    Stream,
    /// Within what was received, but fragments may wait for their first one: see
    /// [`InboundSa::sort`].
    Sorted,
}

/// A packet that nobody but the peer can have made, deciphered where it stands.
#[derive(Debug)]
pub struct Verified {
    plaintext: Range<usize>,
    is_newest: bool,
    number: u64,
}

impl InboundSa {
    /// Returns an SA with an empty replay window of `window` packets; 0 switches anti-replay off.
    ///
    /// # Errors
    /// [`InstallError`] if the SPI is reserved, a key does not fit the suite or the window is out
    /// of range.
    pub fn new(shared: Shared, keys: &DirectionKeys, window: u32) -> Result<Self, InstallError> {
        shared.check_spi()?;
        let form = Form::new(&Direction::Open, shared.suite, keys, shared.esn)?;
        let window = Window::new(window, shared.esn)?;
        let Shared { spi, terms, .. } = shared;
        let is_whole = terms.hosts.is_none() && terms.ipcomp.is_none();
        let delivery = if is_whole { Delivery::Within } else { Delivery::Anew };
        let (awaits_proof, ends, rare) = (false, None, None);
        let sa = Self { terms, spi, awaits_proof, window, form, ends, delivery, rare };
        Ok(if sa.terms.policy.is_opaque() { sa.sorting(Sorter::default()) } else { sa })
    }

    /// Returns the SA with its packets in a stream (RFC 9347). In transport mode there is none, and
    /// nothing in a stream is compressed.
    #[must_use]
    pub fn streamed(self, reassembly: Reassembly) -> Self {
        if !self.is_tunnel() {
            return self;
        }
        let mut rare = self.rare.unwrap_or_default();
        rare.stream = Some(reassembly);
        Self { delivery: Delivery::Stream, rare: Some(rare), ..self }
    }

    /// Returns where the packets are that go on.
    #[must_use]
    pub const fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Returns our SPI.
    #[must_use]
    pub const fn spi(&self) -> u32 {
        self.spi
    }

    /// Whether it is AH: see [`InboundSa::verify_ah`].
    #[must_use]
    pub const fn is_ah(&self) -> bool {
        matches!(self.form, Form::Ah(_))
    }

    /// Returns the counters of the pair of SAs.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.terms.counters
    }

    /// Returns what the other half of the pair does to outer headers.
    #[must_use]
    pub fn outer(&self) -> &Outer {
        &self.terms.outer
    }

    /// Makes the next packet that verifies a proof that the peer can use the pair.
    pub const fn await_proof(&mut self) {
        self.awaits_proof = true;
    }

    /// Returns whether a packet that has verified is the proof that was awaited; only one is.
    pub const fn take_proof(&mut self, _: &Verified) -> bool {
        std::mem::replace(&mut self.awaits_proof, false)
    }

    /// Sets where the peer's packets come from.
    pub fn expect_from(&mut self, ends: Ends) {
        self.ends = Some(ends);
    }

    /// Returns whether the peer is at `source` now instead of where it was expected.
    ///
    /// Only a packet newer than all before says so: an old one may have been held back, and sent
    /// from anywhere (RFC 7296 §2.23). Where there are no ports, ESP is in no UDP: no NAT is there that
    /// could move anybody.
    #[must_use]
    pub fn has_moved(&self, verified: &Verified, source: SocketAddr) -> bool {
        let has_ports = |peer: SocketAddr| peer.port() != 0 && source.port() != 0;
        let is_elsewhere = |peer| has_ports(peer) && peer != source;
        verified.is_newest && self.ends.as_ref().map(Ends::peer).is_some_and(is_elsewhere)
    }

    /// Opens a packet of a tunnel where it stands and returns where in it the inner packet is.
    ///
    /// The order is that of RFC 4303 §3.4: number, integrity, window, padding, next header,
    /// selectors. After a refusal the octets are to be thrown away.
    ///
    /// # Errors
    /// [`Refusal`] says why the packet goes no further. Only a packet with a valid ICV changes the
    /// window.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<Range<usize>, Refusal> {
        let verified = self.verify(packet)?;
        self.admit(&verified, packet)
    }

    /// Does the first half of [`InboundSa::open`], up to the window.
    ///
    /// # Errors
    /// [`Refusal`] says why the packet goes no further.
    #[inline]
    pub fn verify(&mut self, packet: &mut [u8]) -> Result<Verified, Refusal> {
        let transform = self.form.esp()?;
        let plaintext = body(transform.shape(), packet.len())?;
        let low = low_sequence(packet).ok_or(Refusal::Malformed)?;
        let pending = self.window.check(low).ok_or(Refusal::Replayed)?;
        transform.open(pending.sequence(), packet).map_err(|_| Refusal::IntegrityFailed)?;
        let (is_newest, number) = (pending.is_newest(), pending.sequence());
        pending.accept();
        Ok(Verified { plaintext, is_newest, number })
    }

    /// Checks the AH of an IP packet, whole from its header on. `scratch` may be used again for the
    /// next one.
    ///
    /// # Errors
    /// [`Refusal`] says why the packet goes no further (RFC 4302 §3.4). Only a packet with a valid
    /// ICV changes the window.
    pub fn verify_ah(&mut self, packet: &[u8], scratch: &mut Vec<u8>) -> Result<Verified, Refusal> {
        let ah = self.form.ah()?;
        let (_, plaintext) = ah::payload(packet)?;
        if !ah.fits(packet) {
            return Err(Refusal::Malformed);
        }
        let pending = self.window.check(ah::low_sequence(packet)?).ok_or(Refusal::Replayed)?;
        let outcome = ah.verify(pending.sequence(), packet, scratch);
        outcome.map_err(|_| Refusal::IntegrityFailed)?;
        let (is_newest, number) = (pending.is_newest(), pending.sequence());
        pending.accept();
        Ok(Verified { plaintext, is_newest, number })
    }

    /// Does the second half for AH, and returns where in the octets the packet is that goes on: in
    /// tunnel mode the inner one, in transport mode that of the host, its AH taken out.
    ///
    /// # Errors
    /// [`Refusal`] says why the packet goes no further.
    pub fn admit_ah(
        &self,
        verified: &Verified,
        packet: &mut [u8],
    ) -> Result<Range<usize>, Refusal> {
        let Range { start, end } = verified.plaintext;
        if !self.is_tunnel() {
            let place = ah::take_out(packet)?;
            self.check(packet.get(place.clone()).ok_or(Refusal::Malformed)?)?;
            return Ok(place);
        }
        let (next, _) = ah::payload(packet)?;
        let length = self.inner(packet.get(start..end).ok_or(Refusal::Malformed)?, next)?;
        Ok(start..start + length)
    }

    /// Returns whether it is in tunnel mode.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.terms.hosts.is_none()
    }

    /// Does the second half in transport mode and where there is compression: puts the IP packet that
    /// the host gets at the end of `buffer`. `class` is the octet of the outer header with
    /// differentiated services and ECN.
    ///
    /// # Errors
    /// [`Refusal`] says why the packet goes no further; then `buffer` is as it was.
    pub fn rebuild(
        &self,
        verified: &Verified,
        packet: &[u8],
        class: u8,
        expander: &mut Expander,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let plaintext = packet.get(verified.plaintext.clone()).ok_or(Refusal::Malformed)?;
        let (next, payload) = self.payload(plaintext, expander)?;
        let start = buffer.len();
        let rebuilt = match &self.terms.hosts {
            Some(hosts) => hosts
                .rebuild(next, payload, class, buffer)
                .and_then(|()| self.check(buffer.get(start..).unwrap_or_default())),
            None => self.inner(payload, next).and_then(|length| {
                buffer.extend_from_slice(payload.get(..length).unwrap_or_default());
                carry_congestion(buffer.get_mut(start..).unwrap_or_default(), class)
            }),
        };
        if rebuilt.is_err() {
            buffer.truncate(start);
        }
        rebuilt
    }

    /// Returns the next header and the payload of a plaintext, expanded if it is compressed.
    fn payload<'place>(
        &self,
        plaintext: &'place [u8],
        expander: &'place mut Expander,
    ) -> Result<(u8, &'place [u8]), Refusal> {
        let (payload, next) = cut_trailer(plaintext)?;
        let (next, payload) = match self.terms.ipcomp {
            Some(ipcomp) if next == IPCOMP => {
                let (next, plain) = expander.expand(ipcomp, payload)?;
                self.counters().expanded(plain.len(), payload.len());
                (next, plain)
            }
            _ => (next, payload),
        };
        if next == DUMMY { Err(Refusal::Dummy) } else { Ok((next, payload)) }
    }

    /// Does the second half in tunnel mode, and returns where in the packet the inner packet is.
    ///
    /// # Errors
    /// [`Refusal`] says why the packet goes no further.
    #[inline]
    pub fn admit(&self, verified: &Verified, packet: &[u8]) -> Result<Range<usize>, Refusal> {
        let Range { start, end } = verified.plaintext;
        let (payload, next) = cut_trailer(packet.get(start..end).ok_or(Refusal::Malformed)?)?;
        let length = self.inner(payload, next)?;
        Ok(start..start + length)
    }

    /// Returns the length of the inner packet; what follows it is padding, also for traffic flow
    /// confidentiality.
    #[inline]
    fn inner(&self, payload: &[u8], next: u8) -> Result<usize, Refusal> {
        let length = self.length(payload, next)?;
        self.check(payload.get(..length).ok_or(Refusal::Malformed)?)?;
        Ok(length)
    }

    #[inline]
    fn length(&self, payload: &[u8], next: u8) -> Result<usize, Refusal> {
        match next {
            DUMMY => return Err(Refusal::Dummy),
            _ if !self.is_tunnel() => return Err(Refusal::NotIp),
            IPV4 | IPV6 if next_header(payload) == Some(next) => (),
            IPV4 | IPV6 => return Err(Refusal::Malformed),
            _ => return Err(Refusal::NotIp),
        }
        inner_length(payload)
    }

    #[inline]
    fn check(&self, inner: &[u8]) -> Result<(), Refusal> {
        if Flow::judge(inner, |flow| self.terms.policy.admits(flow))? {
            Ok(())
        } else {
            Err(Refusal::SelectorMismatch)
        }
    }
}

/// Where the ciphertext is: whole blocks, and at least the trailer (RFC 4303 §2.4).
fn body(shape: Shape, length: usize) -> Result<Range<usize>, Refusal> {
    let start = ESP_HEADER + shape.iv_octets();
    let end = length.checked_sub(shape.icv_octets()).ok_or(Refusal::Malformed)?;
    let octets = end.checked_sub(start).ok_or(Refusal::Malformed)?;
    let is_whole = octets >= TRAILER && shape.aligned(octets) == octets;
    if is_whole { Ok(start..end) } else { Err(Refusal::Malformed) }
}

/// Returns the number's low half as it stands in the header (RFC 4303 §2.2).
fn low_sequence(packet: &[u8]) -> Option<u32> {
    let octets = packet.get(4..)?.first_chunk()?;
    Some(u32::from_be_bytes(*octets))
}

/// Returns the payload and the next header, when the padding counts 1, 2, 3 … (RFC 4303 §2.4).
fn cut_trailer(plaintext: &[u8]) -> Result<(&[u8], u8), Refusal> {
    let (rest, [padding, next]) = plaintext.split_last_chunk().ok_or(Refusal::Malformed)?;
    let length = rest.len().checked_sub(usize::from(*padding)).ok_or(Refusal::BadPadding)?;
    let (payload, padding) = rest.split_at_checked(length).ok_or(Refusal::BadPadding)?;
    let is_counting = padding.iter().zip(1_u8..).all(|(seen, wanted)| *seen == wanted);
    if is_counting { Ok((payload, *next)) } else { Err(Refusal::BadPadding) }
}

#[cfg(test)]
mod tests;

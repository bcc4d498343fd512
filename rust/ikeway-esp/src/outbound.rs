// SPDX-License-Identifier: Apache-2.0
//! Sealing: one outbound SA (RFC 4303 §3.3, RFC 4302 §3.3).

mod following;
mod hiding;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::aggfrag::Backlog;
use crate::ah::{AH_ROOM, Outgoing};
use crate::cbc::IvSource;
use crate::counters::Counters;
use crate::ends::Ends;
use crate::error::{InstallError, Refusal};
use crate::form::Form;
use crate::inner::next_header;
use crate::ipcomp::Ipcomp;
use crate::nearness::Nearness;
use crate::order::Order;
use crate::outer::Outer;
use crate::padding::Padding;
use crate::selector::Policy;
use crate::sequence::{SendCounter, halves};
use crate::shape::{Iv, Shape};
use crate::terms::Terms;
use crate::trailer::Trailer;
use crate::transform::{Direction, DirectionKeys, ESP_HEADER, Shared, TRAILER, Transform};
use crate::transport::Hosts;

/// More octets than sealing adds before and after an inner packet, with any suite.
pub const SEAL_ROOM: usize = if AH_ROOM > ESP_ROOM { AH_ROOM } else { ESP_ROOM };
const ESP_ROOM: usize = ESP_HEADER + 16 + 15 + TRAILER + 32;

/// By how much padding makes the length of two packets differ.
const ROUNDING: usize = 16;

/// An SA that we send on, from `local` to `peer`.
///
/// Several threads may have a handle of the same SA each: numbers, keys and counters are one, and no
/// number is used twice. Where packets leave from and go to, and how near it is, is each one's own.
#[derive(Clone)]
pub struct OutboundSa {
    terms: Arc<Terms>,
    sealing: Arc<Sealing>,
    ends: Ends,
    order: Order,
}

/// What seals, the same for all who send on the SA.
struct Sealing {
    spi: u32,
    sequence: SendCounter,
    form: Form,
    rare: Option<Box<Rare>>,
    /// The least octets of inner packet that one is padded to.
    least: u16,
    /// Whether later fragments may follow a first one that has the right ports.
    follows: bool,
    has_begun: AtomicBool,
}

/// What few SAs have, which is decided when one is made.
#[derive(Default)]
struct Rare {
    /// Where they cannot be the packets' numbers.
    ivs: Option<IvSource>,
    hiding: Option<Hiding>,
}

/// What ESP seals so that the packets do not show.
enum Hiding {
    /// A packet, and padding behind it.
    Padded(Padding),
    /// Payloads of a stream; packets wait until they are in one (RFC 9347).
    Stream(Backlog),
}

impl OutboundSa {
    /// Returns an SA whose first packet has the number `after + 1`; a new SA starts `after` 0.
    ///
    /// `iv_seed` is random: IVs that must be unpredictable come from it.
    ///
    /// # Errors
    /// [`InstallError`] if the SPI is reserved or a key does not fit the suite.
    pub fn new(
        shared: Shared,
        path: impl Into<Ends>,
        keys: &DirectionKeys,
        iv_seed: &[u8; 16],
        after: u64,
    ) -> Result<Self, InstallError> {
        shared.check_spi()?;
        let form = Form::new(&Direction::Seal, shared.suite, keys, shared.esn)?;
        let sequence = SendCounter::new(after, shared.esn);
        let is_random = matches!(shared.suite.shape().iv(), Iv::Random(_));
        let with_ivs = || Rare { ivs: Some(IvSource::new(iv_seed)), hiding: None };
        let rare = is_random.then(|| Box::new(with_ivs()));
        let has_begun = AtomicBool::new(false);
        let (spi, least, follows) = (shared.spi, 0, false);
        let sealing = Sealing { spi, sequence, form, rare, least, follows, has_begun };
        let (sealing, order) = (Arc::new(sealing), Order::of(Nearness::default()));
        Ok(Self { terms: shared.terms, sealing, ends: path.into(), order })
    }

    #[inline]
    fn hiding(&self) -> Option<&Hiding> {
        self.sealing.rare.as_ref()?.hiding.as_ref()
    }

    /// Returns whether the peer can receive, so that also what no packet asks for may be sent.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.sealing.has_begun.load(Ordering::Relaxed)
    }

    /// Makes that so, for all who send on the SA.
    pub(crate) fn begin(&self) {
        self.sealing.has_begun.store(true, Ordering::Relaxed);
    }

    /// Returns how many packets were sealed, whatever is in them.
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.sealing.sequence.last()
    }

    /// Returns a handle of this SA for a thread that it is so near to.
    #[must_use]
    pub fn handle(&self, nearness: Nearness) -> Self {
        Self { order: Order::of(nearness), ..self.clone() }
    }

    /// Returns its place among those that select the same.
    pub(crate) const fn order(&self) -> Order {
        self.order
    }

    /// Makes it the so many'th that came into a table.
    pub(crate) const fn place(&mut self, installed: u64, is_standby: bool) {
        self.order = self.order.at(installed, is_standby);
    }

    /// Returns what is done to the outer headers.
    #[must_use]
    pub fn outer(&self) -> &Outer {
        &self.terms.outer
    }

    /// Returns the address and port that packets leave from, and those that they go to.
    #[must_use]
    pub fn path(&self) -> (SocketAddr, SocketAddr) {
        self.ends.both()
    }

    /// Changes where packets leave from and go to. Numbers and keys go on as they were.
    pub fn migrate(&mut self, ends: Ends) {
        self.ends = ends;
    }

    /// Returns the same, as it may be given to the other half.
    #[must_use]
    pub const fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Returns the peer's SPI.
    #[must_use]
    pub fn spi(&self) -> u32 {
        self.sealing.spi
    }

    /// Returns the selectors of the pair of SAs.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.terms.policy
    }

    /// Returns the counters of the pair of SAs.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.terms.counters
    }

    /// Whether it is AH, whose packets are whole, with an IP header, and go through a socket of
    /// their own.
    #[must_use]
    pub fn is_ah(&self) -> bool {
        matches!(self.sealing.form, Form::Ah(_))
    }

    /// Returns at least as many octets as an inner packet of that length takes once it is sealed.
    #[must_use]
    pub fn room(&self, inner: usize) -> usize {
        inner.max(self.sealing.least.into()) + SEAL_ROOM
    }

    /// Returns the length of the packet that carries `inner` octets: of ESP without, of AH with the
    /// IP header.
    #[must_use]
    pub fn sealed_length(&self, inner: usize) -> usize {
        self.plain_length(inner.max(self.sealing.least.into()))
    }

    /// Returns the same of one that is not padded to hide its length.
    fn plain_length(&self, inner: usize) -> usize {
        match &self.sealing.form {
            Form::Esp(transform) => esp_length(transform.shape(), inner),
            Form::Ah(ah) => ah.sealed_length(&self.outgoing(), inner),
        }
    }

    /// Returns the compression of the pair, if it has any; AH has none, nor has what is padded.
    #[must_use]
    pub fn ipcomp(&self) -> Option<Ipcomp> {
        let is_padded = || matches!(self.hiding(), Some(Hiding::Padded(_)));
        self.terms.ipcomp.filter(|_| !self.is_ah() && !is_padded())
    }

    /// Whether it is for the hosts themselves.
    #[must_use]
    pub fn is_transport(&self) -> bool {
        self.terms.hosts.is_some()
    }

    /// Returns the longest inner packet that is sealed to at most `room` octets; what would be padded
    /// to more is for [`OutboundSa::seal_within`].
    #[must_use]
    pub fn longest_inner(&self, room: usize) -> usize {
        let near = room.saturating_sub(self.plain_length(0));
        let around = near.saturating_sub(ROUNDING)..=near + ROUNDING;
        let inner = around.rev().find(|inner| self.plain_length(*inner) <= room).unwrap_or(0);
        let is_cut = self.is_transport() && !self.is_ah();
        let header = if self.ends.is_ipv4() { 20 } else { 40 };
        if is_cut { inner + header } else { inner }
    }

    /// Seals `inner` into the beginning of `buffer`, and returns the length of the packet there. AH
    /// takes four octets more while it works.
    ///
    /// # Errors
    /// [`Refusal::SequenceExhausted`] for good when the last number was used, [`Refusal::TooLong`]
    /// if `buffer` has no room, [`Refusal::NotIp`] if `inner` is no IP packet.
    pub fn seal(&self, inner: &[u8], buffer: &mut [u8]) -> Result<usize, Refusal> {
        if inner.len() > usize::from(u16::MAX) {
            return Err(Refusal::TooLong);
        }
        let transform = match &self.sealing.form {
            Form::Esp(transform) => transform,
            Form::Ah(ah) => return ah.seal(&self.outgoing(), inner, buffer),
        };
        let (next, inner) = match self.hiding() {
            None if self.is_transport() => Hosts::unwrap(inner)?,
            None => (next_header(inner).ok_or(Refusal::NotIp)?, inner),
            Some(Hiding::Padded(padding)) => {
                let next = next_header(inner).ok_or(Refusal::NotIp)?;
                let trailer = padding.after(inner.len(), next);
                return self.seal_padded(transform, inner, trailer, next, buffer);
            }
            // On such an SA there are payloads only (RFC 9347 §2.3).
            Some(Hiding::Stream(_)) => return Err(Refusal::NotIp),
        };
        self.enclose(transform, inner, next, buffer)
    }

    /// Returns the next header and what is sealed of a packet that is not padded: all of it, in
    /// transport mode without its IP header.
    pub(crate) fn payload<'packet>(
        &self,
        inner: &'packet [u8],
    ) -> Result<(u8, &'packet [u8]), Refusal> {
        if inner.len() > usize::from(u16::MAX) {
            return Err(Refusal::TooLong);
        }
        if self.is_transport() {
            return Hosts::unwrap(inner);
        }
        Ok((next_header(inner).ok_or(Refusal::NotIp)?, inner))
    }

    /// Seals a payload, whatever it is.
    ///
    /// # Errors
    /// Those of [`OutboundSa::seal`].
    pub(crate) fn seal_payload(
        &self,
        payload: &[u8],
        next: u8,
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        self.enclose(self.sealing.form.esp()?, payload, next, buffer)
    }

    #[inline]
    fn enclose(
        &self,
        transform: &Transform,
        inner: &[u8],
        next: u8,
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        let trailer =
            Trailer::new(padded_length(transform.shape(), inner.len()) - inner.len(), next);
        self.protect(transform, inner, trailer.octets(), buffer)
    }

    /// Seals what fills whole blocks: `trailer` has all that follows `inner`.
    #[inline]
    fn protect(
        &self,
        transform: &Transform,
        inner: &[u8],
        trailer: &[u8],
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        let shape = transform.shape();
        let body = inner.len() + trailer.len();
        let length = ESP_HEADER + shape.iv_octets() + body + shape.icv_octets();
        let packet = buffer.get_mut(..length).ok_or(Refusal::TooLong)?;
        let sequence = self.sealing.sequence.next().ok_or(Refusal::SequenceExhausted)?;
        self.write_header(shape, sequence, packet).ok_or(Refusal::TooLong)?;
        transform.seal(sequence, inner, trailer, packet).ok_or(Refusal::TooLong)?;
        Ok(packet.len())
    }

    fn outgoing(&self) -> Outgoing<'_> {
        let (local, peer) = self.path();
        Outgoing {
            spi: self.sealing.spi,
            path: (local.ip(), peer.ip()),
            is_transport: self.is_transport(),
            sequence: &self.sealing.sequence,
        }
    }

    /// Writes SPI, number and IV.
    fn write_header(&self, shape: Shape, sequence: u64, packet: &mut [u8]) -> Option<()> {
        let [_, low] = halves(sequence);
        let (header, rest) = packet.split_first_chunk_mut::<ESP_HEADER>()?;
        *header = (u64::from(self.sealing.spi) << 32 | u64::from(low)).to_be_bytes();
        match shape.iv() {
            Iv::Counter => *rest.first_chunk_mut()? = sequence.to_be_bytes(),
            Iv::Random(octets) => {
                let ivs = self.sealing.rare.as_ref()?.ivs.as_ref()?;
                let octets = usize::from(octets);
                rest.get_mut(..octets)?.copy_from_slice(ivs.iv(sequence).get(..octets)?);
            }
            Iv::None | Iv::Implicit => (),
        }
        Some(())
    }
}

const fn esp_length(shape: Shape, inner: usize) -> usize {
    ESP_HEADER + shape.iv_octets() + padded_length(shape, inner) + shape.icv_octets()
}

const fn padded_length(shape: Shape, inner: usize) -> usize {
    shape.aligned(inner + TRAILER)
}

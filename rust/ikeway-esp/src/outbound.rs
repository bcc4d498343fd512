// SPDX-License-Identifier: Apache-2.0
//! Sealing: one outbound SA (RFC 4303 §3.3).

use std::net::SocketAddr;

use crate::cbc::IvSource;
use crate::counters::Counters;
use crate::error::{InstallError, Refusal};
use crate::inner::next_header;
use crate::selector::Policy;
use crate::sequence::{SendCounter, halves};
use crate::shape::Iv;
use crate::transform::{Direction, DirectionKeys, ESP_HEADER, Shared, TRAILER, Transform};
use crate::transport::Hosts;

/// More octets than sealing adds before and after an inner packet, with any suite.
pub const SEAL_ROOM: usize = ESP_HEADER + 16 + 15 + TRAILER + 32;

/// The longest trailer: padding up to a block.
const MAX_TRAILER: usize = 15 + TRAILER;

/// An SA that we send on, from `local` to `peer`.
pub struct OutboundSa {
    shared: Shared,
    local: SocketAddr,
    peer: SocketAddr,
    sequence: SendCounter,
    transform: Transform,
    ivs: Option<Box<IvSource>>,
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
        (local, peer): (SocketAddr, SocketAddr),
        keys: &DirectionKeys,
        iv_seed: &[u8; 16],
        after: u64,
    ) -> Result<Self, InstallError> {
        shared.check_spi()?;
        let transform = Transform::new(&Direction::Seal, shared.suite, keys, shared.esn)?;
        let sequence = SendCounter::new(after, shared.esn);
        let is_random = matches!(transform.shape().iv(), Iv::Random(_));
        let ivs = is_random.then(|| Box::new(IvSource::new(iv_seed)));
        Ok(Self { shared, local, peer, sequence, transform, ivs })
    }

    /// Returns the address and port that packets leave from, and those that they go to.
    #[must_use]
    pub const fn path(&self) -> (SocketAddr, SocketAddr) {
        (self.local, self.peer)
    }

    /// Changes where packets leave from and go to. Numbers and keys go on as they were.
    pub(crate) const fn migrate(&mut self, (local, peer): (SocketAddr, SocketAddr)) {
        self.local = local;
        self.peer = peer;
    }

    /// Returns the peer's SPI.
    #[must_use]
    pub const fn spi(&self) -> u32 {
        self.shared.spi
    }

    /// Returns the selectors of the pair of SAs.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// Returns the counters of the pair of SAs.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Returns the length of the ESP packet that carries `inner` octets.
    #[must_use]
    pub fn sealed_length(&self, inner: usize) -> usize {
        let shape = self.transform.shape();
        ESP_HEADER + shape.iv_octets() + self.padded_length(inner) + shape.icv_octets()
    }

    /// Seals `inner` into the beginning of `buffer`, and returns the length of the packet there.
    ///
    /// # Errors
    /// [`Refusal::SequenceExhausted`] for good when the last number was used, [`Refusal::TooLong`]
    /// if `buffer` has no room, [`Refusal::NotIp`] if `inner` is no IP packet.
    pub fn seal(&self, inner: &[u8], buffer: &mut [u8]) -> Result<usize, Refusal> {
        if inner.len() > usize::from(u16::MAX) {
            return Err(Refusal::TooLong);
        }
        let (next, inner) = self.payload(inner)?;
        let packet = buffer.get_mut(..self.sealed_length(inner.len())).ok_or(Refusal::TooLong)?;
        let trailer = Trailer::new(self.padded_length(inner.len()) - inner.len(), next);
        let sequence = self.sequence.next().ok_or(Refusal::SequenceExhausted)?;
        self.write_header(sequence, packet).ok_or(Refusal::TooLong)?;
        self.transform.seal(sequence, inner, trailer.octets(), packet).ok_or(Refusal::TooLong)?;
        Ok(packet.len())
    }

    /// Returns the next header and what is sealed of a packet: all of it, in transport mode without
    /// its IP header.
    fn payload<'packet>(&self, inner: &'packet [u8]) -> Result<(u8, &'packet [u8]), Refusal> {
        if self.shared.hosts.is_some() {
            return Hosts::unwrap(inner);
        }
        Ok((next_header(inner).ok_or(Refusal::NotIp)?, inner))
    }

    fn padded_length(&self, inner: usize) -> usize {
        self.transform.shape().aligned(inner + TRAILER)
    }

    /// Writes SPI, number and IV.
    fn write_header(&self, sequence: u64, packet: &mut [u8]) -> Option<()> {
        let [_, low] = halves(sequence);
        let (header, rest) = packet.split_first_chunk_mut::<ESP_HEADER>()?;
        *header = (u64::from(self.shared.spi) << 32 | u64::from(low)).to_be_bytes();
        match (self.transform.shape().iv(), &self.ivs) {
            (Iv::Counter, _) => *rest.first_chunk_mut()? = sequence.to_be_bytes(),
            (Iv::Random(octets), Some(ivs)) => {
                let octets = usize::from(octets);
                rest.get_mut(..octets)?.copy_from_slice(ivs.iv(sequence).get(..octets)?);
            }
            (Iv::Random(_), None) => return None,
            (Iv::None | Iv::Implicit, _) => (),
        }
        Some(())
    }
}

/// Padding 1, 2, 3 …, its length and the next header (RFC 4303 §2.4 to §2.6).
struct Trailer {
    octets: [u8; MAX_TRAILER],
    length: usize,
}

impl Trailer {
    fn new(length: usize, next: u8) -> Self {
        let padding = length.saturating_sub(TRAILER);
        let mut octets = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0];
        if let Some(end) = octets.get_mut(padding..).and_then(<[u8]>::first_chunk_mut) {
            *end = [u8::try_from(padding).unwrap_or(0), next];
        }
        Self { octets, length }
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Payloads of one size at a constant rate, whatever there is to send (RFC 9347).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ikeway_esp::{OutboundSa, Packer, Refusal, Rhythm};

use super::Desk;
use crate::path_mtu::headers;

/// What an SA sends of a stream, and when.
pub(crate) struct Stream {
    rhythm: Rhythm,
    /// How long its packets are to be, IP header and all.
    wanted: usize,
    /// How long they are, and the peer's address for which that was settled.
    fitted: (usize, SocketAddr),
    packer: Packer,
    payload: Vec<u8>,
    /// Whether another one carries its packets now: it ends with what has begun.
    is_leaving: bool,
}

impl Stream {
    /// Returns a stream of packets of so many octets, if an SA can have one.
    pub(crate) fn new(
        sa: &OutboundSa,
        every: Duration,
        wanted: usize,
        may_fragment: bool,
    ) -> Option<Self> {
        let (_, peer) = sa.path();
        let packer = Packer::new(payload_of(sa, wanted)?, may_fragment)?;
        let fitted = (wanted, peer);
        let rhythm = Rhythm::new(every);
        Some(Self { rhythm, wanted, fitted, packer, payload: Vec::new(), is_leaving: false })
    }

    /// Returns the longest inner packet that it carries.
    pub(crate) const fn longest(&self) -> usize {
        self.packer.longest()
    }

    pub(super) const fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// Sends the next payload, whatever there is to send: nobody is to see whether there is.
    pub(super) fn send(&mut self, sa: &OutboundSa, desk: &mut Desk<'_>) -> Result<(), Refusal> {
        let backlog = sa.backlog().ok_or(Refusal::NoSa)?;
        self.fit(sa, desk);
        if self.is_leaving && backlog.is_empty() && !self.packer.is_within_a_packet() {
            return Ok(());
        }
        let packed = self.packer.fill(&mut self.payload, || backlog.pop());
        sa.counters().sent.add(packed.packets, packed.octets);
        for _ in 0..packed.dropped {
            sa.counters().refuse(Refusal::TooLong);
            desk.reporter.refuse_own(Refusal::TooLong);
        }
        desk.sender.send_payload(sa, &self.payload)
    }

    /// Returns when the packet after that of `due` leaves.
    pub(super) fn next(&mut self, due: Instant, now: Instant) -> Instant {
        due + self.rhythm.step(now.saturating_duration_since(due))
    }

    /// Makes packets as long as the path to the peer carries, as far as that is known. Their rate
    /// stays.
    fn fit(&mut self, sa: &OutboundSa, desk: &Desk<'_>) {
        let is_free = sa.outer().is_fragmentable(&[]);
        let carried = desk.paths.longest_outer(sa).filter(|_| !is_free);
        let octets = carried.map_or(self.wanted, |most| self.wanted.min(most));
        let (before, peer) = (self.fitted.0, sa.path().1);
        if self.fitted == (octets, peer) {
            return;
        }
        self.fitted = (octets, peer);
        if let (Some(payload), Some(backlog)) = (payload_of(sa, octets), sa.backlog()) {
            self.packer.resize(payload);
            backlog.limit(self.packer.longest());
        }
        if octets != before {
            desk.reporter.resized(sa.counters().budget.pair(), octets);
        }
    }
}

/// Returns how long a payload of a stream is whose packets have at most so many octets.
fn payload_of(sa: &OutboundSa, octets: usize) -> Option<usize> {
    let (_, peer) = sa.path();
    sa.payload_within(octets.checked_sub(headers(peer))?)
}

// SPDX-License-Identifier: Apache-2.0
//! Payloads of one size at a constant rate, whatever there is to send (RFC 9347).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ikeway_esp::{
    Backlog, Congestion, CongestionInfo, Legacy, OutboundSa, Packer, Refusal, Rhythm, StreamState,
};

use super::Desk;
use crate::clock;
use crate::events::StreamNews;
use crate::path_mtu::headers;

/// How long packets may wait for their place, and the least and most octets of them.
const MOMENT: Duration = Duration::from_millis(125);
const LEAST_BACKLOG: usize = 1 << 16;
const MOST_BACKLOG: usize = 1 << 24;
const MOST_WAITING: f64 = 1e6;

/// What an SA sends of a stream, and when.
pub(crate) struct Stream {
    rhythm: Rhythm,
    /// How long its packets are to be, IP header and all.
    wanted: usize,
    /// How long they are, and the peer's address for which that was settled.
    fitted: (usize, SocketAddr),
    packer: Packer,
    /// Where the two ends tell each other of congestion.
    congestion: Option<Congestion>,
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
        congestion: Option<Congestion>,
    ) -> Option<Self> {
        let packer = Packer::new(payload_of(sa, wanted)?, may_fragment)?;
        let packer = if congestion.is_some() { packer.reporting() } else { packer };
        Some(Self {
            rhythm: Rhythm::new(congestion.as_ref().and_then(Congestion::every).unwrap_or(every)),
            wanted,
            fitted: (wanted, sa.path().1),
            packer,
            congestion,
            payload: Vec::new(),
            is_leaving: false,
        })
    }

    /// Returns the SA with room for the packets that wait, and for as long ones as it carries.
    pub(crate) fn join(&self, sa: OutboundSa) -> OutboundSa {
        sa.streamed(self.room(), self.packer.longest())
    }

    /// Returns how many octets may wait: as many as leave in a moment.
    fn room(&self) -> usize {
        let packets = MOMENT.div_duration_f64(self.rhythm.every()).clamp(0.0, MOST_WAITING);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
        let packets = packets as usize;
        packets.saturating_mul(self.fitted.0).clamp(LEAST_BACKLOG, MOST_BACKLOG)
    }

    /// Returns what it knows of the path.
    pub(super) fn legacy(&self) -> Option<Legacy> {
        self.congestion.as_ref().map(Congestion::legacy)
    }

    /// Begins with what another one knew of the path.
    pub(super) fn inherit(&mut self, legacy: &Legacy) {
        if let Some(congestion) = &mut self.congestion {
            congestion.inherit(legacy);
        }
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
        let info = self.listen(sa, backlog, desk);
        sa.counters().streams(self.state());
        let packed = self.packer.fill_telling(&info, &mut self.payload, || backlog.pop());
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

    /// Follows what the peer reports, and returns what is to be told it.
    fn listen(&mut self, sa: &OutboundSa, backlog: &Backlog, desk: &Desk<'_>) -> CongestionInfo {
        let Some(congestion) = &mut self.congestion else { return CongestionInfo::default() };
        let info = congestion.next(self.rhythm.every(), clock::now());
        if let Some(turn) = congestion.take_turn() {
            desk.reporter.of_stream(sa.counters().budget.pair(), StreamNews::Turned(turn));
        }
        if let Some(every) = congestion.every()
            && every != self.rhythm.every()
        {
            self.rhythm.set(every);
            backlog.bound(self.room());
        }
        info
    }

    /// Returns what is known of it.
    fn state(&self) -> StreamState {
        let every = self.rhythm.every();
        let constant = StreamState { every, rtt: None, loss_event_rate: None, is_open: None };
        self.congestion.as_ref().map_or(constant, |congestion| congestion.state(every))
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
            desk.reporter.of_stream(sa.counters().budget.pair(), StreamNews::Resized(octets));
        }
    }
}

/// Returns how long a payload of a stream is whose packets have at most so many octets.
fn payload_of(sa: &OutboundSa, octets: usize) -> Option<usize> {
    let (_, peer) = sa.path();
    sa.payload_within(octets.checked_sub(headers(peer))?)
}

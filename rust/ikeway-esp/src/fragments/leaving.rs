// SPDX-License-Identifier: Apache-2.0
//! Which SA a later fragment leaves on: that of its first one, where the peer agreed (RFC 4301 §7.3).

use std::sync::Arc;
use std::time::Duration;

use super::piece::Piece;
use super::tracker::Tracker;
use crate::error::Refusal;
use crate::inner::{Flow, Port};
use crate::outbound::OutboundSa;
use crate::table::OutboundTable;

/// Datagrams of all hosts that are in the middle.
pub(crate) const MAX_LEAVING: usize = 1024;

/// Where the first fragment went: its selectors, and the SPI of the inbound half of its SA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    flow: Flow,
    spi_in: u32,
}

/// What becomes of a packet that leaves.
pub enum Leaving {
    /// It goes as a packet with these selectors, and behind it those that waited for it.
    With(Flow, Vec<Vec<u8>>),
    /// It has these selectors, and its first fragment went on this SA, which has a successor that the
    /// peer does not know the first fragment by.
    Behind(Flow, Arc<OutboundSa>),
    /// It waits for the first fragment.
    Waits,
}

impl OutboundTable {
    /// Whether an SA wants later fragments behind their first ones.
    #[must_use]
    #[inline]
    pub const fn tracks(&self) -> bool {
        self.fragments.is_some()
    }

    /// Whether one does, and a packet is to be given to [`OutboundTable::sort`]: others are no fragments.
    #[must_use]
    #[inline]
    pub fn sorts(&self, packet: &[u8]) -> bool {
        self.tracks() && !Piece::is_none_of(packet)
    }

    /// Returns what becomes of a packet whose own selectors are `flow`. `now` is since any fixed
    /// moment, and asked for only where there are fragments.
    ///
    /// # Errors
    /// [`Refusal`] if it goes no further.
    pub fn sort(
        &mut self,
        flow: Flow,
        packet: &[u8],
        now: impl FnOnce() -> Duration,
    ) -> Result<Leaving, Refusal> {
        match Piece::read(packet)? {
            None => Ok(Leaving::With(flow, Vec::new())),
            Some(piece) if piece.is_first() => self.lead(&piece, flow, now()),
            Some(piece) => self.follow(&piece, (flow, packet), now()),
        }
    }

    /// Gives up fragments that have waited long enough. Returns how many went, since the last time.
    pub fn give_up(&mut self, now: impl FnOnce() -> Duration) -> u64 {
        let Some(tracker) = &mut self.fragments else { return 0 };
        if !tracker.is_idle() {
            tracker.forget(now());
        }
        tracker.take_lost()
    }

    fn lead(&mut self, piece: &Piece, flow: Flow, now: Duration) -> Result<Leaving, Refusal> {
        let spi_in = self.permits(&flow).then(|| self.bearer(&flow)).flatten();
        let waited = match (&mut self.fragments, spi_in) {
            (Some(tracker), Some(spi_in)) => tracker.lead(piece, Way { flow, spi_in }, now)?,
            // Refused by who looks for its SA, or kept until there is one.
            _ => Vec::new(),
        };
        Ok(Leaving::With(flow, waited))
    }

    fn follow(
        &mut self,
        piece: &Piece,
        (flow, packet): (Flow, &[u8]),
        now: Duration,
    ) -> Result<Leaving, Refusal> {
        let Some(tracker) = &mut self.fragments else { return Err(Refusal::StrayFragment) };
        match tracker.follow(piece, now) {
            Ok(first) if self.permits(&first.flow) => Ok(self.behind(first)),
            Ok(_) => Err(Refusal::Discarded),
            // On an SA for all ports, or for none that show (§7.1, §7.2).
            Err(Refusal::StrayFragment) if self.find(&flow).is_some() => {
                Ok(Leaving::With(flow, Vec::new()))
            }
            Err(Refusal::StrayFragment) => {
                let held = self.fragments.as_mut().map(|tracker| tracker.hold(piece, packet, now));
                held.unwrap_or(Err(Refusal::StrayFragment)).map(|()| Leaving::Waits)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Returns the way of a later fragment: that of its first one for as long as that is there.
    fn behind(&self, Way { flow, spi_in }: Way) -> Leaving {
        match self.held(spi_in).filter(|sa| sa.takes_later(&flow)) {
            Some(sa) if self.find(&flow).is_some_and(|newest| newest.spi() != sa.spi()) => {
                Leaving::Behind(flow, Arc::clone(sa))
            }
            _ => {
                let found = self.find(&flow).is_some_and(|sa| sa.takes_later(&flow));
                Leaving::With(if found { flow } else { without_ports(flow) }, Vec::new())
            }
        }
    }
}

/// Returns the selectors of a later fragment of a packet that has these.
pub(crate) const fn without_ports(first: Flow) -> Flow {
    Flow { source_port: Port::Hidden, destination_port: Port::Hidden, ..first }
}

/// Returns what sorts the fragments of a table, if `wanted`: what it knows already stays.
pub(crate) fn tracker(old: Option<Box<Tracker<Way>>>, wanted: bool) -> Option<Box<Tracker<Way>>> {
    wanted.then(|| old.unwrap_or_else(|| Box::new(Tracker::new(MAX_LEAVING))))
}

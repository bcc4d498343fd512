// SPDX-License-Identifier: Apache-2.0
//! What a thread that receives keeps of streams, and of fragments: which of them wait for something, and
//! where the packets of the last payload are (RFC 9347 §2.5, RFC 4301 §7.3).

use std::ops::Range;
use std::time::Duration;

use ikeway_esp::{Expander, InboundSa, Refusal, Verified};
use rustix::event::Timespec;

use crate::clock::now;

/// One SA's payload at a time is unpacked; those that wait are few.
pub(crate) struct Streams {
    /// Inbound SPIs, and when each is given up waiting for.
    waiting: Vec<(u32, Duration)>,
    places: Vec<Range<usize>>,
    outcome: Result<(), Refusal>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { waiting: Vec::new(), places: Vec::new(), outcome: Ok(()) }
    }
}

impl Streams {
    /// Puts the packets of a payload at the end of `buffer`; it came with the class of its outer
    /// header.
    pub(crate) fn unpack(
        &mut self,
        sa: &mut InboundSa,
        verified: &Verified,
        packet: (&[u8], u8),
        buffer: &mut Vec<u8>,
    ) {
        self.outcome = sa.unpack(verified, packet, now(), (buffer, &mut self.places));
        self.note(sa);
    }

    /// Returns where in `packet` the inner one is, if it may pass at once; others that pass, such as
    /// fragments, are put at the end of `buffer`.
    pub(crate) fn sort(
        &mut self,
        sa: &mut InboundSa,
        verified: &Verified,
        (packet, class): (&[u8], u8),
        (expander, buffer): (&mut Expander, &mut Vec<u8>),
    ) -> Option<Range<usize>> {
        let room = (buffer, &mut self.places);
        match sa.sort(verified, (packet, class), expander, now, room) {
            Ok(Some(place)) => return Some(place),
            outcome => self.outcome = outcome.map(|_| ()),
        }
        self.note(sa);
        None
    }

    /// Does the same for AH, of which all is put there.
    pub(crate) fn sort_ah(
        &mut self,
        sa: &mut InboundSa,
        verified: &Verified,
        (packet, class): (&mut [u8], u8),
        buffer: &mut Vec<u8>,
    ) {
        self.outcome = sa.sort_ah(verified, (packet, class), now(), (buffer, &mut self.places));
        self.note(sa);
    }

    /// Puts the packets that waited for another one at the end of `buffer`.
    pub(crate) fn give_up(&mut self, sa: &mut InboundSa, buffer: &mut Vec<u8>) {
        self.outcome = sa.give_up(now(), (buffer, &mut self.places));
        self.note(sa);
    }

    /// Returns whether something of that was refused.
    pub(crate) fn outcome(&mut self) -> Result<(), Refusal> {
        std::mem::replace(&mut self.outcome, Ok(()))
    }

    /// Returns where these packets are, once.
    pub(crate) fn places(&mut self) -> Vec<Range<usize>> {
        std::mem::take(&mut self.places)
    }

    /// Returns how long nothing has to be given up; none is for ever.
    pub(crate) fn wait(&self) -> Option<Timespec> {
        let first = self.waiting.iter().map(|(_, deadline)| *deadline).min()?;
        first.saturating_sub(now()).try_into().ok()
    }

    /// Takes those that have waited long enough.
    pub(crate) fn due(&mut self) -> Vec<u32> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let now = now();
        self.waiting.extract_if(.., |(_, deadline)| *deadline <= now).map(|(spi, _)| spi).collect()
    }

    fn note(&mut self, sa: &InboundSa) {
        self.waiting.retain(|(spi, _)| *spi != sa.spi());
        self.waiting.extend(sa.deadline().map(|deadline| (sa.spi(), deadline)));
    }
}

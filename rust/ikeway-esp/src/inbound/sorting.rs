// SPDX-License-Identifier: Apache-2.0
//! Opening on an SA that tells ports apart: later fragments follow their first one (RFC 4301 §7).

use std::ops::Range;
use std::time::Duration;

use super::{Delivery, InboundSa, Verified};
use crate::ah;
use crate::congestion::carry_congestion;
use crate::error::Refusal;
use crate::fragments::{Piece, Sorter};
use crate::ipcomp::Expander;

impl InboundSa {
    /// Returns the SA with later fragments following their first one, which has the ports (RFC 4301
    /// §7.3). Where selectors have none there is nothing to follow, and transport mode has no
    /// fragments.
    #[must_use]
    pub fn following(self) -> Self {
        let has_ports = self.terms.policy.has_ports();
        if has_ports { self.sorting(Sorter::tracking()) } else { self }
    }

    pub(super) fn sorting(self, sorter: Sorter) -> Self {
        if !self.is_tunnel() {
            return self;
        }
        let mut rare = self.rare.unwrap_or_default();
        let delivery = if rare.stream.is_some() { Delivery::Stream } else { Delivery::Sorted };
        rare.sorter = Some(sorter);
        Self { delivery, rare: Some(rare), ..self }
    }

    /// Does the second half where fragments are told apart. Returns where in `packet` the inner one is
    /// if it is whole and passes; what else passes is put at the end of `buffer`, and where it is at that
    /// of `places`. `now` is since any fixed moment.
    ///
    /// # Errors
    /// [`Refusal`] says why something goes no further; the other packets do.
    pub fn sort(
        &mut self,
        verified: &Verified,
        (packet, class): (&[u8], u8),
        expander: &mut Expander,
        now: impl FnOnce() -> Duration,
        room: (&mut Vec<u8>, &mut Vec<Range<usize>>),
    ) -> Result<Option<Range<usize>>, Refusal> {
        let Range { start, end } = verified.plaintext;
        let plaintext = packet.get(start..end).ok_or(Refusal::Malformed)?;
        let (next, payload) = self.payload(plaintext, expander)?;
        let length = self.length(payload, next)?;
        let inner = payload.get(..length).ok_or(Refusal::Malformed)?;
        if self.terms.ipcomp.is_none() && Piece::read(inner)?.is_none() {
            self.check(inner)?;
            return Ok(Some(start..start + length));
        }
        let mut inner = inner.to_vec();
        carry_congestion(&mut inner, class)?;
        self.sort_inner(&inner, now(), room).map(|()| None)
    }

    /// Does the same for AH, whose inner packet, if it passes, is put at the end of `buffer`.
    ///
    /// # Errors
    /// [`Refusal`] says why something goes no further; the other packets do.
    pub fn sort_ah(
        &mut self,
        verified: &Verified,
        (packet, class): (&mut [u8], u8),
        now: Duration,
        room: (&mut Vec<u8>, &mut Vec<Range<usize>>),
    ) -> Result<(), Refusal> {
        let (next, _) = ah::payload(packet)?;
        let payload = packet.get_mut(verified.plaintext.clone()).ok_or(Refusal::Malformed)?;
        let length = self.length(payload, next)?;
        let inner = payload.get_mut(..length).ok_or(Refusal::Malformed)?;
        carry_congestion(inner, class)?;
        self.sort_inner(inner, now, room)
    }

    fn sort_inner(
        &mut self,
        inner: &[u8],
        now: Duration,
        (buffer, places): (&mut Vec<u8>, &mut Vec<Range<usize>>),
    ) -> Result<(), Refusal> {
        let sorter = self.rare.as_mut().and_then(|rare| rare.sorter.as_mut());
        let sorter = sorter.ok_or(Refusal::Malformed)?;
        let outcome = sorter.sort(&self.terms.policy, inner, now, |octets| {
            let start = buffer.len();
            buffer.extend_from_slice(octets);
            places.push(start..buffer.len());
        });
        self.count_strays();
        outcome
    }

    /// Gives up fragments that waited for their first one long enough.
    pub(super) fn forget_fragments(&mut self, now: Duration) -> Result<(), Refusal> {
        let Some(sorter) = self.sorter() else { return Ok(()) };
        sorter.forget(now);
        let strays = self.count_strays();
        if strays > 0 { Err(Refusal::StrayFragment) } else { Ok(()) }
    }

    fn sorter(&mut self) -> Option<&mut Sorter> {
        self.rare.as_mut()?.sorter.as_mut()
    }

    /// Counts fragments that were given up.
    fn count_strays(&mut self) -> u64 {
        let strays = self.sorter().map_or(0, Sorter::take_lost);
        (0..strays).for_each(|_| self.counters().refuse(Refusal::StrayFragment));
        strays
    }
}

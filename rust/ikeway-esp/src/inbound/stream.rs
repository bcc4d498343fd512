// SPDX-License-Identifier: Apache-2.0
//! Opening payloads of a stream, which have several inner packets, or parts of one (RFC 9347 §2.2).

use std::ops::Range;
use std::time::Duration;

use super::{InboundSa, Rare, Verified, cut_trailer};
use crate::aggfrag::{AGGFRAG, Reassembly};
use crate::congestion::is_congested;
use crate::error::Refusal;
use crate::fragments::Sorter;
use crate::inner::Flow;
use crate::padding::DUMMY;
use crate::selector::Policy;

impl InboundSa {
    /// Does the second half for a stream: puts the IP packets that are whole now at the end of
    /// `buffer`, and where they are at that of `places`. `class` is the octet of the outer header with
    /// ECN, `now` since any fixed moment.
    ///
    /// # Errors
    /// [`Refusal`] says why something goes no further; the other packets do.
    #[cold]
    pub fn unpack(
        &mut self,
        verified: &Verified,
        (packet, class): (&[u8], u8),
        now: Duration,
        (buffer, places): (&mut Vec<u8>, &mut Vec<Range<usize>>),
    ) -> Result<(), Refusal> {
        let Rare { stream, sorter } = self.rare.as_deref_mut().ok_or(Refusal::Malformed)?;
        let stream = stream.as_mut().ok_or(Refusal::Malformed)?;
        let plaintext = packet.get(verified.plaintext.clone()).ok_or(Refusal::Malformed)?;
        let (payload, next) = cut_trailer(plaintext)?;
        match next {
            AGGFRAG => (),
            DUMMY => return Err(Refusal::Dummy),
            _ => return Err(Refusal::NotIp),
        }
        stream.note(verified.number, payload, is_congested(class), now);
        let (policy, sorter) = (&self.terms.policy, sorter.as_mut());
        let mut taker = Taker { policy, sorter, now, buffer, places, result: Ok(()) };
        let lost = stream.lost();
        let added = stream.add(verified.number, payload, now, |inner| taker.take(inner));
        let gap = if stream.lost() > lost { Err(Refusal::Gap) } else { Ok(()) };
        added.and(taker.result).and(gap)
    }

    /// Returns when [`InboundSa::give_up`] is to be called, unless something comes before.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let rare = self.rare.as_ref()?;
        let stream = rare.stream.as_ref().and_then(Reassembly::deadline);
        let fragments = rare.sorter.as_ref().and_then(Sorter::deadline);
        stream.into_iter().chain(fragments).min()
    }

    /// Goes on without what was waited for long enough, as [`InboundSa::unpack`] does.
    ///
    /// # Errors
    /// [`Refusal`] says why something goes no further; the other packets do.
    pub fn give_up(
        &mut self,
        now: Duration,
        (buffer, places): (&mut Vec<u8>, &mut Vec<Range<usize>>),
    ) -> Result<(), Refusal> {
        let strays = self.forget_fragments(now);
        let Some(Rare { stream: Some(stream), sorter }) = self.rare.as_deref_mut() else {
            return strays;
        };
        let (policy, sorter) = (&self.terms.policy, sorter.as_mut());
        let mut taker = Taker { policy, sorter, now, buffer, places, result: Ok(()) };
        let lost = stream.lost();
        let added = stream.give_up(now, |inner| taker.take(inner));
        let gap = if stream.lost() > lost { Err(Refusal::Gap) } else { Ok(()) };
        added.and(taker.result).and(gap).and(strays)
    }
}

/// Takes the packets of a stream that the selectors cover (RFC 4301 §5.2).
struct Taker<'sa> {
    policy: &'sa Policy,
    sorter: Option<&'sa mut Sorter>,
    now: Duration,
    buffer: &'sa mut Vec<u8>,
    places: &'sa mut Vec<Range<usize>>,
    result: Result<(), Refusal>,
}

impl Taker<'_> {
    fn take(&mut self, inner: &[u8]) {
        let Self { policy, sorter, now, buffer, places, .. } = self;
        let mut keep = |octets: &[u8]| {
            let start = buffer.len();
            buffer.extend_from_slice(octets);
            places.push(start..buffer.len());
        };
        let taken = match sorter {
            Some(sorter) => sorter.sort(policy, inner, *now, keep),
            None => match Flow::judge(inner, |flow| policy.admits(flow)) {
                Ok(true) => {
                    keep(inner);
                    Ok(())
                }
                Ok(false) => Err(Refusal::SelectorMismatch),
                Err(refusal) => Err(refusal),
            },
        };
        if taken.is_err() {
            self.result = taken;
        }
    }
}

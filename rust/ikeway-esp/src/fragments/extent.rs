// SPDX-License-Identifier: Apache-2.0
//! Which octets of a datagram have passed (RFC 815's holes, seen from the other side).

use std::ops::Range;

use crate::error::Refusal;

/// Parts that do not touch each other; who sends more of them means no good.
const MAX_PARTS: usize = 16;

/// The octets of a datagram that have passed: in order, apart from each other.
#[derive(Debug, Default)]
pub(super) struct Extent {
    parts: Vec<(u16, u16)>,
    /// Where the datagram ends, once its last fragment has passed.
    end: Option<u16>,
}

impl Extent {
    /// Takes a fragment.
    ///
    /// # Errors
    /// [`Refusal::BadFragment`] if octets of it have passed before, or are beyond the end, or there
    /// are too many gaps; then nothing changes.
    pub(super) fn take(&mut self, span: &Range<usize>, is_last: bool) -> Result<(), Refusal> {
        let place = |at: usize| u16::try_from(at).map_err(|_| Refusal::BadFragment);
        let (start, end) = (place(span.start)?, place(span.end)?);
        let behind = self.parts.partition_point(|(_, other)| *other <= start);
        let is_free = self.parts.get(behind).is_none_or(|(other, _)| end <= *other);
        let is_within = match self.end {
            Some(last) => end <= last && !is_last,
            None => !is_last || behind == self.parts.len(),
        };
        if !is_free || !is_within {
            return Err(Refusal::BadFragment);
        }
        self.join(behind, (start, end))?;
        if is_last {
            self.end = Some(end);
        }
        Ok(())
    }

    /// Whether nothing of the datagram is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.end.is_some_and(|end| self.parts == [(0, end)])
    }

    /// Puts a part before the one at `place`, and joins it with those that it touches.
    fn join(&mut self, place: usize, (start, end): (u16, u16)) -> Result<(), Refusal> {
        let before = place.checked_sub(1).filter(|before| self.ends_at(*before, start));
        let is_followed = self.parts.get(place).is_some_and(|(other, _)| *other == end);
        match (before, is_followed) {
            (Some(before), true) => {
                let (_, end) = self.parts.remove(place);
                self.stretch(before, end);
            }
            (Some(before), false) => self.stretch(before, end),
            (None, true) => {
                if let Some(part) = self.parts.get_mut(place) {
                    part.0 = start;
                }
            }
            (None, false) if self.parts.len() < MAX_PARTS => self.parts.insert(place, (start, end)),
            (None, false) => return Err(Refusal::BadFragment),
        }
        Ok(())
    }

    fn ends_at(&self, place: usize, at: u16) -> bool {
        self.parts.get(place).is_some_and(|(_, end)| *end == at)
    }

    fn stretch(&mut self, place: usize, end: u16) {
        if let Some(part) = self.parts.get_mut(place) {
            part.1 = end;
        }
    }
}

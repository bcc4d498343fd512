// SPDX-License-Identifier: Apache-2.0
//! Which way the first fragment of a datagram went, for those that follow (RFC 4301 §7.3).

use std::time::Duration;

use super::extent::Extent;
use super::piece::Piece;
use super::shelf::Shelf;
use crate::error::Refusal;
use crate::inner::Flow;

/// How long later fragments may follow the first (RFC 791 §3.2).
pub(super) const AGE: Duration = Duration::from_secs(15);
/// How long later fragments wait for the first, which another way may have delayed.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Datagrams of which later fragments wait: those come out of order, and are few.
pub(super) const MAX_WAITING: usize = 32;
/// Octets that wait.
pub(super) const MAX_HELD: usize = 1 << 16;

/// The datagrams that fragments are seen of.
///
/// Those whose first fragment passed and those that wait for one have places of their own: who sends
/// later fragments without any first hurts nobody whose fragments come in order. `T` is what is kept
/// of a first fragment for those that follow.
#[derive(Debug)]
pub struct Tracker<T = Flow> {
    known: Shelf<Course<T>>,
    waiting: Shelf<Vec<Vec<u8>>>,
    held: usize,
    lost: u64,
}

/// What is kept of the first fragment, and what has passed of the datagram.
#[derive(Debug)]
struct Course<T> {
    first: T,
    extent: Extent,
}

impl<T: Copy> Tracker<T> {
    /// Returns what remembers so many datagrams whose last fragment has not passed.
    #[must_use]
    pub const fn new(known: usize) -> Self {
        let waiting = Shelf::new(MAX_WAITING);
        Self { known: Shelf::new(known), waiting, held: 0, lost: 0 }
    }

    /// Takes a first fragment, which may pass, and returns the later ones that waited for it: they
    /// are to be given to [`Tracker::follow`]. `now` is since any fixed moment.
    ///
    /// # Errors
    /// [`Refusal::BadFragment`] if it is one again.
    pub fn lead(
        &mut self,
        piece: &Piece,
        first: T,
        now: Duration,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        self.forget(now);
        if self.known.get_mut(&piece.datagram).is_some() {
            return Err(Refusal::BadFragment);
        }
        let mut extent = Extent::default();
        extent.take(&piece.span, piece.is_last)?;
        self.known.put(piece.datagram, Course { first, extent }, now);
        let waited = self.waiting.remove(&piece.datagram).unwrap_or_default();
        self.held = self.held.saturating_sub(octets_of(&waited));
        Ok(waited)
    }

    /// Takes a later fragment. Returns what was kept of the first one.
    ///
    /// # Errors
    /// [`Refusal::StrayFragment`] if no first one is known: see [`Tracker::hold`].
    /// [`Refusal::BadFragment`] if it overlaps with what has passed.
    pub fn follow(&mut self, piece: &Piece, now: Duration) -> Result<T, Refusal> {
        self.forget(now);
        let course = self.known.get_mut(&piece.datagram).ok_or(Refusal::StrayFragment)?;
        course.extent.take(&piece.span, piece.is_last)?;
        let first = course.first;
        if course.extent.is_whole() {
            self.known.remove(&piece.datagram);
        }
        Ok(first)
    }

    /// Has a later fragment wait for the first.
    ///
    /// # Errors
    /// [`Refusal::StrayFragment`] if there is no room.
    pub fn hold(&mut self, piece: &Piece, octets: &[u8], now: Duration) -> Result<(), Refusal> {
        self.forget(now);
        if self.held + octets.len() > MAX_HELD {
            return Err(Refusal::StrayFragment);
        }
        self.held += octets.len();
        if let Some(others) = self.waiting.get_mut(&piece.datagram) {
            others.push(octets.to_vec());
        } else {
            let gone = self.waiting.put(piece.datagram, vec![octets.to_vec()], now);
            self.lose(gone);
        }
        Ok(())
    }

    /// Whether there is nothing that time could change.
    pub(crate) fn is_idle(&self) -> bool {
        self.known.is_empty() && self.waiting.is_empty()
    }

    /// Gives up those that have waited long enough.
    pub fn forget(&mut self, now: Duration) {
        while let Some(gone) = self.waiting.take_before(now.saturating_sub(PATIENCE)) {
            self.lose(Some(gone));
        }
        while self.known.take_before(now.saturating_sub(AGE)).is_some() {}
    }

    /// Returns when [`Tracker::forget`] finds something that has waited, unless the first comes
    /// before.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        // A moment later, as what was put there at a moment is not there before it.
        self.waiting.oldest().map(|since| since + PATIENCE + Duration::from_millis(1))
    }

    /// Returns how many fragments were given up since the last time.
    pub const fn take_lost(&mut self) -> u64 {
        std::mem::replace(&mut self.lost, 0)
    }

    fn lose(&mut self, gone: Option<Vec<Vec<u8>>>) {
        let gone = gone.unwrap_or_default();
        self.held = self.held.saturating_sub(octets_of(&gone));
        self.lost += u64::try_from(gone.len()).unwrap_or(u64::MAX);
    }
}

fn octets_of(packets: &[Vec<u8>]) -> usize {
    packets.iter().map(Vec::len).sum()
}

// SPDX-License-Identifier: Apache-2.0
//! The anti-replay window: a ring of 64-bit words that never shifts (RFC 4303 §3.4.3, after RFC
//! 6479), and as long as the window: what leaves it is cleared by the bit.

use crate::error::InstallError;
use crate::sequence::infer;

/// The narrowest window that a receiver must support (RFC 4303 §3.4.3).
pub const MIN_WINDOW: u32 = 32;
/// The widest window that this engine supports.
pub const MAX_WINDOW: u32 = 65_536;

const WORD_BITS: u64 = 64;
/// How far around the top a number is looked for when the window is off: half the 32-bit space.
const UNGUARDED: u32 = 1 << 31;

/// Which sequence numbers of an SA were received. It has one owner and moves only by
/// [`Pending::accept`].
#[derive(Debug)]
pub struct Window {
    top: u64,
    width: u32,
    esn: bool,
    ring: Box<[u64]>,
}

impl Window {
    /// Returns an empty window of `width` packets; 0 switches the anti-replay service off.
    ///
    /// # Errors
    /// [`InstallError::ReplayWindow`] if `width` is neither 0 nor from 32 to 65,536.
    pub fn new(width: u32, esn: bool) -> Result<Self, InstallError> {
        if width != 0 && !(MIN_WINDOW..=MAX_WINDOW).contains(&width) {
            return Err(InstallError::ReplayWindow(width));
        }
        let words = if width == 0 { 0 } else { width.div_ceil(64).next_power_of_two() };
        Ok(Self { top: 0, width, esn, ring: vec![0; words as usize].into_boxed_slice() })
    }

    /// Returns the full sequence number of a packet that carries `low`, if it may be new.
    ///
    /// `None` if it was received before, is too old, or is no number at all (RFC 4303 §3.4.3, App.
    /// A2).
    pub fn check(&mut self, low: u32) -> Option<Pending<'_>> {
        let sequence = self.full(low)?;
        if sequence == 0 || self.is_too_old(sequence) || self.is_marked(sequence) {
            return None;
        }
        Some(Pending { window: self, sequence })
    }

    /// Returns the highest number accepted so far.
    #[must_use]
    pub const fn top(&self) -> u64 {
        self.top
    }

    fn full(&self, low: u32) -> Option<u64> {
        match (self.esn, self.width) {
            (false, _) => Some(u64::from(low)),
            (true, 0) => infer(self.top, UNGUARDED, low).or(Some(u64::from(low))),
            (true, width) => infer(self.top, width, low),
        }
    }

    /// A packet `width` or more behind the top is left of the window.
    fn is_too_old(&self, sequence: u64) -> bool {
        let width = u64::from(self.width);
        width != 0 && self.top.checked_sub(sequence).is_some_and(|behind| behind >= width)
    }

    fn is_marked(&self, sequence: u64) -> bool {
        if sequence > self.top {
            return false;
        }
        let word = self.place(sequence).and_then(|place| self.ring.get(place));
        word.is_some_and(|word| word & bit(sequence) != 0)
    }

    fn place(&self, sequence: u64) -> Option<usize> {
        let mask = self.ring.len().checked_sub(1)?;
        usize::try_from(sequence / WORD_BITS).ok().map(|word| word & mask)
    }

    fn mark(&mut self, sequence: u64) {
        if sequence > self.top {
            self.skip(self.top + 1, sequence);
            self.top = sequence;
        }
        if let Some(word) = self.place(sequence).and_then(|place| self.ring.get_mut(place)) {
            *word |= bit(sequence);
        }
    }

    /// Clears the places of the numbers from `first` to before `next`, where those stood that leave
    /// the window; at most the whole ring once.
    fn skip(&mut self, first: u64, next: u64) {
        if next - first >= self.ring.len() as u64 * WORD_BITS {
            // To fill nothing takes as long as half a packet: a store that is masked out to where no
            // memory is.
            if !self.ring.is_empty() {
                self.ring.fill(0);
            }
            return;
        }
        for word in first / WORD_BITS..=next / WORD_BITS {
            let skipped = below(next, word) & !below(first, word);
            let place = self.place(word * WORD_BITS);
            if let Some(bits) = place.and_then(|place| self.ring.get_mut(place)) {
                *bits &= !skipped;
            }
        }
    }
}

/// Returns the bits of the numbers before `end` in a word of the endless row of them.
const fn below(end: u64, word: u64) -> u64 {
    match end.saturating_sub(word * WORD_BITS) {
        bits @ 0..WORD_BITS => (1 << bits) - 1,
        _ => u64::MAX,
    }
}

const fn bit(sequence: u64) -> u64 {
    1 << (sequence % WORD_BITS)
}

/// A packet whose number may be new and whose integrity is still to be checked.
#[derive(Debug)]
pub struct Pending<'window> {
    window: &'window mut Window,
    sequence: u64,
}

impl Pending<'_> {
    /// Returns the full sequence number.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns whether the number is above all that were accepted.
    #[must_use]
    pub const fn is_newest(&self) -> bool {
        self.sequence > self.window.top
    }

    /// Records the packet. Call it for a verified packet only; dropping `self` changes nothing.
    pub fn accept(self) {
        self.window.mark(self.sequence);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn receive(window: &mut Window, low: u32) -> Option<u64> {
        let pending = window.check(low)?;
        let sequence = pending.sequence();
        pending.accept();
        Some(sequence)
    }

    /// CF-U05: RFC 4303 §3.4.3: a duplicate is rejected; an unseen number within the window is
    /// taken.
    #[test]
    fn a_number_is_taken_once() {
        let mut window = Window::new(64, false).unwrap();
        assert_eq!(receive(&mut window, 1), Some(1));
        assert_eq!(receive(&mut window, 1), None);
        assert_eq!(receive(&mut window, 70), Some(70));
        assert_eq!(receive(&mut window, 7), Some(7));
        assert_eq!(receive(&mut window, 6), None, "left of the window");
        assert_eq!(receive(&mut window, 7), None);
    }

    /// CF-U05: RFC 4303 §3.4.3: the window moves only if the integrity check succeeds.
    #[test]
    fn a_packet_that_is_not_accepted_leaves_no_trace() {
        let mut window = Window::new(64, false).unwrap();
        assert!(window.check(5000).is_some());
        assert_eq!(window.top(), 0);
        assert_eq!(receive(&mut window, 1), Some(1));
    }

    /// CF-U06: RFC 4303 §3.4.3: 32 is supported; the counters start at 0, so 0 is no packet's
    /// number.
    #[test]
    fn widths_and_the_number_zero() {
        for width in [0, 32, 64, 1000, 1024, 65_536] {
            let mut window = Window::new(width, false).unwrap();
            assert_eq!(receive(&mut window, 0), None);
            assert_eq!(receive(&mut window, 1), Some(1));
        }
        for width in [1, 31, 65_537, u32::MAX] {
            assert_eq!(Window::new(width, true).unwrap_err(), InstallError::ReplayWindow(width));
        }
    }

    #[test]
    fn without_a_window_every_number_is_taken_again() {
        let mut window = Window::new(0, false).unwrap();
        assert_eq!(receive(&mut window, 9), Some(9));
        assert_eq!(receive(&mut window, 9), Some(9));
        assert_eq!(receive(&mut window, 1), Some(1));
    }

    /// CF-U07: with ESN and no window, the high half follows the traffic across 2^32.
    #[test]
    fn without_a_window_the_high_half_still_follows() {
        let mut window = Window::new(0, true).unwrap();
        assert_eq!(receive(&mut window, 1), Some(1));
        assert_eq!(receive(&mut window, 1 << 31), Some(1 << 31));
        assert_eq!(receive(&mut window, u32::MAX), Some(u64::from(u32::MAX)));
        assert_eq!(receive(&mut window, 2), Some((1 << 32) + 2));
        assert_eq!(receive(&mut window, u32::MAX - 1), Some(u64::from(u32::MAX) - 1));
    }

    /// CF-U07: RFC 4303 App. A2: the window passes 2^32 in both directions.
    #[test]
    fn the_window_crosses_the_border_of_32_bits() {
        let mut window = Window::new(64, true).unwrap();
        window.top = u64::from(u32::MAX) - 5;
        assert_eq!(receive(&mut window, 3), Some((1 << 32) + 3));
        assert_eq!(receive(&mut window, u32::MAX), Some(u64::from(u32::MAX)));
        assert_eq!(receive(&mut window, u32::MAX), None);
        assert_eq!(receive(&mut window, 3), None);
        assert_eq!(receive(&mut window, 0), Some(1 << 32));
    }

    proptest! {
        /// CF-U05, CF-U07: the ring against a plain set of what was seen, near and far.
        #[test]
        fn the_window_is_a_set_of_numbers(
            width in prop::sample::select(vec![32_u32, 63, 64, 65, 128, 1000, 1024, 65_536]),
            esn: bool,
            start in prop_oneof![Just(0_u64), Just(0xffff_ff00), Just(0x5_0000_0010)],
            steps in prop::collection::vec((-1500_i64..1500, any::<bool>(), 0_u8..20), 1..400),
        ) {
            let mut window = Window::new(width, esn).unwrap();
            let start = if esn { start } else { start.min(0xf000_0000) };
            let mut seen = BTreeSet::new();
            if start > 0 {
                window.top = start;
            }
            let mut top = start;
            for (step, verified, far) in steps {
                let leap = if far == 0 { 100_000 } else { 0 };
                let sequence = top.saturating_add_signed(step).saturating_add(leap);
                if !esn && sequence > u64::from(u32::MAX) {
                    continue;
                }
                let is_inside = sequence <= top && top - sequence < u64::from(width);
                let is_unseen = is_inside && !seen.contains(&sequence);
                let new = sequence != 0 && (sequence > top || is_unseen);
                let [_, low] = crate::sequence::halves(sequence);
                let pending = window.check(low);
                // Left of the window it looks like the number 2^32 later, which the ICV refutes.
                let taken = pending.as_ref().is_some_and(|pending| pending.sequence() == sequence);
                prop_assert_eq!(taken, new, "{} after {}", sequence, top);
                if let (Some(pending), true, true) = (pending, taken, verified) {
                    pending.accept();
                    seen.insert(sequence);
                    top = top.max(sequence);
                }
            }
        }
    }
}

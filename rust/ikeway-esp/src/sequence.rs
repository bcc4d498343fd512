// SPDX-License-Identifier: Apache-2.0
//! Sequence numbers: counting those we send, and inferring the high half of those we receive (RFC
//! 4303 §2.2, §3.3.3, App. A2).

use crate::sync::{AtomicU64, Ordering};

/// The sequence numbers of an outbound SA. No number is given out twice, whatever calls it.
#[derive(Debug)]
pub struct SendCounter {
    last: AtomicU64,
    limit: u64,
}

impl SendCounter {
    /// Returns a counter whose first number is `after + 1`. A new SA starts `after` 0 (RFC 4303
    /// §2.2).
    #[must_use]
    pub fn new(after: u64, esn: bool) -> Self {
        let limit = if esn { u64::MAX } else { u64::from(u32::MAX) };
        Self { last: AtomicU64::new(after.min(limit)), limit }
    }

    /// Returns the next number, or `None` when the last one was given out: the counter never cycles
    /// (RFC 4303 §3.3.3).
    pub fn next(&self) -> Option<u64> {
        let step = |last: u64| if last < self.limit { last.checked_add(1) } else { None };
        let before = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        before.ok().and_then(|last| last.checked_add(1))
    }

    /// Returns the last number given out, 0 for none.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

/// Returns the 64-bit number of a packet that carries `low`, or `None` if there is no such number.
///
/// `top` is the highest number accepted so far and `window` the width W of the window (RFC 4303
/// App. A2.2).
#[must_use]
pub fn infer(top: u64, window: u32, low: u32) -> Option<u64> {
    let [top_high, top_low] = halves(top);
    let bottom_low = top_low.wrapping_sub(window.saturating_sub(1));
    let is_case_a = top_low >= window.saturating_sub(1);
    let high = match (is_case_a, low >= bottom_low) {
        (true, true) | (false, false) => Some(top_high),
        (true, false) => top_high.checked_add(1),
        (false, true) => top_high.checked_sub(1),
    }?;
    Some(u64::from(high) << 32 | u64::from(low))
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
pub(crate) const fn halves(sequence: u64) -> [u32; 2] {
    [(sequence >> 32) as u32, sequence as u32]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const W: u32 = 64;
    const MAX: u32 = u32::MAX;

    fn number(high: u32, low: u32) -> u64 {
        u64::from(high) << 32 | u64::from(low)
    }

    /// CF-U02: RFC 4303 §2.2: the first packet carries 1, and each the next number.
    #[test]
    fn a_new_sa_starts_at_one_and_counts_by_one() {
        let counter = SendCounter::new(0, false);
        assert_eq!([counter.next(), counter.next(), counter.next()], [Some(1), Some(2), Some(3)]);
    }

    /// RFC 4303 §3.3.2: the IV of an AEAD is the number, and one that two packets share gives both away.
    #[test]
    fn threads_that_count_together_share_no_number() {
        let counter = SendCounter::new(u64::from(MAX) - 30_000, false);
        let take = || std::iter::from_fn(|| counter.next()).take(10_000).collect::<Vec<_>>();
        let mut taken: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 30_000, "as many as there were");
        assert_eq!((taken.last(), counter.next()), (Some(&u64::from(MAX)), None));
    }

    /// CF-U03: RFC 4303 §3.3.3: without ESN the counter does not cycle past 2^32 - 1.
    #[test]
    fn a_counter_without_esn_ends_at_32_bits() {
        let counter = SendCounter::new(u64::from(MAX) - 1, false);
        assert_eq!(
            [counter.next(), counter.next(), counter.next()],
            [Some(u64::from(MAX)), None, None]
        );
        assert_eq!(counter.last(), u64::from(MAX));
    }

    /// CF-U03: RFC 4303 §3.3.3: with ESN the counter goes on past 32 bits and ends at 2^64 - 1.
    #[test]
    fn a_counter_with_esn_ends_at_64_bits() {
        let crossing = SendCounter::new(u64::from(MAX), true);
        assert_eq!(crossing.next(), Some(1 << 32));
        let ending = SendCounter::new(u64::MAX - 1, true);
        assert_eq!([ending.next(), ending.next(), ending.next()], [Some(u64::MAX), None, None]);
    }

    /// CF-U07: RFC 4303 App. A2.2, case A: the window lies in one subspace.
    #[test]
    fn case_a_takes_the_top_s_high_half_or_the_next() {
        let top = number(7, 1000);
        let bottom = 1000 - (W - 1);
        for low in [bottom, bottom + 1, 1000, 1001, MAX] {
            assert_eq!(infer(top, W, low), Some(number(7, low)), "{low}");
        }
        for low in [0, 1, bottom - 1] {
            assert_eq!(infer(top, W, low), Some(number(8, low)), "{low}");
        }
    }

    /// CF-U07: RFC 4303 App. A2.2, case B: the window spans two subspaces.
    #[test]
    fn case_b_takes_the_top_s_high_half_or_the_one_before() {
        let top = number(7, 10);
        let bottom = 10_u32.wrapping_sub(W - 1);
        for low in [bottom, bottom + 1, MAX] {
            assert_eq!(infer(top, W, low), Some(number(6, low)), "{low}");
        }
        for low in [0, 9, 10, 11, bottom - 1] {
            assert_eq!(infer(top, W, low), Some(number(7, low)), "{low}");
        }
    }

    /// CF-U07: the border between the cases: Tl = W - 1 is case A, Tl = W - 2 is case B.
    #[test]
    fn the_border_between_the_cases() {
        assert_eq!(infer(number(7, W - 1), W, 0), Some(number(7, 0)));
        assert_eq!(infer(number(7, W - 1), W, MAX), Some(number(7, MAX)));
        assert_eq!(infer(number(7, W - 2), W, MAX), Some(number(6, MAX)));
        assert_eq!(infer(number(7, W - 2), W, MAX - 1), Some(number(7, MAX - 1)));
    }

    proptest! {
        /// CF-U07: RFC 4303 App. A2: of the numbers with that low half it is the one that is not
        /// left of the window and less than 2^32 right of its bottom.
        #[test]
        fn the_number_is_the_nearest_not_left_of_the_window(
            high in prop_oneof![0_u32..3, Just(MAX), any::<u32>()],
            top_low in prop_oneof![0_u32..70_000, MAX - 70_000..=MAX, any::<u32>()],
            window in 32_u32..=65_536,
            offset in prop_oneof![-70_000_i64..70_000, any::<i32>().prop_map(i64::from)],
        ) {
            let top = number(high, top_low);
            let [_, low] = halves(top.wrapping_add_signed(offset));
            let bottom = i128::from(top) - i128::from(window) + 1;
            let nearest = bottom + (i128::from(low) - bottom).rem_euclid(1 << 32);
            prop_assert_eq!(infer(top, window, low), u64::try_from(nearest).ok());
        }
    }

    /// CF-U07: there is no number before the first subspace and none after the last.
    #[test]
    fn no_number_lies_outside_64_bits() {
        assert_eq!(infer(0, W, MAX), None);
        assert_eq!(infer(number(MAX, MAX), W, 0), None);
        assert_eq!(infer(number(MAX, MAX), W, MAX), Some(u64::MAX));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! How much a pair of SAs may carry before it is replaced (RFC 4301 §4.4.2.1, RFC 4303 §3.3.3).

use crate::sync::{AtomicU8, Ordering};

/// Packets and octets of one direction; `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Packets.
    pub packets: u64,
    /// Octets of inner packets.
    pub octets: u64,
}

impl Amount {
    /// No limit.
    pub const NONE: Self = Self { packets: u64::MAX, octets: u64::MAX };

    const fn is_reached(&self, packets: u64, octets: u64) -> bool {
        packets >= self.packets || octets >= self.octets
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// The pair is to be replaced.
    Soft = 1,
    /// The pair carries nothing any more.
    Hard = 2,
}

/// The limits of a pair, for either direction by itself, and which of them were reached.
#[derive(Debug)]
pub struct Budget {
    /// Soft and hard; most pairs have none.
    limits: Option<Box<(Amount, Amount)>>,
    /// The inbound SPI of the pair, by which it is told of.
    pair: u32,
    reached: AtomicU8,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(0, Amount::NONE, Amount::NONE)
    }
}

impl Budget {
    /// Returns the budget of a new pair.
    #[must_use]
    pub fn new(pair: u32, soft: Amount, hard: Amount) -> Self {
        let is_bounded = soft != Amount::NONE || hard != Amount::NONE;
        let limits = is_bounded.then(|| Box::new((soft, hard)));
        Self { limits, pair, reached: AtomicU8::new(0) }
    }

    /// Returns the inbound SPI of the pair.
    #[must_use]
    pub const fn pair(&self) -> u32 {
        self.pair
    }

    /// Returns whether the pair carries nothing any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.reached.load(Ordering::Relaxed) >= Limit::Hard as u8
    }

    /// Returns the limit that a direction has reached with these totals, once for each limit.
    #[must_use]
    #[inline]
    pub fn reach(&self, (packets, octets): (u64, u64)) -> Option<Limit> {
        let (soft, hard) = self.limits.as_deref()?;
        let is_hard = hard.is_reached(packets, octets);
        if is_hard || soft.is_reached(packets, octets) { self.raise(is_hard) } else { None }
    }

    #[cold]
    fn raise(&self, is_hard: bool) -> Option<Limit> {
        let limit = if is_hard { Limit::Hard } else { Limit::Soft };
        let before = self.reached.fetch_max(limit as u8, Ordering::Relaxed);
        (before < limit as u8).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(packets: u64, octets: u64) -> Amount {
        Amount { packets, octets }
    }

    #[test]
    fn each_limit_is_told_once() {
        let budget = Budget::new(300, amount(10, u64::MAX), amount(12, u64::MAX));
        let told: Vec<_> = (1..20).map(|packets| budget.reach((packets, 0))).collect();
        let some: Vec<_> = told.iter().flatten().copied().collect();
        assert_eq!(some, [Limit::Soft, Limit::Hard]);
        assert_eq!((told[9], told[11]), (Some(Limit::Soft), Some(Limit::Hard)));
    }

    #[test]
    fn octets_count_as_packets_do() {
        let budget = Budget::new(300, amount(u64::MAX, 1000), amount(u64::MAX, 2000));
        assert_eq!(budget.reach((1, 999)), None);
        assert_eq!(budget.reach((2, 1000)), Some(Limit::Soft));
        assert!(!budget.is_over());
        assert_eq!(budget.reach((3, 2500)), Some(Limit::Hard));
        assert!(budget.is_over());
    }

    #[test]
    fn without_limits_nothing_is_ever_told() {
        let budget = Budget::default();
        assert_eq!(budget.reach((u64::MAX - 1, u64::MAX - 1)), None);
    }

    /// A packet that crosses both at once tells of the harder one.
    #[test]
    fn a_step_over_both_limits_is_the_hard_one() {
        let budget = Budget::new(300, amount(2, 2), amount(3, 3));
        assert_eq!(budget.reach((1, 5)), Some(Limit::Hard));
        assert_eq!(budget.reach((2, 9)), None);
    }
}

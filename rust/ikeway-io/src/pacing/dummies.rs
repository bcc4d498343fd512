// SPDX-License-Identifier: Apache-2.0
//! Packets without content, sent while an SA is idle (RFC 4303 §2.6).

use std::time::{Duration, Instant};

use rustix::rand::{GetRandomFlags, getrandom};

/// When an idle SA sends dummies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dummies {
    /// The time between two of them, or its mean.
    pub(crate) every: Duration,
    /// Whether they come at random, so that nobody can tell them by their rhythm.
    pub(crate) is_random: bool,
}

impl Dummies {
    /// Returns when the one after that of `due` is to leave. What was missed is not made up for.
    fn next(self, due: Instant, now: Instant) -> Instant {
        let regular = due + self.every;
        match (self.is_random, regular > now) {
            (true, _) => now + self.every.mul_f64(exponential()),
            (false, true) => regular,
            (false, false) => now + self.every,
        }
    }
}

/// Returns a waiting time with a mean of 1, of which what has passed says nothing of what is to come.
fn exponential() -> f64 {
    let mut octets = [0; 4];
    // Without random octets the times are regular, which is no reason to send nothing.
    let _ = getrandom(&mut octets, GetRandomFlags::empty());
    let uniform = (f64::from(u32::from_ne_bytes(octets)) + 0.5) / f64::from(u32::MAX);
    -uniform.min(1.0).ln()
}

/// An SA that sends dummies, and how many packets it had sent when it was looked at last.
pub(crate) struct Idle {
    dummies: Dummies,
    seen: u64,
}

impl Idle {
    pub(super) const fn new(dummies: Dummies) -> Self {
        Self { dummies, seen: 0 }
    }

    /// Returns whether nothing was sent since the last time, if so many packets were by now.
    pub(super) const fn is_idle(&mut self, packets: u64) -> bool {
        std::mem::replace(&mut self.seen, packets) == packets
    }

    pub(super) fn next(&self, due: Instant, now: Instant) -> Instant {
        self.dummies.next(due, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(10);

    #[test]
    fn regular_dummies_keep_their_rhythm_and_make_up_for_nothing() {
        let dummies = Dummies { every: EVERY, is_random: false };
        let due = Instant::now();
        assert_eq!(dummies.next(due, due + EVERY / 2), due + EVERY);
        let late = due + 7 * EVERY;
        assert_eq!(dummies.next(due, late), late + EVERY);
    }

    /// The mean is what was asked for; one in e is later than that.
    #[test]
    fn random_dummies_have_the_mean_that_was_asked_for() {
        let dummies = Dummies { every: EVERY, is_random: true };
        let now = Instant::now();
        let waits: Vec<_> = (0..4000).map(|_| dummies.next(now, now) - now).collect();
        let mean = waits.iter().sum::<Duration>() / 4000;
        assert!((EVERY * 9 / 10..EVERY * 11 / 10).contains(&mean), "{mean:?}");
        let later = waits.iter().filter(|wait| **wait > EVERY).count();
        assert!((1250..1700).contains(&later), "{later}");
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Whether one thread has too much to do with both directions.

use std::time::{Duration, Instant};

/// One that has had no rest for so long is in the middle of something.
const BUSY: Duration = Duration::from_micros(50);
/// And so long, it may be too much for it.
const TOO_LONG: Duration = Duration::from_millis(10);
/// The share of either direction in the work that makes it worth while to divide it: less than that
/// is the acknowledgements of the other, and to wake another thread for them costs more than they do.
const SHARE: u32 = 4;

/// Others that want the processor less often than this are the kernel's own chores.
const OFTEN: Duration = Duration::from_millis(2);

/// What a thread has done since it last rested.
pub(crate) struct Strain {
    rested: Instant,
    until: Instant,
    sending: Duration,
}

impl Strain {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { rested: now, until: now, sending: Duration::ZERO }
    }

    /// Notes that there was nothing to do, until now.
    pub(crate) const fn rest(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// Notes that it sent for a while.
    pub(crate) fn sent(&mut self, start: Instant, end: Instant) {
        self.sending += end.duration_since(start);
        self.until = end;
    }

    pub(crate) fn is_busy(&self, now: Instant) -> bool {
        now.duration_since(self.rested) > BUSY
    }

    /// Returns whether two threads would have been better, if there are processors for both.
    pub(crate) fn is_too_much(&self) -> bool {
        let all = self.until.duration_since(self.rested);
        let lesser = self.sending.min(all.saturating_sub(self.sending));
        all > TOO_LONG && lesser * SHARE > all
    }
}

/// How often others got the processor that this thread wanted, for a while.
pub(crate) struct Crowd {
    since: Instant,
    switches: libc::c_long,
}

impl Crowd {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, switches: involuntary_switches() }
    }

    /// Returns whether others wanted this processor again and again since it last said so, so that
    /// there is none to spare for another thread; `None` if it is too early or too late to say.
    pub(crate) fn look(&mut self, now: Instant) -> Option<bool> {
        let age = now.duration_since(self.since);
        if age < TOO_LONG {
            return None;
        }
        let seen = std::mem::replace(self, Self::new(now));
        let switches = u128::try_from(self.switches - seen.switches).ok()?;
        (age < TOO_LONG * 3).then_some(switches * OFTEN.as_nanos() > age.as_nanos())
    }
}

/// Returns how often this thread has lost the processor before it was done.
fn involuntary_switches() -> libc::c_long {
    // SAFETY: all octets zero are a valid rusage: it is numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes a rusage to where one is.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_nivcsw
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works for so many rounds of a millisecond, of which sending takes so many microseconds.
    fn worked(strain: &mut Strain, start: Instant, rounds: u32, sending: u64) -> Instant {
        (0..rounds).fold(start, |now, _| {
            let end = now + Duration::from_millis(1);
            strain.sent(now + Duration::from_micros(1000 - sending), end);
            end
        })
    }

    #[test]
    fn both_directions_at_once_for_long_are_too_much() {
        let start = Instant::now();
        let mut strain = Strain::new(start);
        let now = worked(&mut strain, start, 9, 500);
        assert!(!strain.is_too_much());
        worked(&mut strain, now, 2, 500);
        assert!(strain.is_too_much());
    }

    #[test]
    fn one_direction_and_its_acknowledgements_are_one_thread_s() {
        for sending in [20, 900] {
            let mut strain = Strain::new(Instant::now());
            worked(&mut strain, Instant::now(), 1000, sending);
            assert!(!strain.is_too_much());
        }
    }

    #[test]
    fn a_processor_that_others_want_is_crowded() {
        let start = Instant::now();
        let seen = |switches, after| {
            let switches = involuntary_switches() - switches;
            Crowd { since: start, switches }.look(start + after)
        };
        assert_eq!(seen(20, TOO_LONG), Some(true));
        assert_eq!(seen(20, TOO_LONG / 2), None, "too early");
        assert_eq!(seen(20, TOO_LONG * 3), None, "too late");
        let mut crowd = Crowd { since: start, switches: involuntary_switches() - 20 };
        assert_eq!(crowd.look(start + TOO_LONG), Some(true));
        assert!(crowd.switches >= 0 && crowd.since == start + TOO_LONG, "it begins anew");
    }

    #[test]
    fn whoever_rests_now_and_then_can_do_both() {
        let mut now = Instant::now();
        let mut strain = Strain::new(now);
        for _ in 0..10 {
            now = worked(&mut strain, now, 9, 500);
            assert!(strain.is_busy(now));
            assert!(!strain.is_too_much());
            strain.rest(now);
            assert!(!strain.is_busy(now));
        }
    }
}

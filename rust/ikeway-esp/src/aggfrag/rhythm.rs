// SPDX-License-Identifier: Apache-2.0
//! When the packets of a stream leave (RFC 9347 §2.4.1): at a constant rate, on a machine that is late
//! now and then.

use std::time::Duration;

/// Packets that may leave at once because the machine was late, and how long they may take: of fast
/// streams more than these have their time before a thread is awake.
const BURST: u32 = 4;
const BURST_TIME: Duration = Duration::from_micros(500);
/// By how much packets follow one another faster while more than that is owed.
const HASTE: u32 = 16;
/// What is owed of a longer time is not made up for.
const MOST_OWED: Duration = Duration::from_millis(250);

/// The times of a stream's packets.
///
/// A machine that comes late sends a few of the packets that are due at once, and what it owes beyond
/// that by sending a little faster for a while: whoever watches sees how busy the machine is, and
/// routers see no bursts.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    every: Duration,
    owed: Duration,
}

impl Rhythm {
    /// Returns that of packets which leave one `every` so often.
    #[must_use]
    pub const fn new(every: Duration) -> Self {
        Self { every, owed: Duration::ZERO }
    }

    /// Returns the time between two packets.
    #[must_use]
    pub const fn every(&self) -> Duration {
        self.every
    }

    /// Changes the rate.
    pub const fn set(&mut self, every: Duration) {
        self.every = every;
    }

    /// Returns how long after the time of a packet that of the next is, if it leaves so `late`.
    pub fn step(&mut self, late: Duration) -> Duration {
        let skipped = late.saturating_sub(self.burst());
        self.owed = (self.owed + skipped).min(MOST_OWED);
        let haste = self.owed.min(self.every / HASTE);
        self.owed -= haste;
        skipped + self.every.saturating_sub(haste)
    }

    fn burst(&self) -> Duration {
        (self.every * (BURST - 1)).max(BURST_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Returns when packets leave until `end`, if the thread sleeps through `stalls`.
    fn times(every: Duration, stalls: &[(Duration, Duration)], end: Duration) -> Vec<Duration> {
        let (mut rhythm, mut due, mut sent) = (Rhythm::new(every), Duration::ZERO, Vec::new());
        let mut now = Duration::ZERO;
        while now < end {
            now = now.max(due);
            if let Some((_, until)) = stalls.iter().find(|(from, to)| (*from..*to).contains(&now)) {
                now = *until;
            }
            sent.push(now);
            due += rhythm.step(now.saturating_sub(due));
        }
        sent
    }

    fn longest_burst(sent: &[Duration]) -> usize {
        sent.chunk_by(|one, next| one == next).map(<[_]>::len).max().unwrap()
    }

    #[test]
    fn a_machine_that_is_in_time_sends_at_regular_times() {
        let sent = times(MS, &[], 50 * MS);
        assert!(sent.windows(2).all(|pair| pair[0] + MS == pair[1]));
    }

    /// What a pause of 100 ms has left undone leaves within two seconds, and never in a burst.
    #[test]
    fn lateness_is_made_up_for_without_bursts() {
        let sent = times(MS, &[(200 * MS, 300 * MS)], 4000 * MS);
        assert_eq!(longest_burst(&sent), 4);
        let mut after = sent.windows(2).filter(|pair| pair[0] > 300 * MS);
        assert!(after.all(|pair| pair[0] + MS <= pair[1] + MS / HASTE));
        assert!((3999..=4001).contains(&sent.len()), "{}", sent.len());
        let early = sent.iter().filter(|time| **time <= 2000 * MS).count();
        assert!(early >= 1999, "{early}");
    }

    /// What was not sent for long was not missed by anybody any more.
    #[test]
    fn a_long_pause_is_not_made_up_for() {
        let sent = times(MS, &[(MS, 5000 * MS)], 10_000 * MS);
        assert!((5250..5260).contains(&sent.len()), "{}", sent.len());
        assert_eq!(longest_burst(&sent), 4);
    }

    /// A thread that always wakes a little late keeps the rate all the same.
    #[test]
    fn the_rate_is_right_also_where_every_packet_is_late() {
        let (mut rhythm, mut due, mut now) = (Rhythm::new(MS / 10), Duration::ZERO, Duration::ZERO);
        for _ in 0..10_000 {
            now = now.max(due + MS / 20);
            due += rhythm.step(now.saturating_sub(due));
        }
        assert!(due.abs_diff(1000 * MS) < MS, "{due:?}");
    }
}

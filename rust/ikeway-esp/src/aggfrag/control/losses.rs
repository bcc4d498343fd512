// SPDX-License-Identifier: Apache-2.0
//! What a receiver says of losses: the loss event rate (RFC 9347 §3, Appendix B, RFC 5348 §5, §6.3.1).
//! History discounting (§5.5), which is optional, there is none.

use std::collections::VecDeque;
use std::time::Duration;

use super::throughput::loss_of;

/// Packets that have to overtake one for it to be lost (RFC 5348 §5.1).
const OVERTAKEN: u64 = 3;
/// The weights of loss intervals, newest first (RFC 5348 §5.4).
const WEIGHTS: [f64; 8] = [1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2];
/// The least rate that a first loss interval stands for, in packets a round trip (RFC 5348 §6.3.1).
const LEAST_IN_ROUND_TRIP: f64 = 0.5;
/// Packets that are missing at a time; of longer gaps only so much is looked at.
const MOST_MISSING: u64 = 512;
/// The round trip until the peer says one.
const SOME_RTT: Duration = Duration::from_millis(100);

/// The losses of one inbound SA. Losses within a round trip are one event.
#[derive(Default)]
pub(super) struct Losses {
    highest: u64,
    last: Duration,
    /// The smoothed time between arrivals, in seconds.
    gap: f64,
    arrivals: u64,
    missing: VecDeque<Missing>,
    event: Option<Event>,
    /// The lengths of the loss intervals before the event, newest first.
    intervals: VecDeque<f64>,
    has_marks: bool,
}

/// A packet that has not come, when it should have, and how many had come then.
struct Missing {
    number: u64,
    at: Duration,
    arrivals: u64,
}

/// The first packet of a loss event, and when it should have come.
#[derive(Clone, Copy)]
struct Event {
    first: u64,
    at: Duration,
}

impl Losses {
    /// Takes word of a packet that has come, maybe with the mark of congestion, which counts as lost
    /// (RFC 9347 §3.1). `rtt` is what the peer says of the round trip; 0 is nothing.
    pub(super) fn arrive(&mut self, number: u64, is_marked: bool, rtt: Duration, now: Duration) {
        let rtt = if rtt.is_zero() { SOME_RTT } else { rtt };
        if number > self.highest {
            self.note_gap(number, now);
            self.advance(number, now);
        } else {
            self.missing.retain(|missing| missing.number != number);
        }
        self.arrivals += 1;
        while let Some(first) = self.missing.front()
            && self.arrivals - first.arrivals >= OVERTAKEN
        {
            let (number, at) = (first.number, first.at);
            self.missing.pop_front();
            self.lose(number, at, rtt);
        }
        if is_marked {
            self.has_marks = true;
            self.lose(number, now, rtt);
        }
    }

    /// Takes word of a packet before which none counts as lost: the peer probes for the path's MTU.
    pub(super) fn forgive(&mut self, number: u64, now: Duration) {
        self.advance(self.highest.max(number), now);
        self.arrivals += 1;
    }

    /// Returns the inverse of the loss event rate: the average loss interval (RFC 5348 §5.4); 0 is no
    /// loss (RFC 9347 §6.1.2).
    pub(super) fn inverse_rate(&self) -> u32 {
        let Some(event) = self.event else { return 0 };
        let open = whole(self.highest.saturating_sub(event.first) + 1);
        let weights: f64 = WEIGHTS.iter().take(self.intervals.len()).sum();
        let mean = |lengths: &mut dyn Iterator<Item = f64>| {
            lengths.zip(WEIGHTS).map(|(length, weight)| length * weight).sum::<f64>() / weights
        };
        let closed = self.intervals.iter().copied();
        let without = mean(&mut closed.clone());
        let with = mean(&mut std::iter::once(open).chain(closed).take(self.intervals.len()));
        // Between 1 and what fits: a rate is never above 1.
        clamp(without.max(with))
    }

    /// Returns how many packets have come, and of how many.
    pub(super) const fn arrived(&self) -> (u64, u64) {
        (self.arrivals, self.highest)
    }

    /// Returns whether marks of congestion were among the losses.
    pub(super) const fn has_marks(&self) -> bool {
        self.has_marks
    }

    fn note_gap(&mut self, number: u64, now: Duration) {
        let gap = if self.highest == 0 { 0 } else { number - self.highest - 1 };
        let time = now.saturating_sub(self.last);
        for place in 1..=gap.min(MOST_MISSING) {
            // As if they had come evenly: a long gap is several events (RFC 5348 §5.2).
            let at = self.last + time.mul_f64(whole(place) / whole(gap + 1));
            let number = self.highest + place;
            self.missing.push_back(Missing { number, at, arrivals: self.arrivals });
        }
        let most = usize::try_from(MOST_MISSING).unwrap_or(usize::MAX);
        self.missing.drain(..self.missing.len().saturating_sub(most));
    }

    fn advance(&mut self, number: u64, now: Duration) {
        if self.highest > 0 {
            let gap = now.saturating_sub(self.last).as_secs_f64();
            self.gap = if self.gap == 0.0 { gap } else { self.gap * 0.875 + gap * 0.125 };
        }
        (self.highest, self.last) = (number, now);
    }

    fn lose(&mut self, number: u64, at: Duration, rtt: Duration) {
        let interval = match self.event {
            None => self.first_interval(rtt),
            Some(event) if at > event.at + rtt => whole(number.saturating_sub(event.first)),
            Some(_) => return,
        };
        self.intervals.push_front(interval.max(1.0));
        self.intervals.truncate(WEIGHTS.len());
        self.event = Some(Event { first: number, at });
    }

    /// Before the first loss the rate grew fast, so the packets until then say little: the interval is
    /// that with which the rate would be what arrives, or a packet in two round trips if that is more
    /// (RFC 5348 §6.3.1).
    fn first_interval(&self, rtt: Duration) -> f64 {
        let least = LEAST_IN_ROUND_TRIP / rtt.as_secs_f64();
        // Of a single packet nothing is known.
        let arriving = if self.gap > 0.0 { 1.0 / self.gap.max(1e-6) } else { 0.0 };
        1.0 / loss_of(rtt, least.max(arriving))
    }
}

#[allow(clippy::cast_precision_loss, reason = "differences of numbers are far below 2^52")]
pub(super) const fn whole(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in bounds")]
const fn clamp(inverse: f64) -> u32 {
    inverse.clamp(1.0, u32::MAX as f64) as u32
}

#[cfg(test)]
mod tests {
    use super::super::throughput::throughput;
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const RTT: Duration = Duration::from_millis(50);

    /// Has packets of 1 ms each arrive, but for the lost ones.
    fn after(numbers: std::ops::Range<u64>, is_lost: impl Fn(u64) -> bool) -> Losses {
        let mut losses = Losses::default();
        for number in numbers.filter(|number| !is_lost(*number)) {
            losses.arrive(number, false, RTT, MS * u32::try_from(number).unwrap());
        }
        losses
    }

    /// RFC 9347 §6.1.2: "A value of zero indicates no loss."
    #[test]
    fn without_loss_there_is_no_rate() {
        assert_eq!(after(1..5000, |_| false).inverse_rate(), 0);
        assert_eq!(after(7000..7100, |_| false).inverse_rate(), 0, "the first is no gap");
    }

    /// RFC 5348 §5.4: one event every 100 packets, each longer than a round trip after the other.
    #[test]
    fn regular_losses_give_their_interval() {
        let losses = after(1..3000, |number| number % 100 == 0);
        assert!((95..=105).contains(&losses.inverse_rate()), "{}", losses.inverse_rate());
    }

    /// RFC 5348 §5.2: losses within a round trip are one event.
    #[test]
    fn many_losses_within_a_round_trip_are_one_event() {
        let bursts = after(1..3000, |number| number % 100 < 20);
        assert!((95..=105).contains(&bursts.inverse_rate()), "{}", bursts.inverse_rate());
    }

    /// RFC 5348 §5.1: what two packets overtake is late, what three do is lost.
    #[test]
    fn what_is_overtaken_by_few_is_not_lost() {
        let mut losses = Losses::default();
        for (time, number) in (0..).zip([1_u64, 2, 4, 5, 3, 6, 7, 8, 9]) {
            losses.arrive(number, false, RTT, MS * time);
        }
        assert_eq!(losses.inverse_rate(), 0);
        for (time, number) in (9..).zip([11_u64, 12, 13]) {
            losses.arrive(number, false, RTT, MS * time);
        }
        assert_ne!(losses.inverse_rate(), 0);
    }

    /// RFC 5348 §5.4: without new losses the open interval lowers the rate, slowly.
    #[test]
    fn the_rate_falls_while_nothing_is_lost() {
        let rates: Vec<_> = [1500, 2000, 3000]
            .map(|end| after(1..end, |number| number % 50 == 0 && number < 1000).inverse_rate())
            .into();
        assert!(rates.is_sorted() && rates[0] > 60 && rates[2] < 600, "{rates:?}");
    }

    /// RFC 9347 §3.1: a mark is a loss, and told as one of a mark.
    #[test]
    fn marks_are_losses() {
        let mut losses = Losses::default();
        losses.arrive(1, false, RTT, MS);
        losses.arrive(2, true, RTT, 2 * MS);
        assert!(losses.has_marks() && losses.inverse_rate() > 0);
    }

    /// RFC 5348 §6.3.1: "if the first data packet is lost or ECN-marked", the rate that it stands for is
    /// "0.5/R packets per second", and not the highest of all.
    #[test]
    fn a_mark_on_the_first_packet_stands_for_a_slow_path() {
        let mut losses = Losses::default();
        losses.arrive(1, true, RTT, MS);
        let inverse = losses.inverse_rate();
        let rate = throughput(RTT, 1.0 / f64::from(inverse));
        let least = LEAST_IN_ROUND_TRIP / RTT.as_secs_f64();
        assert!((least * 0.6..least * 1.05).contains(&rate), "{inverse} {rate} {least}");
    }

    /// I5: a peer that jumps to the end of its numbers costs no more than a gap does.
    #[test]
    fn a_gap_without_end_is_bounded() {
        let mut losses = Losses::default();
        for number in [1, 1 << 40, 1 << 50, u64::MAX - 3, u64::MAX - 2, u64::MAX - 1] {
            losses.arrive(number, false, RTT, MS);
        }
        assert!(losses.missing.len() <= usize::try_from(MOST_MISSING).unwrap());
        assert!(losses.inverse_rate() > 0);
    }

    #[test]
    fn probes_for_the_mtu_are_no_losses() {
        let mut losses = Losses::default();
        losses.arrive(1, false, RTT, MS);
        losses.forgive(20, 2 * MS);
        for number in 21..30 {
            losses.arrive(number, false, RTT, 3 * MS);
        }
        assert_eq!(losses.inverse_rate(), 0);
    }
}

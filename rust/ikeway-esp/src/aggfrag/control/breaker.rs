// SPDX-License-Identifier: Apache-2.0
//! A circuit breaker for a stream whose rate does not follow the path (RFC 9347 §2.4.2.1, RFC 8084 §4).
//!
//! While more is lost than is allowed, and that for long, the rate falls to a tenth, and again to a
//! tenth if that was not enough. It never falls to nothing: whoever reports losses, be they true or
//! not, has no more power than that, and the path is measured on.

use std::time::Duration;

/// Measurement periods in the triggering interval, and the least that trip it (RFC 8084 §4, 2, 8, 9).
const PERIODS: u32 = 10;
const LEAST_PERIODS: u32 = 3;
/// A period has so many round trips at least: others slow down in one (RFC 8084 §4, 4).
const ROUND_TRIPS: u32 = 4;
/// The longest that a report has room for (RFC 9347 §6.1.2): an echo of what was never sent seems to be
/// hours old, and would put off every judgement.
const LONGEST_RTT: Duration = Duration::from_micros(1 << 22);
/// By how much the rate falls (RFC 8084 §4, 12: "at least an order of magnitude").
const FALL: u32 = 10;
/// The slowest: fields of reports have no room for slower streams.
const SLOWEST: Duration = Duration::from_secs(1);
/// After how many intervals it is closed again at the earliest, and after what time at the latest,
/// each time that follows doubling that (RFC 8084 §4, 13).
const HOLD: u32 = 4;
const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// What trips a breaker: the part of packets that is lost, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From 0 to 1.
    pub lost: f64,
    /// The triggering interval.
    pub interval: Duration,
}

/// A breaker has opened, or opened further, or closed again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Whether the stream is slower than it is configured.
    pub is_open: bool,
    /// The part of packets that was lost before.
    pub lost: f64,
    /// The time between two packets from now on.
    pub every: Duration,
}

/// Watches what a stream loses, and says how fast it may be.
#[derive(Clone, Debug)]
pub struct Breaker {
    limits: Limits,
    /// The time between two packets while it is closed.
    normal: Duration,
    /// How often the rate has fallen.
    falls: u32,
    /// The measurement period: when it began, and how much was lost of how much in it.
    began: Duration,
    lost: f64,
    of: f64,
    bad: Option<Bad>,
    /// Since when little or nothing was lost.
    clean: Option<Duration>,
    /// When it opened or closed, and how long it stays open after that; none is never.
    turned: Option<Duration>,
    hold: Duration,
}

/// Periods in a row in which too much was lost: since when, how many, and the sum of what was.
#[derive(Clone, Copy, Debug)]
struct Bad {
    since: Duration,
    periods: u32,
    lost: f64,
}

impl Breaker {
    /// Returns that of a stream that sends a packet so often.
    #[must_use]
    pub const fn new(limits: Limits, normal: Duration, now: Duration) -> Self {
        Self {
            limits,
            normal,
            falls: 0,
            began: now,
            lost: 0.0,
            of: 0.0,
            bad: None,
            clean: None,
            turned: None,
            hold: Duration::ZERO,
        }
    }

    /// Returns the time between two packets.
    #[must_use]
    pub fn every(&self) -> Duration {
        let slow = self.normal.saturating_mul(FALL.saturating_pow(self.falls));
        self.normal.max(slow.min(SLOWEST))
    }

    /// Returns whether the stream is slower than it is configured.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.falls > 0
    }

    /// Goes on where that of another stream over the same path was: a rekey closes nothing.
    pub(super) fn inherit(&mut self, other: &Self) {
        *self = Self { limits: self.limits, normal: self.normal, ..other.clone() };
    }

    /// Takes word that so much was lost of so much.
    pub(super) fn hear(&mut self, lost: f64, of: f64) {
        self.lost += lost;
        self.of += of;
    }

    /// Judges the measurement period if it is over. Nothing heard in one is all lost if the peer
    /// `reports`, as reports are in each of its packets (RFC 8084 §4, 15).
    pub(super) fn check(&mut self, rtt: Duration, reports: bool, now: Duration) -> Option<Turn> {
        let period = (self.limits.interval / PERIODS).max(ROUND_TRIPS * rtt.min(LONGEST_RTT));
        if now < self.began + period {
            return None;
        }
        let silence = if reports { 1.0 } else { 0.0 };
        let lost = if self.of > 0.0 { (self.lost / self.of).clamp(0.0, 1.0) } else { silence };
        self.judge(lost);
        (self.began, self.lost, self.of) = (now, 0.0, 0.0);
        self.trip(now).or_else(|| self.close(lost, now))
    }

    fn judge(&mut self, lost: f64) {
        if lost >= self.limits.lost {
            let bad = self.bad.get_or_insert(Bad { since: self.began, periods: 0, lost: 0.0 });
            (bad.periods, bad.lost) = (bad.periods.saturating_add(1), bad.lost + lost);
            self.clean = None;
        } else {
            self.bad = None;
            // What is not much less than too much is no reason to try more.
            let is_clean = lost < self.limits.lost / 2.0;
            self.clean = is_clean.then(|| self.clean.unwrap_or(self.began));
        }
    }

    fn trip(&mut self, now: Duration) -> Option<Turn> {
        let bad = self.bad?;
        if bad.periods < LEAST_PERIODS || now < bad.since + self.limits.interval {
            return None;
        }
        self.hold = self.next_hold(now);
        let before = self.every();
        self.falls = if before < SLOWEST { self.falls + 1 } else { self.falls };
        (self.turned, self.bad) = (Some(now), None);
        let lost = bad.lost / f64::from(bad.periods);
        (self.every() > before).then(|| self.turn(lost))
    }

    /// Returns how long it stays open: longer if it trips soon after it was closed.
    fn next_hold(&self, now: Duration) -> Duration {
        let first = HOLD * self.limits.interval;
        match self.turned {
            Some(_) if self.is_open() => self.hold,
            Some(turned) if now <= turned + self.hold => {
                (2 * self.hold).clamp(first, LONGEST_HOLD.max(first))
            }
            _ => first,
        }
    }

    fn close(&mut self, lost: f64, now: Duration) -> Option<Turn> {
        let is_over = self.turned.is_some_and(|turned| now >= turned + self.hold);
        let is_clean = self.clean.is_some_and(|since| now >= since + self.limits.interval);
        if !self.is_open() || !is_over || !is_clean {
            return None;
        }
        (self.falls, self.turned) = (0, Some(now));
        Some(self.turn(lost))
    }

    fn turn(&self, lost: f64) -> Turn {
        Turn { is_open: self.is_open(), lost, every: self.every() }
    }
}

/// Returns the part of packets that is lost, of a loss event rate that is told as its inverse.
///
/// All losses within a round trip are one event (RFC 5348 §5.2), which begins with a lost packet, and
/// the next one begins with the first that is lost after that: so an interval has a round trip's packets
/// and as many as come before one is lost.
pub(super) fn part_lost(inverse: u32, rtt: Duration, every: Duration) -> f64 {
    if inverse == 0 {
        return 0.0;
    }
    let beyond = f64::from(inverse) - rtt.div_duration_f64(every.max(Duration::from_nanos(1)));
    beyond.max(1.0).recip()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);
    const RTT: Duration = Duration::from_millis(20);
    const LIMITS: Limits = Limits { lost: 0.2, interval: Duration::from_secs(30) };

    /// A breaker of 1,000 packets a second and what it did, on a clock of a second.
    struct Bench {
        breaker: Breaker,
        now: Duration,
        turns: Vec<(u64, Turn)>,
    }

    impl Bench {
        fn new() -> Self {
            let breaker = Breaker::new(LIMITS, MS, Duration::ZERO);
            Self { breaker, now: Duration::ZERO, turns: Vec::new() }
        }

        /// Lets seconds pass in which so much is lost of what is sent; none is that no report comes.
        fn pass(&mut self, seconds: u32, lost: Option<f64>) -> &mut Self {
            for _ in 0..seconds {
                self.now += SECOND;
                if let Some(lost) = lost {
                    self.breaker.hear(lost, 1.0);
                }
                let turn = self.breaker.check(RTT, true, self.now);
                self.turns.extend(turn.map(|turn| (self.now.as_secs(), turn)));
            }
            self
        }

        fn opened(&self) -> Vec<(u64, bool)> {
            self.turns.iter().map(|(at, turn)| (*at, turn.is_open)).collect()
        }
    }

    /// RFC 9347 §2.4.2.1: "the amount of persistent loss rate required to trip the circuit breaker
    /// and the required length of time this persistent loss rate must be seen".
    #[test]
    fn loss_that_persists_trips_it_and_it_falls_to_a_tenth() {
        let mut bench = Bench::new();
        bench.pass(29, Some(0.5));
        assert_eq!(bench.opened(), []);
        bench.pass(1, Some(0.5));
        let turn = Turn { is_open: true, lost: 0.5, every: 10 * MS };
        assert_eq!(bench.turns, [(30, turn)]);
    }

    /// RFC 8084 §4, 6: "it does not trigger under light or intermittent congestion".
    #[test]
    fn light_or_intermittent_loss_does_not() {
        let mut bench = Bench::new();
        bench.pass(3600, Some(0.19));
        for _ in 0..100 {
            bench.pass(24, Some(1.0)).pass(3, Some(0.0));
        }
        assert_eq!(bench.opened(), []);
    }

    /// RFC 8084 §4, 12: "MUST continue to monitor the level of congestion and MUST further react to reduce
    /// the rate if the CB is again triggered". A liar comes no further than that: a packet a second.
    #[test]
    fn it_falls_again_while_that_goes_on_and_never_to_nothing() {
        let mut bench = Bench::new();
        bench.pass(7200, Some(1.0));
        assert_eq!(bench.opened(), [(30, true), (60, true), (90, true)]);
        assert_eq!(bench.breaker.every(), SECOND);
    }

    /// RFC 8084 §4, 13: "MUST continue for a period that is at least the triggering interval"; no reset
    /// "when there is evidence of continued congestion".
    #[test]
    fn it_closes_when_the_path_was_good_for_long() {
        let mut bench = Bench::new();
        bench.pass(30, Some(0.5)).pass(300, Some(0.15));
        assert_eq!(bench.opened(), [(30, true)], "half of what trips it is no good path");
        bench.pass(60, Some(0.0));
        assert_eq!(bench.opened(), [(30, true), (360, false)]);
        assert_eq!(bench.breaker.every(), MS);

        let mut bench = Bench::new();
        bench.pass(30, Some(0.5)).pass(300, Some(0.0));
        assert_eq!(bench.opened(), [(30, true), (150, false)], "four intervals");
    }

    /// A path that is too narrow stays so: the times between two tries double.
    #[test]
    fn each_time_that_it_trips_again_it_waits_longer() {
        let mut bench = Bench::new();
        for _ in 0..40_000 {
            let lost = if bench.breaker.is_open() { 0.0 } else { 0.5 };
            bench.pass(1, Some(lost));
        }
        let times: Vec<_> = bench.opened().iter().map(|(at, _)| *at).collect();
        let open: Vec<_> = times.chunks_exact(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(open.starts_with(&[120, 240, 480, 960, 1920, 3600, 3600]), "{open:?}");
        // After a good day the first wait is short again.
        bench.pass(86_400, Some(0.0)).pass(30, Some(0.5));
        let opened = bench.turns.last().unwrap().0;
        bench.pass(120, Some(0.0));
        assert_eq!(bench.turns.last().unwrap().0, opened + 120);
    }

    /// RFC 8084 §4, 15: it "triggers when it fails to receive measurement reports that indicate an absence
    /// of congestion".
    #[test]
    fn silence_of_a_peer_that_reports_trips_it_and_that_of_others_does_not() {
        let mut bench = Bench::new();
        bench.pass(100, Some(0.0)).pass(34, None);
        assert_eq!(bench.turns.len(), 1, "{:?}", bench.turns);
        let mut breaker = Breaker::new(LIMITS, MS, Duration::ZERO);
        assert!((1..1000).all(|second| breaker.check(RTT, false, second * SECOND).is_none()));
    }

    /// RFC 8084 §4, 4: a period is longer than round trips are.
    #[test]
    fn long_round_trips_make_long_periods() {
        let mut breaker = Breaker::new(Limits { interval: SECOND, ..LIMITS }, MS, Duration::ZERO);
        let rtt = 2 * SECOND;
        let tripped = (1..100).find(|second| {
            breaker.hear(1.0, 1.0);
            breaker.check(rtt, true, *second * SECOND).is_some()
        });
        assert_eq!(tripped, Some(LEAST_PERIODS * ROUND_TRIPS * 2));
    }

    /// A peer whose echoes make a round trip of an hour gets no hour for it.
    #[test]
    fn a_made_up_round_trip_puts_nothing_off() {
        let mut breaker = Breaker::new(LIMITS, MS, Duration::ZERO);
        let tripped = (1..100).find(|second| {
            breaker.hear(1.0, 1.0);
            breaker.check(3600 * SECOND, true, *second * SECOND).is_some()
        });
        assert_eq!(tripped, Some(51), "three periods of four of the longest round trips");
    }

    #[test]
    fn a_slow_stream_gets_no_faster() {
        let mut breaker = Breaker::new(LIMITS, 5 * SECOND, Duration::ZERO);
        for second in 1..200 {
            breaker.hear(1.0, 1.0);
            assert_eq!(breaker.check(RTT, true, second * SECOND), None);
        }
        assert_eq!(breaker.every(), 5 * SECOND);
    }

    /// A rekey is no way around it, and new limits count from then on.
    #[test]
    fn the_next_stream_goes_on_where_this_one_was() {
        let mut bench = Bench::new();
        bench.pass(30, Some(0.5));
        let mut next = Breaker::new(Limits { lost: 0.9, ..LIMITS }, 2 * MS, bench.now);
        next.inherit(&bench.breaker);
        assert!(next.is_open() && next.every() == 20 * MS && next.limits.lost > 0.8);
    }

    /// RFC 5348 §5.2: twenty packets a round trip, of which every tenth is lost.
    #[test]
    fn what_is_lost_is_told_by_the_intervals() {
        assert!(part_lost(0, RTT, MS) < 1e-9);
        assert!((part_lost(30, RTT, MS) - 0.1).abs() < 1e-9);
        assert!((part_lost(1, RTT, MS) - 1.0).abs() < 1e-9);
        assert!((part_lost(1000, RTT, Duration::ZERO) - 1.0).abs() < 1e-9);
        assert!(part_lost(u32::MAX, RTT, MS) < 1e-9);
    }
}

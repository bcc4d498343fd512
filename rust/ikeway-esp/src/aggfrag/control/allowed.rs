// SPDX-License-Identifier: Apache-2.0
//! The rate that a sender allows itself (RFC 9347 §2.4.2, RFC 5348 §4.2 to §4.4).

use std::time::Duration;

use super::throughput::throughput;

/// Packets a second before a round trip is known: what TCP sends today in a second without one (RFC
/// 6928 §2, RFC 6298 §2), where RFC 5348 §4.2 has one.
const START: f64 = 10.0;
/// Octets in the first round trip that is known, and the least and most packets that they are (RFC 5348
/// §4.2).
const FIRST_WINDOW: f64 = 4380.0;
const FIRST_PACKETS: (f64, f64) = (2.0, 4.0);
/// The least: fields of reports have no room for slower streams.
const LEAST: f64 = 1.0;
/// How long nothing is heard before the first round trip (RFC 5348 §4.2), and how many of them after it
/// (§4.3, step 3).
const FIRST_SILENCE: Duration = Duration::from_secs(2);
const SILENCE: u32 = 4;

/// Packets a second, never more than the operator gives.
#[derive(Clone)]
pub(super) struct Allowed {
    most: f64,
    /// Packets in the first round trip.
    window: f64,
    rate: f64,
    inverse: u32,
    changed: Duration,
    heard: Duration,
    rtt: Option<Duration>,
}

impl Allowed {
    /// Returns that of a new stream, whose packets have so many octets.
    pub(super) fn new(most: f64, octets: u16, now: Duration) -> Self {
        let rate = most.min(START);
        let (fewest, many) = FIRST_PACKETS;
        let window = (FIRST_WINDOW / f64::from(octets.max(1))).clamp(fewest, many);
        Self { most, window, rate, inverse: 0, changed: now, heard: now, rtt: None }
    }

    /// Returns the time between two packets.
    pub(super) fn every(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    /// Begins with another rate.
    pub(super) fn inherit(&mut self, every: Duration) {
        self.set(every.as_secs_f64().max(1e-6).recip());
    }

    /// Takes a report that shows that packets of ours arrive: the round trip, and the inverse of the
    /// loss event rate. The rate changes once in a round trip, or when something was lost.
    pub(super) fn hear(&mut self, rtt: Duration, inverse: u32, now: Duration) {
        let is_first = self.rtt.is_none();
        (self.heard, self.rtt) = (now, Some(rtt));
        let is_worse = inverse != 0 && (self.inverse == 0 || inverse < self.inverse);
        if !is_first && !is_worse && now < self.changed + rtt {
            return;
        }
        (self.changed, self.inverse) = (now, inverse);
        let doubled = self.rate * 2.0;
        self.set(match inverse {
            // Slow start (RFC 5348 §4.3, step 4).
            0 => doubled.max(self.window / rtt.as_secs_f64().max(1e-6)),
            inverse => throughput(rtt, 1.0 / f64::from(inverse)).min(doubled),
        });
    }

    /// Halves the rate if nothing was heard for long: "no feedback timeout" (RFC 9347 §2.4.2, RFC 5348
    /// §4.4).
    pub(super) fn check(&mut self, now: Duration) {
        let patience = self.rtt.map_or(FIRST_SILENCE, |rtt| (SILENCE * rtt).max(2 * self.every()));
        if now > self.heard + patience {
            self.heard = now;
            self.set(self.rate / 2.0);
        }
    }

    fn set(&mut self, rate: f64) {
        self.rate = rate.max(LEAST).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn without_loss_it_doubles_each_round_trip_up_to_what_is_given() {
        let mut allowed = Allowed::new(1000.0, 1000, Duration::ZERO);
        assert_eq!(allowed.every(), 100 * MS);
        let mut rates = Vec::new();
        for round in 1..7 {
            allowed.hear(50 * MS, 0, 50 * MS * round);
            allowed.hear(50 * MS, 0, 50 * MS * round + MS);
            rates.push(allowed.rate);
        }
        assert_eq!(rates, [80.0, 160.0, 320.0, 640.0, 1000.0, 1000.0]);
    }

    /// RFC 5348 §4.2: "initial_rate = W_init/R; W_init = min(4*MSS, max(2*MSS, 4380))".
    #[test]
    fn the_first_round_trip_has_as_many_octets_as_that_of_tcp() {
        for (octets, packets) in [(256, 4.0), (1095, 4.0), (1460, 3.0), (2190, 2.0), (9000, 2.0)] {
            let mut allowed = Allowed::new(1e6, octets, Duration::ZERO);
            allowed.hear(MS, 0, MS);
            assert!((allowed.rate - 1000.0 * packets).abs() < 1e-6, "{octets} {}", allowed.rate);
        }
    }

    /// RFC 5348 §4.3, step 4: the equation, and at most twice what arrives. Reports do not say that, so
    /// what was sent stands for it.
    #[test]
    fn losses_lower_it_at_once() {
        let mut allowed = Allowed::new(1000.0, 1000, Duration::ZERO);
        for round in 1..7 {
            allowed.hear(50 * MS, 0, 50 * MS * round);
        }
        allowed.hear(50 * MS, 100, 301 * MS);
        let fallen = allowed.rate;
        assert!((fallen - throughput(50 * MS, 0.01)).abs() < 1e-6);
        allowed.hear(50 * MS, 1_000_000, 400 * MS);
        assert!((allowed.rate - 2.0 * fallen).abs() < 1e-6);
    }

    /// RFC 9347 §2.4.2: "When a 'no feedback timeout' has occurred, the sending rate is halved".
    #[test]
    fn silence_halves_it() {
        let mut allowed = Allowed::new(1000.0, 1000, Duration::ZERO);
        allowed.hear(50 * MS, 0, MS);
        allowed.check(200 * MS);
        assert!((allowed.rate - 80.0).abs() < 1e-9);
        allowed.check(202 * MS);
        assert!((allowed.rate - 40.0).abs() < 1e-9);
        for round in 1..1000 {
            allowed.check(202 * MS + 5000 * MS * round);
        }
        assert!((allowed.rate - LEAST).abs() < 1e-9, "and goes on, however slowly");
    }
}

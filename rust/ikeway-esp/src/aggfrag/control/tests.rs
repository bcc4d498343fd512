// SPDX-License-Identifier: Apache-2.0
//! Streams over a path whose narrowest link has a queue (RFC 9347 §2.4.2): simulated, on one clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Congestion, CongestionInfo, Dialogue};

const MS: Duration = Duration::from_millis(1);
const TICK: Duration = Duration::from_micros(100);
const DELAY: Duration = Duration::from_millis(20);
const QUEUE: usize = 40;
const MOST: f64 = 2000.0;

/// One end: what it sends, and what it hears of the other.
struct End {
    dialogue: Arc<Dialogue>,
    congestion: Congestion,
    every: Duration,
    due: Duration,
    number: u64,
}

impl End {
    fn new(most: Option<f64>, every: Duration) -> Self {
        let dialogue = Arc::new(Dialogue::default());
        let congestion = Congestion::new(Arc::clone(&dialogue), most, Duration::ZERO);
        Self { dialogue, congestion, every, due: Duration::ZERO, number: 0 }
    }

    fn send(&mut self, now: Duration) -> Option<(u64, CongestionInfo)> {
        if now < self.due {
            return None;
        }
        let info = self.congestion.next(self.every, now);
        self.every = self.congestion.every().unwrap_or(self.every);
        self.due += self.every;
        self.number += 1;
        Some((self.number, info))
    }
}

/// A controlled stream one way, reports the other, and the link between.
struct Road {
    sender: End,
    receiver: End,
    waiting: VecDeque<(u64, CongestionInfo)>,
    free: Duration,
    there: VecDeque<(Duration, u64, CongestionInfo)>,
    back: VecDeque<(Duration, u64, CongestionInfo)>,
    now: Duration,
}

impl Road {
    fn new() -> Self {
        Self {
            sender: End::new(Some(MOST), 100 * MS),
            receiver: End::new(None, 5 * MS),
            waiting: VecDeque::new(),
            free: Duration::ZERO,
            there: VecDeque::new(),
            back: VecDeque::new(),
            now: Duration::ZERO,
        }
    }

    /// Lets seconds pass with a link of so many packets a second, 0 being none at all. Returns how
    /// many were sent in each second.
    fn run(&mut self, seconds: u32, capacity: f64) -> Vec<u64> {
        let mut sent = Vec::new();
        for _ in 0..seconds {
            let (before, end) = (self.sender.number, self.now + 1000 * MS);
            while self.now < end {
                self.tick(capacity);
            }
            sent.push(self.sender.number - before);
        }
        sent
    }

    fn tick(&mut self, capacity: f64) {
        self.now += TICK;
        let now = self.now;
        if let Some(packet) = self.sender.send(now)
            && self.waiting.len() < QUEUE
            && capacity > 0.0
        {
            self.waiting.push_back(packet);
        }
        while capacity > 0.0
            && now >= self.free
            && let Some((number, info)) = self.waiting.pop_front()
        {
            self.free = now + Duration::from_secs_f64(1.0 / capacity);
            self.there.push_back((now + DELAY, number, info));
        }
        if let Some((number, info)) = self.receiver.send(now) {
            self.back.push_back((now + DELAY, number, info));
        }
        for (way, end) in [(&mut self.there, &self.receiver), (&mut self.back, &self.sender)] {
            while let Some((at, number, info)) = way.front().copied()
                && at <= now
            {
                way.pop_front();
                end.dialogue.hear(number, Some(info), false, now);
            }
        }
    }
}

fn mean(sent: &[u64]) -> u64 {
    sent.iter().sum::<u64>() / u64::try_from(sent.len()).unwrap()
}

/// §2.4.2: "lowering the packet send rate to accommodate the congestion, as well as raising the rate
/// when congestion subsides".
#[test]
fn the_rate_follows_what_the_narrowest_link_carries() {
    let mut road = Road::new();
    let wide = road.run(30, 500.0);
    assert!((300..=520).contains(&mean(&wide[10..])), "{wide:?}");
    let narrow = road.run(30, 100.0);
    assert!((50..=110).contains(&mean(&narrow[10..])), "{narrow:?}");
    let again = road.run(60, 500.0);
    assert!((300..=520).contains(&mean(&again[40..])), "{again:?}");
}

/// §4.1: the bandwidth that is configured is the most; it is reached in seconds where the path has it.
#[test]
fn a_path_that_loses_nothing_carries_what_is_configured_and_never_more() {
    let mut road = Road::new();
    let sent = road.run(10, 5000.0);
    assert!(sent.iter().all(|packets| *packets <= 2001), "{sent:?}");
    assert!(mean(&sent[4..]) >= 1999, "{sent:?}");
}

/// §2.4.2: without feedback the rate is halved again and again; it comes back with the path.
#[test]
fn a_path_that_is_gone_gets_next_to_nothing() {
    let mut road = Road::new();
    road.run(10, 500.0);
    let gone = road.run(20, 0.0);
    assert!(mean(&gone[10..]) <= 2, "{gone:?}");
    let back = road.run(40, 500.0);
    assert!(mean(&back[30..]) >= 150, "{back:?}");
}

/// §3: the round trip that the peer is told is that of the path and its queue, or of the rates.
#[test]
fn the_round_trip_is_measured() {
    let mut road = Road::new();
    road.run(5, 5000.0);
    let info = road.sender.congestion.next(road.sender.every, road.now);
    assert!((40_000..46_000).contains(&info.rtt), "{info:?}");
    assert_eq!((info.loss_event_rate, info.transmit_delay), (0, 500));
}

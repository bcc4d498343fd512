// SPDX-License-Identifier: Apache-2.0
//! Streams over a path whose narrowest link has a queue (RFC 9347 §2.4.2): simulated, on one clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{BreakerLimits, Congestion, CongestionInfo, Dialogue, Turn};

const MS: Duration = Duration::from_millis(1);
const TICK: Duration = Duration::from_micros(100);
const DELAY: Duration = Duration::from_millis(20);
const QUEUE: usize = 40;
const MOST: f64 = 2000.0;
const LIMITS: BreakerLimits = BreakerLimits { lost: 0.2, interval: Duration::from_secs(10) };

/// One end: what it sends, and what it hears of the other.
struct End {
    dialogue: Arc<Dialogue>,
    congestion: Congestion,
    every: Duration,
    due: Duration,
    number: u64,
}

impl End {
    fn new(every: Duration, brake: impl FnOnce(Congestion) -> Congestion) -> Self {
        let dialogue = Arc::new(Dialogue::default());
        let congestion = brake(Congestion::new(Arc::clone(&dialogue)));
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
    /// How many of a thousand are lost at random on the way there, and back.
    losing: [u64; 2],
    random: u64,
    /// Whether the receiver says anything.
    reports: bool,
    turns: Vec<Turn>,
}

impl Road {
    fn new() -> Self {
        Self::of(End::new(100 * MS, |congestion| congestion.controlled(MOST, 1000, Duration::ZERO)))
    }

    /// Returns one with a stream of constant rate, and a breaker.
    fn guarded() -> Self {
        let every = MS / 2;
        Self::of(End::new(every, |congestion| congestion.guarded(LIMITS, every, Duration::ZERO)))
    }

    fn of(sender: End) -> Self {
        Self {
            sender,
            receiver: End::new(5 * MS, |congestion| congestion),
            waiting: VecDeque::new(),
            free: Duration::ZERO,
            there: VecDeque::new(),
            back: VecDeque::new(),
            now: Duration::ZERO,
            losing: [0, 0],
            random: 1,
            reports: true,
            turns: Vec::new(),
        }
    }

    fn loses(&mut self, way: usize) -> bool {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.random >> 33) % 1000 < self.losing[way]
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
            && !self.loses(0)
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
        self.turns.extend(self.sender.congestion.take_turn());
        if let Some((number, info)) = self.receiver.send(now)
            && !self.loses(1)
        {
            self.back.push_back((now + DELAY, number, info));
        }
        let ways =
            [(&mut self.there, &self.receiver, true), (&mut self.back, &self.sender, self.reports)];
        for (way, end, reports) in ways {
            while let Some((at, number, info)) = way.front().copied()
                && at <= now
            {
                way.pop_front();
                end.dialogue.hear(number, reports.then_some(info), false, now);
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

/// §2.4.2.1: a link that is too narrow is too much for a stream of constant rate.
#[test]
fn a_breaker_opens_where_a_link_carries_half_and_closes_when_it_carries_all() {
    let mut road = Road::guarded();
    let sent = road.run(30, 1000.0);
    assert!(sent[..9].iter().all(|packets| (1999..=2001).contains(packets)), "{sent:?}");
    assert!(sent[15..].iter().all(|packets| (199..=201).contains(packets)), "{sent:?}");
    let [turn] = road.turns[..] else { panic!("{:?}", road.turns) };
    assert!(turn.is_open && (0.3..=0.7).contains(&turn.lost), "{turn:?}");
    let sent = road.run(60, 5000.0);
    assert!((1999..=2001).contains(&sent[59]), "{sent:?}");
    assert!(road.turns.len() == 2 && !road.turns[1].is_open, "{:?}", road.turns);
}

/// RFC 8084 §4, 6, and what the intervals say is what is lost, within a factor of 2.
#[test]
fn a_breaker_tells_much_loss_from_some() {
    for (losing, is_tripped) in [(1, false), (10, false), (50, false), (400, true), (800, true)] {
        let mut road = Road { losing: [losing, 0], ..Road::guarded() };
        road.run(30, 5000.0);
        assert_eq!(!road.turns.is_empty(), is_tripped, "{losing} {:?}", road.turns);
        if let Some(turn) = road.turns.first() {
            let ratio = turn.lost * 1000.0 / f64::from(u32::try_from(losing).unwrap());
            assert!((0.5..=2.0).contains(&ratio), "{losing} {turn:?}");
        }
    }
}

/// RFC 8084 §4, 15: a path that is gone both ways loses the reports, too; it goes on at the least rate.
#[test]
fn a_breaker_opens_where_nothing_comes_back() {
    let mut road = Road::guarded();
    road.run(5, 5000.0);
    road.losing = [1000, 1000];
    let sent = road.run(60, 5000.0);
    assert!(sent[59] <= 2, "{sent:?}");
    road.losing = [0, 0];
    let sent = road.run(120, 5000.0);
    assert!((1999..=2001).contains(&sent[119]), "{:?}", road.turns);
}

/// A peer that reports nothing is heard losing packets itself.
#[test]
fn without_reports_what_we_lose_counts() {
    let mut road = Road { reports: false, losing: [500, 100], ..Road::guarded() };
    road.run(30, 5000.0);
    assert_eq!(road.turns, [], "it says nothing, and what it sends arrives");
    road.losing = [0, 500];
    road.run(15, 5000.0);
    let [turn] = road.turns[..] else { panic!("{:?}", road.turns) };
    assert!(turn.is_open && (0.4..=0.6).contains(&turn.lost), "{turn:?}");
}

/// The worst that a peer can say: a loss in each packet, and a round trip of any length. It gets a
/// packet a second in any case, and what it said before and is sent again counts for nothing.
#[test]
fn a_peer_that_lies_does_not_stop_a_stream() {
    let dialogue = Arc::new(Dialogue::default());
    let every = MS / 2;
    let congestion = Congestion::new(Arc::clone(&dialogue));
    let mut congestion = congestion.guarded(LIMITS, every, Duration::ZERO);
    let (mut now, mut number) = (Duration::ZERO, 1);
    let mut talk = |congestion: &mut Congestion, seconds: u64, inverse| {
        let (end, before) = (now + Duration::from_secs(seconds), number);
        while now < end {
            let every = congestion.every().unwrap();
            let told = congestion.next(every, now);
            (now, number) = (now + every, number + 1);
            let said = CongestionInfo {
                loss_event_rate: inverse,
                transmit_delay: 0x1f_ffff,
                echo: told.stamp,
                ..told
            };
            dialogue.hear(number, Some(said), false, now);
            dialogue.hear(1, Some(CongestionInfo { loss_event_rate: 1, ..said }), false, now);
        }
        number - before
    };
    assert!(talk(&mut congestion, 300, 1) >= 280);
    assert_eq!(congestion.every(), Some(Duration::from_secs(1)));
    talk(&mut congestion, 4000, 0);
    assert_eq!(congestion.every(), Some(every));
    let state = congestion.state(every);
    assert_eq!((state.loss_event_rate, state.is_open), (Some(0.0), Some(false)));
}

/// A rekey of a stream whose breaker is open closes nothing, and one without takes over nothing.
#[test]
fn the_next_stream_has_the_breaker_as_it_was() {
    let mut road = Road { losing: [500, 0], ..Road::guarded() };
    road.run(15, 5000.0);
    let legacy = road.sender.congestion.legacy();
    let fresh = || Congestion::new(Arc::default());
    let mut next = fresh().guarded(LIMITS, MS / 2, road.now);
    next.inherit(&legacy);
    assert_eq!(next.every(), Some(5 * MS));
    let mut other = fresh();
    other.inherit(&legacy);
    assert_eq!(other.every(), None);
}

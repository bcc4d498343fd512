// SPDX-License-Identifier: Apache-2.0
//! Congestion control: what two ends of a pair of streams tell each other, and what follows from it
//! (RFC 9347 §2.4.2, §3).

mod allowed;
mod breaker;
mod losses;
#[cfg(test)]
mod tests;
mod throughput;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use allowed::Allowed;
use breaker::{Breaker, part_lost};
pub use breaker::{Limits as BreakerLimits, Turn};
use losses::{Losses, whole};

use super::header::CongestionInfo;
use crate::counters::StreamState;

/// The largest values of fields: what is more is said as that (§6.1.2).
const MOST_RTT: u32 = 0x3f_ffff;
const MOST_DELAY: u32 = 0x1f_ffff;
/// The part of a sample in the round trip (RFC 5348 §4.3, step 2).
const SAMPLE: f64 = 0.1;

/// What the thread that receives knows of a pair, and the one that sends has to say.
///
/// Times are since one moment, the same for both.
#[derive(Default)]
pub struct Dialogue {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    losses: Losses,
    newest: u64,
    /// What the newest packet said.
    said: Option<CongestionInfo>,
    /// The stamp that is to be echoed, and when it came first.
    stamp: Option<(u32, Duration)>,
}

impl Dialogue {
    /// Takes a packet of the peer's that is verified, with what it says if it says something, and
    /// whether routers have marked it.
    pub fn hear(&self, number: u64, info: Option<CongestionInfo>, is_marked: bool, now: Duration) {
        let mut known = self.known();
        let rtt = known.said.map_or(Duration::ZERO, |said| micros(said.rtt));
        if info.is_some_and(|info| info.is_probing) {
            known.losses.forgive(number, now);
        } else {
            known.losses.arrive(number, is_marked, rtt, now);
        }
        if let Some(info) = info
            && number > known.newest
        {
            known.newest = number;
            if known.stamp.is_none_or(|(stamp, _)| stamp != info.stamp) {
                known.stamp = Some((info.stamp, now));
            }
            known.said = Some(info);
        }
    }

    /// Returns what the newest packet said, what is to be said of those that came (without the fields
    /// that are the sender's), and how many came of how many.
    fn report(&self, now: Duration) -> (Option<CongestionInfo>, CongestionInfo, (u64, u64)) {
        let known = self.known();
        let (echo, echo_delay) = match known.stamp {
            Some((stamp, at)) => (stamp, in_micros(now.saturating_sub(at), MOST_DELAY)),
            None => (0, 0),
        };
        let report = CongestionInfo {
            has_marks: known.losses.has_marks(),
            loss_event_rate: known.losses.inverse_rate(),
            echo,
            echo_delay,
            ..CongestionInfo::default()
        };
        (known.said, report, known.losses.arrived())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What losses do to a stream.
#[derive(Clone)]
enum Brake {
    /// Nothing.
    None,
    /// Its rate is what the path allows (RFC 9347 §2.4.2).
    Allowed(Allowed),
    /// Its rate is constant until too much is lost for too long (§2.4.2.1).
    Breaker(Box<Breaker>),
}

/// The sender's side: it makes reports, and is slowed down by those of the peer.
pub struct Congestion {
    dialogue: Arc<Dialogue>,
    brake: Brake,
    turn: Option<Turn>,
    /// What the peer has reported, and how much of what it sends had come, when that was looked at.
    reported: Option<u32>,
    arrived: (u64, u64),
    /// The smoothed round trip of packets.
    path: Option<Duration>,
    rtt: Duration,
    echoed: u32,
}

impl Congestion {
    /// Returns that of a new pair, of whose losses is only told.
    #[must_use]
    pub const fn new(dialogue: Arc<Dialogue>) -> Self {
        Self {
            dialogue,
            brake: Brake::None,
            turn: None,
            reported: None,
            arrived: (0, 0),
            path: None,
            rtt: Duration::ZERO,
            echoed: 0,
        }
    }

    /// Returns the same, with the rate that the path allows, and `most` packets a second of so many
    /// `octets`.
    #[must_use]
    pub fn controlled(self, most: f64, octets: u16, now: Duration) -> Self {
        Self { brake: Brake::Allowed(Allowed::new(most, octets, now)), ..self }
    }

    /// Returns the same, with a breaker; its stream sends one `every` so often.
    #[must_use]
    pub fn guarded(self, limits: BreakerLimits, every: Duration, now: Duration) -> Self {
        Self { brake: Brake::Breaker(Box::new(Breaker::new(limits, every, now))), ..self }
    }

    /// Returns the time between two packets from now on, if that is not always the same.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        match &self.brake {
            Brake::None => None,
            Brake::Allowed(allowed) => Some(allowed.every()),
            Brake::Breaker(breaker) => Some(breaker.every()),
        }
    }

    /// Returns what another stream of the same traffic is to begin with.
    #[must_use]
    pub fn legacy(&self) -> Legacy {
        Legacy(self.brake.clone())
    }

    /// Begins with what another stream of the same traffic has come to: the path is the same.
    pub fn inherit(&mut self, Legacy(brake): &Legacy) {
        match (&mut self.brake, brake) {
            (Brake::Allowed(allowed), Brake::Allowed(before)) => allowed.inherit(before.every()),
            (Brake::Breaker(breaker), Brake::Breaker(before)) => breaker.inherit(before),
            _ => (),
        }
    }

    /// Returns that the breaker has opened or closed, once.
    pub const fn take_turn(&mut self) -> Option<Turn> {
        self.turn.take()
    }

    /// Returns what is known of the stream, which sends one `every` so often.
    #[must_use]
    pub fn state(&self, every: Duration) -> StreamState {
        let rate = |inverse| if inverse == 0 { 0.0 } else { f64::from(inverse).recip() };
        let is_open = match &self.brake {
            Brake::Breaker(breaker) => Some(breaker.is_open()),
            Brake::None | Brake::Allowed(_) => None,
        };
        let rtt = Some(self.rtt).filter(|rtt| !rtt.is_zero());
        StreamState { every, rtt, loss_event_rate: self.reported.map(rate), is_open }
    }

    /// Takes what was heard since the last time, and returns what the next packet says; its stream
    /// sends one `every` so often.
    pub fn next(&mut self, every: Duration, now: Duration) -> CongestionInfo {
        let (said, report, arrived) = self.dialogue.report(now);
        // An echo that is not new says that no packet of ours came since.
        match said.filter(|said| said.echo != 0 && said.echo != self.echoed) {
            Some(said) => self.learn(said, every, now),
            None => {
                if let Brake::Allowed(allowed) = &mut self.brake {
                    allowed.check(now);
                }
            }
        }
        self.watch(said.is_some(), arrived, now);
        CongestionInfo {
            rtt: in_micros(self.rtt, MOST_RTT),
            transmit_delay: in_micros(every, MOST_DELAY),
            stamp: clock(now),
            ..report
        }
    }

    /// §3: "The larger of these 2 RTT estimates SHOULD be used": that of packets, and that of the
    /// rates at which they leave.
    fn learn(&mut self, said: CongestionInfo, every: Duration, now: Duration) {
        self.echoed = said.echo;
        if said.echo_delay < MOST_DELAY {
            let since = micros(clock(now).wrapping_sub(said.echo));
            let sample = since.saturating_sub(micros(said.echo_delay));
            self.path = Some(
                self.path
                    .map_or(sample, |path| path.mul_f64(1.0 - SAMPLE) + sample.mul_f64(SAMPLE)),
            );
        }
        let between = every + micros(said.transmit_delay);
        self.rtt = self.path.map_or(between, |path| path.max(between));
        let inverse = said.loss_event_rate;
        self.reported = Some(inverse);
        match &mut self.brake {
            Brake::None => (),
            Brake::Allowed(allowed) => allowed.hear(self.rtt, inverse, now),
            Brake::Breaker(breaker) => breaker.hear(part_lost(inverse, self.rtt, every), 1.0),
        }
    }

    /// Has the breaker judge. What a peer that `reports` nothing loses of ours nobody knows: what we lose
    /// of what it sends stands for that.
    fn watch(&mut self, reports: bool, arrived: (u64, u64), now: Duration) {
        let Brake::Breaker(breaker) = &mut self.brake else { return };
        let (came, sent) = arrived;
        let before = std::mem::replace(&mut self.arrived, arrived);
        if !reports && before.1 > 0 {
            let sent = whole(sent.saturating_sub(before.1));
            breaker.hear(sent - whole(came.saturating_sub(before.0)), sent);
        }
        self.turn = breaker.check(self.rtt, reports, now).or(self.turn);
    }
}

/// What a stream leaves to that which comes after it.
#[derive(Clone)]
pub struct Legacy(Brake);

/// The stamp of a moment: microseconds, which come round in 71 minutes; 0 is none.
#[allow(clippy::cast_possible_truncation, reason = "it comes round")]
fn clock(now: Duration) -> u32 {
    (now.as_micros() as u32).max(1)
}

fn micros(value: u32) -> Duration {
    Duration::from_micros(value.into())
}

fn in_micros(time: Duration, most: u32) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(most).min(most)
}

// SPDX-License-Identifier: Apache-2.0
//! Congestion control: what two ends of a pair of streams tell each other, and what follows from it
//! (RFC 9347 §2.4.2, §3).

mod allowed;
mod losses;
#[cfg(test)]
mod tests;
mod throughput;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use allowed::Allowed;
use losses::Losses;

use super::header::CongestionInfo;

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

    /// Returns what the newest packet said, and what is to be said of those that came: without the
    /// fields that are the sender's.
    fn report(&self, now: Duration) -> (Option<CongestionInfo>, CongestionInfo) {
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
        (known.said, report)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sender's side: it makes reports, and is slowed down by those of the peer.
pub struct Congestion {
    dialogue: Arc<Dialogue>,
    /// None is that losses do not slow it down.
    allowed: Option<Allowed>,
    /// The smoothed round trip of packets.
    path: Option<Duration>,
    rtt: Duration,
    echoed: u32,
}

impl Congestion {
    /// Returns that of a new pair; `most` packets a second are allowed if it is controlled.
    #[must_use]
    pub fn new(dialogue: Arc<Dialogue>, most: Option<f64>, now: Duration) -> Self {
        let allowed = most.map(|most| Allowed::new(most, now));
        Self { dialogue, allowed, path: None, rtt: Duration::ZERO, echoed: 0 }
    }

    /// Returns the time between two packets from now on, if that is not constant.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        self.allowed.as_ref().map(Allowed::every)
    }

    /// Begins with the rate that another stream of the same traffic has come to.
    pub fn inherit(&mut self, every: Duration) {
        if let Some(allowed) = &mut self.allowed {
            allowed.inherit(every);
        }
    }

    /// Takes what was heard since the last time, and returns what the next packet says; its stream
    /// sends one `every` so often.
    pub fn next(&mut self, every: Duration, now: Duration) -> CongestionInfo {
        let (said, report) = self.dialogue.report(now);
        // An echo that is not new says that no packet of ours came since.
        match said.filter(|said| said.echo != 0 && said.echo != self.echoed) {
            Some(said) => self.learn(said, every, now),
            None => {
                if let Some(allowed) = &mut self.allowed {
                    allowed.check(now);
                }
            }
        }
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
        if let Some(allowed) = &mut self.allowed {
            allowed.hear(self.rtt, said.loss_event_rate, now);
        }
    }
}

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

// SPDX-License-Identifier: Apache-2.0
//! The thread that sends by the clock, and not because a packet came: dummies while an SA is idle
//! (RFC 4303 §2.6), and streams (RFC 9347).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use ikeway_esp::{OutboundSa, Packer, Refusal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::set_current_timer_slack;

use crate::events::Reporter;
use crate::mailbox::Inbox;
use crate::outbound::Sender;
use crate::wiring::{Wiring, is_ready};

/// How long ago a stream may have had its turn for it to be made up for.
const CATCH_UP: Duration = Duration::from_millis(250);
/// The kernel may be so much late, in nanoseconds: by default it is by a whole packet of a fast stream.
const SLACK: u64 = 1000;

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

/// The thread: what it shares with the others, and its mail.
pub(crate) struct Pacing {
    pub(crate) wiring: Wiring,
    pub(crate) inbox: Inbox<Paced>,
}

impl Pacing {
    /// Runs until the engine stops.
    pub(crate) fn run(&self) {
        let mut sender = Sender::new(&self.wiring.listening, self.wiring.queue);
        let mut paced = Paced::default();
        // Where it is not allowed, packets leave a little later.
        let _ = set_current_timer_slack(NonZeroU64::new(SLACK));
        let mut ready = [PollFd::new(&self.inbox.bell, PollFlags::IN)];
        self.wiring.repeat(|| {
            // An interrupted wait is a short wait.
            let _ = poll(&mut ready, paced.wait(Instant::now()).as_ref());
            if is_ready(&ready[0]) {
                self.inbox.run(&mut paced);
            }
            paced.run(Instant::now(), &mut sender, &self.wiring.reporter);
            sender.flush();
        });
    }
}

/// What the thread owns: SAs, by the SPI of their inbound half, and when each is to send.
#[derive(Default)]
pub(crate) struct Paced {
    sas: HashMap<u32, Timed>,
    agenda: BinaryHeap<Reverse<(Instant, u32)>>,
    added: u64,
}

struct Timed {
    sa: OutboundSa,
    beat: Beat,
    due: Instant,
    /// The younger one is the higher.
    order: u64,
    has_begun: bool,
}

/// What an SA sends by the clock.
pub(crate) enum Beat {
    Dummies(Idle),
    Stream(Box<Stream>),
}

/// An SA that sends dummies, and how many packets it had sent when it was looked at last.
pub(crate) struct Idle {
    dummies: Dummies,
    seen: u64,
}

impl From<Dummies> for Beat {
    fn from(dummies: Dummies) -> Self {
        Self::Dummies(Idle { dummies, seen: 0 })
    }
}

/// Payloads of one size at a constant rate.
pub(crate) struct Stream {
    every: Duration,
    packer: Packer,
    payload: Vec<u8>,
    /// Whether another one carries its packets now: it ends with what has begun.
    is_leaving: bool,
}

impl Stream {
    pub(crate) const fn new(every: Duration, packer: Packer) -> Self {
        Self { every, packer, payload: Vec::new(), is_leaving: false }
    }

    /// Sends the next payload, whatever there is to send: nobody is to see whether there is.
    fn send(&mut self, sa: &OutboundSa, sender: &mut Sender) -> Result<(), Refusal> {
        let backlog = sa.backlog().ok_or(Refusal::NoSa)?;
        if self.is_leaving && backlog.is_empty() && !self.packer.is_within_a_packet() {
            return Ok(());
        }
        let packed = self.packer.fill(&mut self.payload, || backlog.pop());
        sa.counters().sent.add(packed.packets, packed.octets);
        sender.send_payload(sa, &self.payload)
    }

    /// What the machine did not come to is made up for, so that the rate is as it should be, but for
    /// what is long ago.
    fn next(&self, due: Instant, now: Instant) -> Instant {
        let next = due + self.every;
        if now.saturating_duration_since(next) > CATCH_UP { now + self.every } else { next }
    }
}

impl Paced {
    pub(crate) fn add(&mut self, spi_in: u32, sa: OutboundSa, beat: Beat) {
        let due = Instant::now();
        self.added += 1;
        let timed = Timed { sa, beat, due, order: self.added, has_begun: false };
        self.agenda.push(Reverse((due, spi_in)));
        self.sas.insert(spi_in, timed);
    }

    pub(crate) fn remove(&mut self, spi_in: u32) {
        self.sas.remove(&spi_in);
    }

    pub(crate) fn migrate(&mut self, spi_in: u32, path: (SocketAddr, SocketAddr)) {
        if let Some(timed) = self.sas.get_mut(&spi_in) {
            timed.sa.migrate(path);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns how long there is nothing to do.
    fn wait(&self, now: Instant) -> Option<Timespec> {
        let Reverse((due, _)) = self.agenda.peek()?;
        due.saturating_duration_since(now).try_into().ok()
    }

    /// Has every SA send whose time has come.
    fn run(&mut self, now: Instant, sender: &mut Sender, reporter: &Reporter) {
        while let Some(Reverse((due, spi_in))) = self.agenda.peek().copied()
            && due <= now
        {
            self.agenda.pop();
            // One that went may have left its time behind.
            let Some(timed) = self.sas.get_mut(&spi_in).filter(|timed| timed.due == due) else {
                continue;
            };
            let begins = timed.beat(now, sender, reporter);
            self.agenda.push(Reverse((timed.due, spi_in)));
            if begins {
                self.supersede(spi_in);
            }
        }
    }

    /// Has older streams of the same traffic end: rekeyed, they would double the rate.
    fn supersede(&mut self, spi_in: u32) {
        let Some(newest) = self.sas.get(&spi_in) else { return };
        let (order, policy) = (newest.order, newest.sa.policy().clone());
        for timed in self.sas.values_mut() {
            if let Beat::Stream(stream) = &mut timed.beat
                && timed.order < order
                && *timed.sa.policy() == policy
            {
                stream.is_leaving = true;
            }
        }
    }
}

impl Timed {
    /// Sends what is due. Returns whether it is the first time that the SA may send.
    fn beat(&mut self, now: Instant, sender: &mut Sender, reporter: &Reporter) -> bool {
        let begins = !self.has_begun && self.sa.has_begun();
        self.has_begun |= begins;
        let (packets, octets) = self.sa.counters().sent.read();
        self.due = match &mut self.beat {
            Beat::Dummies(idle) => {
                let is_idle = std::mem::replace(&mut idle.seen, packets) == packets;
                if is_idle && self.has_begun {
                    // Nobody misses a dummy that cannot leave.
                    let _ = sender.send_dummy(&self.sa);
                }
                idle.dummies.next(self.due, now)
            }
            Beat::Stream(stream) => {
                if self.has_begun
                    && let Err(refusal) = stream.send(&self.sa, sender)
                {
                    self.sa.counters().refuse(refusal);
                    reporter.refuse_own(refusal);
                }
                stream.next(self.due, now)
            }
        };
        // What nobody asked for uses up numbers, too, and is in no count of what was carried.
        let budget = &self.sa.counters().budget;
        if let Some(limit) = budget.reach((self.sa.sealed(), octets)) {
            reporter.spent(budget.pair(), limit);
        }
        begins
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

// SPDX-License-Identifier: Apache-2.0
//! The thread that sends by the clock, and not because a packet came: dummies while an SA is idle
//! (RFC 4303 §2.6).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ikeway_esp::OutboundSa;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::events::Reporter;
use crate::mailbox::Inbox;
use crate::outbound::Sender;
use crate::wiring::{Wiring, is_ready};

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
}

struct Timed {
    sa: OutboundSa,
    dummies: Dummies,
    due: Instant,
    /// Packets that had been sent when it was looked at last.
    seen: u64,
}

impl Paced {
    pub(crate) fn add(&mut self, spi_in: u32, sa: OutboundSa, dummies: Dummies) {
        let now = Instant::now();
        let timed = Timed { sa, dummies, due: dummies.next(now, now), seen: 0 };
        self.agenda.push(Reverse((timed.due, spi_in)));
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
            if let Some(timed) = self.sas.get_mut(&spi_in).filter(|timed| timed.due == due) {
                timed.beat(now, sender, reporter);
                self.agenda.push(Reverse((timed.due, spi_in)));
            }
        }
    }
}

impl Timed {
    fn beat(&mut self, now: Instant, sender: &mut Sender, reporter: &Reporter) {
        let counters = self.sa.counters();
        let (packets, octets) = counters.sent.read();
        let is_idle = self.seen == packets;
        self.seen = packets;
        if is_idle && self.sa.has_begun() {
            // Nobody misses a dummy that cannot leave.
            let _ = sender.send_dummy(&self.sa);
        }
        // Dummies use up numbers, too, and are in no count of what was carried.
        if let Some(limit) = counters.budget.reach((self.sa.sealed(), octets)) {
            reporter.spent(counters.budget.pair(), limit);
        }
        self.due = self.dummies.next(self.due, now);
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

// SPDX-License-Identifier: Apache-2.0
//! The thread that sends by the clock, and not because a packet came: dummies while an SA is idle
//! (RFC 4303 §2.6), and streams (RFC 9347).

mod dummies;
mod stream;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::num::NonZeroU64;
use std::time::Instant;

use ikeway_esp::{Ends, OutboundSa};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;

pub(crate) use dummies::Dummies;
use dummies::Idle;
pub(crate) use stream::Stream;

use crate::events::Reporter;
use crate::mailbox::Inbox;
use crate::outbound::Sender;
use crate::path_mtu::Paths;
use crate::wiring::{Wiring, is_ready};

/// The kernel may be so much late, in nanoseconds: by default it is by a whole packet of a fast stream.
const SLACK: u64 = 1000;

/// The thread: what it shares with the others, and its mail.
pub(crate) struct Pacing {
    pub(crate) wiring: Wiring,
    pub(crate) inbox: Inbox<Paced>,
}

impl Pacing {
    /// Runs until the engine stops.
    pub(crate) fn run(&self) {
        let mut sender = Sender::new(&self.wiring);
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
            let Wiring { paths, reporter, .. } = &self.wiring;
            paced.run(Instant::now(), &mut Desk { sender: &mut sender, paths, reporter });
            sender.flush();
            sender.look_around(paths, reporter);
        });
    }
}

/// What is at hand for whoever sends.
pub(super) struct Desk<'thread> {
    sender: &'thread mut Sender,
    paths: &'thread Paths,
    reporter: &'thread Reporter,
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

impl From<Dummies> for Beat {
    fn from(dummies: Dummies) -> Self {
        Self::Dummies(Idle::new(dummies))
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

    pub(crate) fn migrate(&mut self, spi_in: u32, ends: Ends) {
        if let Some(timed) = self.sas.get_mut(&spi_in) {
            timed.sa.migrate(ends);
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
    fn run(&mut self, now: Instant, desk: &mut Desk<'_>) {
        while let Some(Reverse((due, spi_in))) = self.agenda.peek().copied()
            && due <= now
        {
            self.agenda.pop();
            // One that went may have left its time behind.
            let Some(timed) = self.sas.get_mut(&spi_in).filter(|timed| timed.due == due) else {
                continue;
            };
            let begins = timed.beat(now, desk);
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
        let mut legacy = None;
        for timed in self.sas.values_mut() {
            if let Beat::Stream(stream) = &mut timed.beat
                && timed.order < order
                && *timed.sa.policy() == policy
            {
                stream.leave();
                legacy = stream.legacy().or(legacy);
            }
        }
        // The path is the same, and need not be tried anew.
        if let (Some(legacy), Some(newest)) = (legacy, self.sas.get_mut(&spi_in))
            && let Beat::Stream(stream) = &mut newest.beat
        {
            stream.inherit(&legacy);
        }
    }
}

impl Timed {
    /// Sends what is due. Returns whether it is the first time that the SA may send.
    fn beat(&mut self, now: Instant, desk: &mut Desk<'_>) -> bool {
        let begins = !self.has_begun && self.sa.has_begun();
        self.has_begun |= begins;
        let (packets, octets) = self.sa.counters().sent.read();
        self.due = match &mut self.beat {
            Beat::Dummies(idle) => {
                if idle.is_idle(packets) && self.has_begun {
                    let most = desk.paths.longest_inner(&self.sa);
                    // Nobody misses a dummy that cannot leave.
                    let _ = desk.sender.send_dummy(&self.sa, most);
                }
                idle.next(self.due, now)
            }
            Beat::Stream(stream) => {
                if self.has_begun
                    && let Err(refusal) = stream.send(&self.sa, desk)
                {
                    self.sa.counters().refuse(refusal);
                    desk.reporter.refuse_own(refusal);
                }
                stream.next(self.due, now)
            }
        };
        // What nobody asked for uses up numbers, too, and is in no count of what was carried.
        let budget = &self.sa.counters().budget;
        if let Some(limit) = budget.reach((self.sa.sealed(), octets)) {
            desk.reporter.spent(budget.pair(), limit);
        }
        begins
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Which thread of a queue sends: the one that receives, until that is too much for one.
//!
//! A packet and its answer then wake one thread of each host and not two, and to wake a thread that
//! sleeps on another processor costs more than all else that is done for a packet. With much to do in
//! both directions the sending half goes to a thread of its own, and comes back when that has nothing
//! more to send.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bell::Bell;
use crate::error::EngineError;
use crate::outbound::Outbound;
use crate::patience::Patience;
use crate::rhythm::{Pace, Rhythm};
use crate::strain::{Crowd, Strain};
use crate::wiring::{Wiring, exhaust, is_ready};

/// A thread that had nothing to send for so long is not needed.
const IDLE: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// The way of the sending half from one thread to the other.
pub(crate) struct Relay {
    for_sender: Slot,
    for_receiver: Slot,
    /// That of the half's own mail.
    mail: Bell,
    sender: Bell,
    receiver: Bell,
}

/// Where the half stands for a moment: the lock is taken when it goes, not for a packet.
#[derive(Default)]
struct Slot(Mutex<Option<Outbound>>);

impl Slot {
    fn put(&self, half: Option<Outbound>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = half;
    }

    fn take(&self) -> Option<Outbound> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Relay {
    /// `receiver` wakes the thread that receives, which has the half first.
    pub(crate) fn new(half: Outbound, receiver: Bell) -> Result<Self, EngineError> {
        let (mail, sender) = (half.bell().clone(), Bell::new()?);
        let for_receiver = Slot::default();
        for_receiver.put(Some(half));
        Ok(Self { for_sender: Slot::default(), for_receiver, mail, sender, receiver })
    }

    /// Returns what rings when there is mail for the half, whoever has it.
    pub(crate) const fn mail(&self) -> &Bell {
        &self.mail
    }

    /// Wakes the thread that sends, so that it sees that the engine stops.
    pub(crate) fn end(&self) {
        self.sender.ring();
    }

    /// Runs the thread that sends when there is much to send, until the engine stops.
    pub(crate) fn run_sender(&self, wiring: &Wiring) {
        let mut called = [PollFd::new(&self.sender, PollFlags::IN)];
        let mut ready =
            [PollFd::new(&*wiring.tun, PollFlags::IN), PollFd::new(&self.mail, PollFlags::IN)];
        let mut half = None;
        let mut crowd = Crowd::new(Instant::now());
        wiring.repeat(|| {
            let Some(sending) = &mut half else {
                // An interrupted wait is a short wait, here and below.
                let _ = poll(&mut called, None);
                self.sender.hush();
                half = self.for_sender.take();
                crowd = Crowd::new(Instant::now());
                return;
            };
            let is_idle = poll(&mut ready, Some(&IDLE)) == Ok(0);
            // It takes a processor that others want, or that nobody needs.
            if is_idle || crowd.look(Instant::now()) == Some(true) {
                self.for_receiver.put(half.take());
                self.receiver.ring();
                return;
            }
            if is_ready(&ready[1]) {
                sending.read_mail();
            }
            exhaust(|| sending.drain(Pace::Many));
        });
    }
}

/// What the thread that receives does beside, and how it waits.
pub(crate) struct Duty<'engine> {
    relay: &'engine Relay,
    sending: Option<Outbound>,
    has_mail: bool,
    rhythm: Rhythm,
    strain: Strain,
    crowd: Crowd,
    patience: Patience,
}

impl<'engine> Duty<'engine> {
    /// `awake` is how long it may look before it sleeps.
    pub(crate) fn new(relay: &'engine Relay, awake: Duration) -> Self {
        let (strain, patience) = (Strain::new(Instant::now()), Patience::new(awake));
        let (rhythm, crowd) = (Rhythm::new(), Crowd::new(Instant::now()));
        Self { relay, sending: None, has_mail: false, rhythm, strain, crowd, patience }
    }

    /// Waits until something is there. The last two are the interface and the mail of the sending
    /// half, which are another thread's business while that has it. It takes no longer than `most`.
    pub(crate) fn wait(&mut self, ready: &mut [PollFd<'_>], most: Option<&Timespec>) {
        self.has_mail = false;
        if !self.rhythm.begin() {
            return;
        }
        if self.sending.is_none() {
            self.sending = self.relay.for_receiver.take();
        }
        let beside = if self.sending.is_some() { 0 } else { 2 };
        let count = ready.len().saturating_sub(beside);
        let Some(own) = ready.get_mut(..count) else { return };
        let has_rested = self.patience.wait(own, self.strain.is_busy(Instant::now()), most);
        if has_rested {
            self.strain.rest(Instant::now());
        }
        let [.., interface, mail] = ready else { return };
        self.has_mail = self.sending.is_some() && is_ready(mail);
        self.rhythm.answered(has_rested, is_ready(interface));
    }

    /// Calls `drain`, which says whether it found something: until it finds nothing, or once if
    /// there is something else to do.
    pub(crate) fn receive(&mut self, mut drain: impl FnMut() -> bool) {
        if self.sending.is_none() {
            exhaust(drain);
        } else {
            self.rhythm.received(drain());
        }
    }

    /// Sends what is there, if that is this thread's business, and gives it away if it is too much.
    pub(crate) fn send(&mut self) {
        let Some(sending) = &mut self.sending else { return };
        if self.has_mail {
            sending.read_mail();
        }
        if !self.rhythm.sends() {
            return;
        }
        let start = Instant::now();
        self.rhythm.sent(sending.drain(self.rhythm.pace()));
        self.strain.sent(start, Instant::now());
        if self.strain.is_too_much() {
            let now = Instant::now();
            self.strain.rest(now);
            // Of two such times in a row the second says whether there is a processor to spare.
            if self.crowd.look(now) == Some(false) {
                self.relay.for_sender.put(self.sending.take());
                self.relay.sender.ring();
            }
        }
    }
}

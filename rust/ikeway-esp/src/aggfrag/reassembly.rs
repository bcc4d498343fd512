// SPDX-License-Identifier: Apache-2.0
//! Payloads as they arrive into order, and then into packets (RFC 9347 §2.2.3, §2.5).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::assembly::Assembly;
use super::control::Dialogue;
use super::header::Payload;
use crate::error::Refusal;

/// The most payloads that one may be waited for.
pub const MAX_REORDER: usize = 64;

/// What an inbound SA has received of a stream.
///
/// Times are since any fixed moment. At most as many payloads are held as may be waited for, and one
/// inner packet in parts.
pub struct Reassembly {
    assembly: Assembly,
    /// The number that is to come next.
    next: u64,
    /// What came after that; the first of them is number `next`, and missing.
    held: VecDeque<Option<Box<[u8]>>>,
    reorder: usize,
    patience: Duration,
    /// When what is held is given up waiting for.
    deadline: Option<Duration>,
    lost: u64,
    dialogue: Option<Arc<Dialogue>>,
}

impl Reassembly {
    /// Returns the state of a new SA, in which `reorder` packets may overtake one, and none is
    /// waited for longer than `patience`.
    #[must_use]
    pub fn new(reorder: usize, patience: Duration) -> Self {
        Self {
            assembly: Assembly::default(),
            next: 1,
            held: VecDeque::new(),
            reorder: reorder.min(MAX_REORDER),
            patience,
            deadline: None,
            lost: 0,
            dialogue: None,
        }
    }

    /// Returns the same with what arrives, and what the peer says of congestion, noted.
    #[must_use]
    pub fn reporting(self, dialogue: Option<Arc<Dialogue>>) -> Self {
        Self { dialogue, ..self }
    }

    /// Notes that a payload has arrived, where congestion is told of; it may be marked by routers.
    pub fn note(&self, number: u64, payload: &[u8], is_marked: bool, now: Duration) {
        if let Some(dialogue) = &self.dialogue
            && let Ok(payload) = Payload::read(payload)
        {
            dialogue.hear(number, payload.congestion, is_marked, now);
        }
    }

    /// Returns how many payloads were waited for in vain.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns when [`Reassembly::give_up`] is to be called, unless something comes before.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Takes the payload of the packet with this number, which is verified and not a replay, and
    /// calls `take` with each inner packet that is whole then, in order.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if it is no payload or does not agree with what came before,
    /// [`Refusal::Replayed`] if it is no longer waited for.
    pub fn add(
        &mut self,
        number: u64,
        payload: &[u8],
        now: Duration,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), Refusal> {
        // One that is no payload leaves a gap: it would be one in any case.
        Payload::read(payload)?;
        let mut ahead = number.checked_sub(self.next).ok_or(Refusal::Replayed)?;
        let mut result = Ok(());
        while ahead > self.reach() {
            ahead -= self.step(ahead, &mut take, &mut result);
        }
        if ahead == 0 {
            self.held.pop_front();
            self.next += 1;
            result = result.and(self.assemble(payload, &mut take));
            self.drain(&mut take, &mut result);
        } else {
            self.hold(usize::try_from(ahead).unwrap_or(usize::MAX), payload);
        }
        self.deadline = if self.held.is_empty() {
            None
        } else {
            self.deadline.or_else(|| Some(now + self.patience))
        };
        result
    }

    /// Takes what was held, if it has waited long enough.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if something in it does not agree.
    pub fn give_up(&mut self, now: Duration, mut take: impl FnMut(&[u8])) -> Result<(), Refusal> {
        let mut result = Ok(());
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            while let Some(None) = self.held.front() {
                self.miss(1);
                self.held.pop_front();
            }
            self.drain(&mut take, &mut result);
            self.deadline = (!self.held.is_empty()).then(|| now + self.patience);
        }
        result
    }

    fn reach(&self) -> u64 {
        u64::try_from(self.reorder).unwrap_or(0)
    }

    /// Gives up waiting for the next one. Returns by how many numbers it went on.
    fn step(
        &mut self,
        ahead: u64,
        take: &mut impl FnMut(&[u8]),
        result: &mut Result<(), Refusal>,
    ) -> u64 {
        let before = self.next;
        if self.held.is_empty() {
            self.miss(ahead - self.reach());
        } else {
            self.held.pop_front();
            self.miss(1);
            self.drain(take, result);
        }
        self.deadline = None;
        // What was held went on behind it.
        (self.next - before).min(ahead)
    }

    fn miss(&mut self, packets: u64) {
        self.assembly.lose();
        self.lost += packets;
        self.next += packets;
    }

    /// Takes what is held without a gap.
    fn drain(&mut self, take: &mut impl FnMut(&[u8]), result: &mut Result<(), Refusal>) {
        while let Some(Some(payload)) = self.held.front_mut().map(Option::take) {
            self.held.pop_front();
            self.next += 1;
            let added = self.assemble(&payload, take);
            *result = std::mem::replace(result, Ok(())).and(added);
            self.deadline = None;
        }
    }

    fn hold(&mut self, ahead: usize, payload: &[u8]) {
        if self.held.len() <= ahead {
            self.held.resize(ahead + 1, None);
        }
        if let Some(place) = self.held.get_mut(ahead) {
            *place = Some(payload.into());
        }
    }

    fn assemble(&mut self, payload: &[u8], take: &mut impl FnMut(&[u8])) -> Result<(), Refusal> {
        self.assembly.add(&Payload::read(payload)?, take)
    }
}

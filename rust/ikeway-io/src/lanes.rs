// SPDX-License-Identifier: Apache-2.0
//! How pairs come to the packet threads and go from them: which thread has which half, and in what
//! order.
//!
//! There is a thread of each kind for each queue. An inbound SA belongs to the one that its SPI
//! names, so that its window has one owner; of an outbound SA all have a handle, and its numbers come
//! from one counter.

use std::num::NonZeroU32;
use std::sync::Arc;

use ikeway_esp::{Ends, InboundSa, InboundTable, Nearness, OutboundSa, OutboundTable, Policy, Spd};

use crate::error::EngineError;
use crate::mailbox::{Mailbox, Promise};
use crate::sync::{AtomicUsize, Ordering};

/// Returns which of the queues an SA with this inbound SPI belongs to. The kernel's programs in
/// `udp::steering` say the same.
pub(crate) fn owner(spi_in: u32, queues: NonZeroU32) -> usize {
    usize::try_from(spi_in % queues).unwrap_or(0)
}

/// The mailboxes of the threads that receive and of those that send, each by its queue.
#[derive(Clone)]
pub(crate) struct Lanes {
    pub(crate) inbound: Arc<[Mailbox<InboundTable>]>,
    pub(crate) outbound: Arc<[Mailbox<OutboundTable>]>,
    queues: NonZeroU32,
}

impl Lanes {
    pub(crate) fn new(
        inbound: Vec<Mailbox<InboundTable>>,
        outbound: Vec<Mailbox<OutboundTable>>,
        queues: NonZeroU32,
    ) -> Self {
        Self { inbound: inbound.into(), outbound: outbound.into(), queues }
    }

    /// Has a pair come, in the thread that receives first: no packet asks for an answer that we could
    /// not take, and no proof of the peer's comes before what it activates.
    pub(crate) fn install(
        &self,
        inbound: InboundSa,
        outbound: &OutboundSa,
        is_of_queue: bool,
        is_standby: bool,
    ) {
        let (spi_in, senders) = (inbound.spi(), Arc::clone(&self.outbound));
        // Here, so that those who carry packets do not make room for them.
        let (inbound, handles) = (Box::new(inbound), self.handles(outbound, is_of_queue, spi_in));
        self.receive(spi_in, move |table| {
            // No other thread installs, and the SPI was free.
            let _ = table.insert(inbound);
            for (sender, outbound) in senders.iter().zip(handles) {
                sender.post(move |table| {
                    if is_standby {
                        table.insert_standby(spi_in, outbound);
                    } else {
                        table.insert(spi_in, outbound);
                    }
                });
            }
        });
    }

    /// Returns a handle for each of those that send.
    fn handles(
        &self,
        outbound: &OutboundSa,
        is_of_queue: bool,
        spi_in: u32,
    ) -> Box<[Arc<OutboundSa>]> {
        let home = owner(spi_in, self.queues);
        let nearness = |queue| match (is_of_queue, queue == home) {
            (false, _) => Nearness::Everywhere,
            (true, true) => Nearness::Here,
            (true, false) => Nearness::Elsewhere,
        };
        let handle = |queue| Arc::new(outbound.handle(nearness(queue)));
        (0..self.outbound.len()).map(handle).collect()
    }

    /// Has one of the threads that send do something: each of them has all pairs.
    pub(crate) fn post_to_sender(&self, work: impl FnOnce(&mut OutboundTable) + Send + 'static) {
        if let Some(lane) = self.outbound.first() {
            lane.post(work);
        }
    }

    /// Has a pair go: nobody sends on it any more when it stops to receive, and `then` runs.
    ///
    /// It goes the way that it came, and so not sooner than it is there.
    pub(crate) fn remove(&self, spi_in: u32, then: impl Fn() + Clone + Send + 'static) {
        let lanes = self.clone();
        self.receive(spi_in, move |_| {
            let sending = Arc::new(AtomicUsize::new(lanes.outbound.len()));
            let receiving = lanes.clone();
            post_all(&lanes.outbound, move |table| {
                table.remove(spi_in);
                if sending.fetch_sub(1, Ordering::Relaxed) == 1 {
                    let then = then.clone();
                    receiving.receive(spi_in, move |table| {
                        table.remove(spi_in);
                        then();
                    });
                }
            });
        });
    }

    /// Waits until every thread has seen what was posted, and what others passed on because of it.
    pub(crate) fn settle(&self) -> Result<(), EngineError> {
        // What a thread passes on stands before the answer of the next.
        ask_all(&self.inbound, |_| ())?;
        ask_all(&self.outbound, |_| ())?;
        ask_all(&self.inbound, |_| ())?;
        Ok(())
    }

    /// Has a pair on standby send.
    pub(crate) fn activate(&self, spi_in: u32) {
        post_all(&self.outbound, move |table| table.activate(spi_in));
    }

    /// Changes where both ends of a pair are. Returns whether it is there.
    pub(crate) fn migrate(&self, spi_in: u32, ends: &Ends) -> Result<bool, EngineError> {
        let (ours, theirs) = (ends.clone(), ends.clone());
        let migrate = move |table: &mut OutboundTable| table.migrate(spi_in, ours.clone());
        let found = ask_all(&self.outbound, migrate)?;
        let is_there = found.contains(&true);
        if is_there {
            let expect = move |table: &mut InboundTable| {
                if let Some(sa) = table.get_mut(spi_in) {
                    sa.expect_from(theirs);
                }
            };
            self.receiver(spi_in).map_or(Ok(()), |receiver| receiver.call(expect))?;
        }
        Ok(is_there)
    }

    /// Returns whether a pair is of AH, or nothing if there is none.
    pub(crate) fn is_ah(&self, spi_in: u32) -> Result<Option<bool>, EngineError> {
        let look = move |table: &mut InboundTable| table.get_mut(spi_in).map(|sa| sa.is_ah());
        self.receiver(spi_in).map_or(Ok(None), |receiver| receiver.call(look))
    }

    /// Has the packets of a policy want an SA.
    pub(crate) fn trap(&self, number: u32, policy: &Policy) -> Result<(), EngineError> {
        let policy = policy.clone();
        ask_all(&self.outbound, move |table| table.trap(number, policy.clone())).map(drop)
    }

    /// Takes back [`Lanes::trap`].
    pub(crate) fn untrap(&self, number: u32) -> Result<(), EngineError> {
        ask_all(&self.outbound, move |table| table.untrap(number)).map(drop)
    }

    /// Has these policies stand before all SAs; all threads look at the same.
    pub(crate) fn govern(&self, spd: Option<&Arc<Spd>>) -> Result<(), EngineError> {
        let spd = spd.cloned();
        ask_all(&self.outbound, move |table| table.govern(spd.clone())).map(drop)
    }

    /// Removes every pair, trap and policy.
    pub(crate) fn clear(&self) -> Result<(), EngineError> {
        ask_all(&self.outbound, OutboundTable::clear)?;
        ask_all(&self.inbound, InboundTable::clear).map(drop)
    }

    /// Makes every thread look around.
    pub(crate) fn wake(&self) {
        self.inbound.iter().for_each(Mailbox::wake);
        self.outbound.iter().for_each(Mailbox::wake);
    }

    fn receiver(&self, spi_in: u32) -> Option<&Mailbox<InboundTable>> {
        self.inbound.get(owner(spi_in, self.queues))
    }

    fn receive(&self, spi_in: u32, work: impl FnOnce(&mut InboundTable) + Send + 'static) {
        if let Some(receiver) = self.receiver(spi_in) {
            receiver.post(work);
        }
    }
}

fn post_all<T: 'static>(all: &[Mailbox<T>], work: impl Fn(&mut T) + Clone + Send + 'static) {
    for one in all {
        one.post(work.clone());
    }
}

/// Has all do it at once, and waits for all.
fn ask_all<T: 'static, R: Send + 'static>(
    all: &[Mailbox<T>],
    work: impl Fn(&mut T) -> R + Clone + Send + 'static,
) -> Result<Vec<R>, EngineError> {
    let asked: Vec<_> = all.iter().map(|one| one.ask(work.clone())).collect::<Result<_, _>>()?;
    asked.into_iter().map(Promise::wait).collect()
}

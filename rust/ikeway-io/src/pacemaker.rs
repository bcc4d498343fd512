// SPDX-License-Identifier: Apache-2.0
//! How SAs come to the thread that sends by the clock and go from it; there is one once it has
//! something to do.

use std::collections::BTreeSet;
use std::thread::{Builder, JoinHandle};

use ikeway_esp::{Ends, OutboundSa};

use crate::error::{Attempt, EngineError};
use crate::mailbox::{Mailbox, mailbox};
use crate::pacing::{Beat, Paced, Pacing};
use crate::wiring::Wiring;

/// The control thread's side of it. Dropping it stops the thread, and waits for its end.
pub(crate) struct Pacemaker {
    wiring: Wiring,
    thread: Option<(Mailbox<Paced>, JoinHandle<()>)>,
    /// The SAs that the thread has, by their inbound SPI.
    sas: BTreeSet<u32>,
}

impl Pacemaker {
    pub(crate) const fn new(wiring: Wiring) -> Self {
        Self { wiring, thread: None, sas: BTreeSet::new() }
    }

    /// Has an SA send by the clock, from when it sends at all.
    pub(crate) fn install(
        &mut self,
        spi_in: u32,
        sa: OutboundSa,
        beat: Beat,
    ) -> Result<(), EngineError> {
        self.start()?;
        self.sas.insert(spi_in);
        self.tell(move |paced| paced.add(spi_in, sa, beat))
    }

    pub(crate) fn migrate(&self, spi_in: u32, ends: Ends) -> Result<(), EngineError> {
        if !self.sas.contains(&spi_in) {
            return Ok(());
        }
        self.tell(move |paced| paced.migrate(spi_in, ends))
    }

    /// Has an SA send nothing more by the clock.
    pub(crate) fn remove(&mut self, spi_in: u32) -> Result<(), EngineError> {
        if !self.sas.remove(&spi_in) {
            return Ok(());
        }
        self.tell(move |paced| paced.remove(spi_in))
    }

    /// Waits until the thread, if there is one, has looked around once more.
    pub(crate) fn pulse(&self) -> Result<(), EngineError> {
        self.tell(|_| ())
    }

    pub(crate) fn clear(&mut self) -> Result<(), EngineError> {
        self.sas.clear();
        self.tell(Paced::clear)
    }

    fn start(&mut self) -> Result<(), EngineError> {
        if self.thread.is_none() {
            let (mail, inbox) = mailbox()?;
            let pacing = Pacing { wiring: self.wiring.clone(), inbox };
            let thread = Builder::new().name("ikeway-pace".to_owned()).spawn(move || pacing.run());
            self.thread = Some((mail, thread.attempt(|| "thread ikeway-pace".to_owned())?));
        }
        Ok(())
    }

    fn tell(&self, work: impl FnOnce(&mut Paced) + Send + 'static) -> Result<(), EngineError> {
        self.thread.as_ref().map_or(Ok(()), |(mail, _)| mail.call(work))
    }
}

impl Drop for Pacemaker {
    fn drop(&mut self) {
        self.wiring.stop();
        if let Some((mail, thread)) = self.thread.take() {
            mail.wake();
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

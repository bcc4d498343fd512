// SPDX-License-Identifier: Apache-2.0
//! The packet threads: for each queue one that receives, and one that sends when there is much to do.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use ikeway_esp::{InboundTable, OutboundTable};

use crate::bell::Bell;
use crate::crossing::{Arrivals, Crossing, crossing};
use crate::error::{Attempt, EngineError};
use crate::inbound::Inbound;
use crate::lanes::Lanes;
use crate::mailbox::{Inbox, mailbox};
use crate::outbound::Outbound;
use crate::path_mtu::listen;
use crate::relay::Relay;
use crate::wiring::Wiring;

/// Threads that run. Dropping them stops them and waits for their end.
pub(crate) struct Threads {
    pub(crate) lanes: Lanes,
    wiring: Wiring,
    handles: Vec<JoinHandle<()>>,
    ears: Bell,
}

impl Threads {
    /// Starts those of each queue; `wiring` is that of any.
    pub(crate) fn start(
        wirings: &[Wiring],
        queues: NonZeroU32,
        port: u16,
    ) -> Result<Self, EngineError> {
        let wiring = wirings.first().cloned().ok_or(EngineError::LaneEnded)?;
        let Ends { lanes, crossings, of_queues } = Ends::new(queues)?;
        let mut started = Self { lanes, wiring, handles: Vec::new(), ears: Bell::new()? };
        for (wiring, (inbox, arrivals, leaving)) in wirings.iter().cloned().zip(of_queues) {
            let (queue, of_sender) = (wiring.queue, wiring.clone());
            let half = Outbound::new(wiring.clone(), leaving);
            let relay = Arc::new(Relay::new(half, inbox.bell.clone())?);
            let sending = Arc::clone(&relay);
            let (lanes, crossings) = (started.lanes.clone(), crossings.clone());
            let receiving = Inbound { wiring, inbox, arrivals, lanes, crossings, relay };
            started.spawn(format!("ikeway-in{queue}"), move || receiving.run())?;
            started.spawn(format!("ikeway-out{queue}"), move || sending.run_sender(&of_sender))?;
        }
        started.listen(port)?;
        Ok(started)
    }

    /// Starts to hear what routers say of packets from our port; an SA of ours has to be meant.
    fn listen(&mut self, port: u16) -> Result<(), EngineError> {
        let (ears, wiring) = (listen(self.ears.clone()), self.wiring.clone());
        let lanes = self.lanes.clone();
        self.spawn("ikeway-paths".to_owned(), move || {
            ears.run(&wiring, port, |claim| claim.check(&lanes, &wiring));
        })
    }

    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), EngineError> {
        let what = format!("thread {name}");
        self.handles.push(Builder::new().name(name).spawn(run).attempt(|| what)?);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.wiring.stop();
        self.lanes.wake();
        self.ears.ring();
        for handle in self.handles.drain(..) {
            // A thread that panicked has said so already.
            let _ = handle.join();
        }
    }
}

/// The ends of all ways between the threads.
struct Ends {
    lanes: Lanes,
    crossings: Vec<Crossing>,
    of_queues: Vec<(Inbox<InboundTable>, Arrivals, Inbox<OutboundTable>)>,
}

impl Ends {
    fn new(queues: NonZeroU32) -> Result<Self, EngineError> {
        let (mut receivers, mut senders) = (Vec::new(), Vec::new());
        let (mut crossings, mut of_queues) = (Vec::new(), Vec::new());
        for _ in 0..queues.get() {
            let (receiver, arriving) = mailbox()?;
            let (sender, leaving) = mailbox()?;
            let (way, arrivals) = crossing(arriving.bell.clone());
            receivers.push(receiver);
            senders.push(sender);
            crossings.push(way);
            of_queues.push((arriving, arrivals, leaving));
        }
        Ok(Self { lanes: Lanes::new(receivers, senders, queues), crossings, of_queues })
    }
}

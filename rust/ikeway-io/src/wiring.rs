// SPDX-License-Identifier: Apache-2.0
//! What the packet threads share, and how they end and survive.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;
use std::time::Duration;

use rustix::event::PollFd;

use crate::events::Reporter;
use crate::path_mtu::Paths;
use crate::tun::Tun;
use crate::udp::Listening;
use crate::without::Without;

/// Whether `poll` found something to do there, be it an error to hear of.
pub(crate) fn is_ready(fd: &PollFd<'_>) -> bool {
    !fd.revents().is_empty()
}

/// Drainings before a thread looks at its mail and its other descriptors.
const DRAININGS: usize = 64;

/// Calls `drain`, which says whether it found something, until it finds nothing; then it lets the
/// others run, and looks once more before it gives up.
///
/// Whoever sent a moment ago is likely to send again, and that a thread sleeps and is woken costs
/// both sides more than that look does.
pub(crate) fn exhaust(mut drain: impl FnMut() -> bool) {
    for _ in 0..DRAININGS {
        if !drain() {
            yield_now();
            if !drain() {
                break;
            }
        }
    }
}

#[derive(Clone)]
pub(crate) struct Wiring {
    /// That queue of the interface, and of the sockets of each address, that is meant.
    pub(crate) queue: usize,
    pub(crate) tun: Arc<Tun>,
    pub(crate) listening: Arc<[Listening]>,
    pub(crate) reporter: Reporter,
    /// How long a thread that waits looks before it sleeps.
    pub(crate) awake: Duration,
    pub(crate) paths: Arc<Paths>,
    pub(crate) without: Without,
    is_stopping: Arc<AtomicBool>,
}

impl Wiring {
    /// Returns the wiring of each queue.
    pub(crate) fn of_all(
        tuns: Vec<Tun>,
        listening: Vec<Listening>,
        reporter: &Reporter,
        awake: Duration,
        without: Without,
    ) -> Vec<Self> {
        let (listening, paths, is_stopping) = (listening.into(), Arc::default(), Arc::default());
        let one = |(queue, tun)| Self {
            queue,
            tun: Arc::new(tun),
            listening: Arc::clone(&listening),
            reporter: reporter.clone(),
            awake,
            paths: Arc::clone(&paths),
            without,
            is_stopping: Arc::clone(&is_stopping),
        };
        tuns.into_iter().enumerate().map(one).collect()
    }

    /// Tells the threads to end when they next wake.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Stops because a thread cannot go on, and lets the control thread know.
    pub(crate) fn fail(&self) {
        self.stop();
        self.reporter.wake();
    }

    /// Runs `step` until the engine stops. A packet that makes it panic is lost, and nothing else.
    pub(crate) fn repeat(&self, mut step: impl FnMut()) {
        while !self.is_stopping() {
            // The panic hook has printed what happened; tables and batches are changed by whole
            // steps only.
            let _ = catch_unwind(AssertUnwindSafe(&mut step));
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! How the control thread changes what a packet thread owns: work is posted, run between batches,
//! and answered.

use crate::bell::Bell;
use crate::error::EngineError;
use crate::sync::{Receiver, Sender, channel};

type Work<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The end of the control thread, or of another packet thread.
pub(crate) struct Mailbox<T> {
    work: Sender<Work<T>>,
    bell: Bell,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { work: self.work.clone(), bell: self.bell.clone() }
    }
}

/// What a packet thread will answer.
pub(crate) struct Promise<R>(Receiver<R>);

impl<R> Promise<R> {
    pub(crate) fn wait(self) -> Result<R, EngineError> {
        self.0.recv().map_err(|_| EngineError::LaneEnded)
    }
}

/// The packet thread's end.
pub(crate) struct Inbox<T> {
    work: Receiver<Work<T>>,
    pub(crate) bell: Bell,
}

pub(crate) fn mailbox<T>() -> Result<(Mailbox<T>, Inbox<T>), EngineError> {
    let (sender, receiver) = channel();
    let bell = Bell::new()?;
    Ok((Mailbox { work: sender, bell: bell.clone() }, Inbox { work: receiver, bell }))
}

impl<T: 'static> Mailbox<T> {
    /// Runs `work` on what the packet thread owns and returns its result.
    pub(crate) fn call<R, F>(&self, work: F) -> Result<R, EngineError>
    where
        R: Send + 'static,
        F: FnOnce(&mut T) -> R + Send + 'static,
    {
        self.ask(work)?.wait()
    }

    /// Has `work` run on what the packet thread owns; whoever wants its result waits for it.
    pub(crate) fn ask<R, F>(&self, work: F) -> Result<Promise<R>, EngineError>
    where
        R: Send + 'static,
        F: FnOnce(&mut T) -> R + Send + 'static,
    {
        let (answer, answered) = channel();
        let posted = self.work.send(Box::new(move |owned| {
            // Nobody waits any longer if this fails.
            let _ = answer.send(work(owned));
        }));
        posted.map_err(|_| EngineError::LaneEnded)?;
        self.bell.ring();
        Ok(Promise(answered))
    }

    /// Has `work` run on what the packet thread owns, soon, and waits for nothing.
    pub(crate) fn post<F>(&self, work: F)
    where
        F: FnOnce(&mut T) + Send + 'static,
    {
        // A thread that has ended owns nothing that could change.
        if self.work.send(Box::new(work)).is_ok() {
            self.bell.ring();
        }
    }

    /// Makes the packet thread look around.
    pub(crate) fn wake(&self) {
        self.bell.ring();
    }
}

impl<T> Inbox<T> {
    /// Runs what was posted.
    pub(crate) fn run(&self, owned: &mut T) {
        if self.bell.hush() {
            while let Ok(work) = self.work.try_recv() {
                work(owned);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn work_runs_where_the_value_is_owned_and_is_answered() {
        let (mailbox, inbox) = mailbox::<Vec<u32>>().unwrap();
        let owner = thread::spawn(move || {
            let mut owned = vec![1];
            while owned.last() != Some(&9) {
                inbox.run(&mut owned);
            }
            owned
        });
        mailbox.clone().post(|owned| owned.push(2));
        assert_eq!(mailbox.call(|owned| owned.len()).unwrap(), 2);
        mailbox.call(|owned| owned.push(9)).unwrap();
        assert_eq!(owner.join().unwrap(), [1, 2, 9]);
        assert!(matches!(mailbox.call(|owned| owned.len()), Err(EngineError::LaneEnded)));
    }
}

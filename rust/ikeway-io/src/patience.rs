// SPDX-License-Identifier: Apache-2.0
//! How a packet thread waits: for a short while awake, if that has paid of late.

use std::hint::spin_loop;
use std::thread::yield_now;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};

/// Longer than this others get the processor between two looks.
const ALONE: Duration = Duration::from_micros(50);
/// So many waits in a row may have been in vain before it sleeps at once.
const CREDIT: u32 = 4;
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Whether it pays to wait awake.
pub(crate) struct Patience {
    awake: Duration,
    credit: u32,
}

impl Patience {
    /// `awake` is how long it may look before it sleeps.
    pub(crate) const fn new(awake: Duration) -> Self {
        Self { awake, credit: 0 }
    }

    /// Waits until something is there. `is_busy` says whether there was much to do until now: then
    /// others get the processor for a moment, who may bring more. It sleeps no longer than `most`.
    pub(crate) fn wait(
        &mut self,
        ready: &mut [PollFd<'_>],
        is_busy: bool,
        most: Option<&Timespec>,
    ) {
        if is_busy {
            yield_now();
            if look(ready) {
                return;
            }
        } else if self.credit > 0 && watch(ready, self.awake) {
            self.credit = CREDIT;
            return;
        }
        let start = Instant::now();
        // An interrupted wait is a short wait.
        let _ = poll(ready, most);
        // Had it stayed awake, it would have seen it sooner.
        let would_pay = start.elapsed() < self.awake;
        self.credit = if would_pay { CREDIT } else { self.credit.saturating_sub(1) };
    }
}

/// Looks again and again for a while, and returns whether something is there.
fn watch(ready: &mut [PollFd<'_>], awake: Duration) -> bool {
    let start = Instant::now();
    loop {
        if look(ready) {
            return true;
        }
        match start.elapsed() {
            elapsed if elapsed >= awake => return false,
            elapsed if elapsed < ALONE => spin_loop(),
            _ => yield_now(),
        }
    }
}

/// Returns whether something is there.
pub(crate) fn look(ready: &mut [PollFd<'_>]) -> bool {
    poll(ready, Some(&NOW)).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::event::PollFlags;

    use super::*;
    use crate::bell::Bell;

    const AWAKE: Duration = Duration::from_micros(50);

    #[test]
    fn it_stays_awake_only_where_that_has_paid() {
        let (bell, mut patience) =
            (Bell::new().unwrap(), Patience { awake: AWAKE, credit: CREDIT });
        let mut ready = [PollFd::new(&bell, PollFlags::IN)];
        for left in (0..CREDIT).rev() {
            let ringer = bell.clone();
            let late = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                ringer.ring();
            });
            patience.wait(&mut ready, false, None);
            assert_eq!(patience.credit, left);
            late.join().unwrap();
            assert!(bell.hush());
        }
        bell.ring();
        patience.wait(&mut ready, false, None);
        assert_eq!(patience.credit, CREDIT, "it was there at once");
    }

    #[test]
    fn what_is_there_is_seen() {
        let bell = Bell::new().unwrap();
        let mut ready = [PollFd::new(&bell, PollFlags::IN)];
        assert!(!look(&mut ready));
        bell.ring();
        assert!(look(&mut ready));
        Patience::new(AWAKE).wait(&mut ready, true, None);
    }
}

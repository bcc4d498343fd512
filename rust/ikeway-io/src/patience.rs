// SPDX-License-Identifier: Apache-2.0
//! How a packet thread waits: for a short while awake, if that has paid of late.

use std::thread::yield_now;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};

/// So many waits in a row may have been in vain before it sleeps at once.
const CREDIT: u32 = 4;
/// To ask what is there takes less than this, to sleep takes more.
const AT_ONCE: Duration = Duration::from_micros(4);
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

    /// Waits until something is there, and returns whether it was not there at once. `is_busy` says
    /// whether there was much to do until now: then others get the processor for a moment, who may
    /// bring more. It sleeps no longer than `most`.
    pub(crate) fn wait(
        &mut self,
        ready: &mut [PollFd<'_>],
        is_busy: bool,
        most: Option<&Timespec>,
    ) -> bool {
        let start = Instant::now();
        if is_busy {
            if look(ready) {
                return false;
            }
            yield_now();
            if look(ready) {
                return false;
            }
        } else if self.credit > 0 && watch(ready, self.awake) {
            self.credit = CREDIT;
            return start.elapsed() > AT_ONCE;
        }
        let start = Instant::now();
        // An interrupted wait is a short wait.
        let _ = poll(ready, most);
        let slept = start.elapsed();
        if slept > AT_ONCE {
            // Had it stayed awake, it would have seen it sooner.
            self.credit = if slept < self.awake { CREDIT } else { self.credit.saturating_sub(1) };
        }
        slept > AT_ONCE
    }
}

/// Looks again and again for a while, and returns whether something is there.
fn watch(ready: &mut [PollFd<'_>], awake: Duration) -> bool {
    let start = Instant::now();
    loop {
        if look(ready) {
            return true;
        }
        if start.elapsed() >= awake {
            return false;
        }
        // It may be the processor that the answer is made on.
        yield_now();
    }
}

/// Returns whether something is there.
fn look(ready: &mut [PollFd<'_>]) -> bool {
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
            assert!(patience.wait(&mut ready, false, None), "it had to rest");
            assert_eq!(patience.credit, left);
            late.join().unwrap();
            assert!(bell.hush());
        }
    }

    #[test]
    fn an_answer_that_comes_soon_is_waited_for_awake() {
        let long = Duration::from_secs(5);
        let (bell, mut patience) = (Bell::new().unwrap(), Patience { awake: long, credit: 1 });
        let mut ready = [PollFd::new(&bell, PollFlags::IN)];
        let ringer = bell.clone();
        let soon = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            ringer.ring();
        });
        assert!(patience.wait(&mut ready, false, None));
        assert_eq!(patience.credit, CREDIT);
        soon.join().unwrap();
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

// SPDX-License-Identifier: Apache-2.0
//! Work for a thread that sleeps until its bell rings.

use loom::thread;

use crate::mailbox::mailbox;

const END: u32 = 9;

/// Two threads post, one of them twice, and one waits for an answer.
pub fn posted() {
    let (mailbox, inbox) = mailbox::<Vec<u32>>().unwrap();
    let bell = inbox.bell.clone();
    let owner = thread::spawn(move || {
        let mut owned = Vec::new();
        while owned.last() != Some(&END) {
            bell.wait();
            inbox.run(&mut owned);
        }
        owned
    });
    let other = mailbox.clone();
    let poster = thread::spawn(move || other.post(|owned| owned.push(3)));
    mailbox.post(|owned| owned.push(1));
    mailbox.post(|owned| owned.push(2));
    let seen = mailbox.call(|owned| owned.clone()).unwrap();
    poster.join().unwrap();
    mailbox.post(|owned| owned.push(END));
    let owned = owner.join().unwrap();
    let of_one: Vec<u32> = seen.iter().copied().filter(|number| *number != 3).collect();
    assert_eq!(of_one, [1, 2], "in order, and before the answer");
    assert_eq!(owned.len(), 4);
    assert_eq!(owned.iter().filter(|number| **number == 3).count(), 1);
}

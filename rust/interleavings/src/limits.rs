// SPDX-License-Identifier: Apache-2.0
//! Threads that send on one SA (RFC 4303 §3.3.3, RFC 4301 §4.4.2.1).

use std::sync::Arc;

use loom::thread;

use crate::budget::{Amount, Budget, Limit};
use crate::counters::Counters;
use crate::sequence::SendCounter;

const LAST: u64 = u32::MAX as u64;

/// Two threads want two numbers each, and there are three left.
pub fn numbers() {
    let counter = Arc::new(SendCounter::new(LAST - 3, false));
    let take = |counter: Arc<SendCounter>| move || [counter.next(), counter.next()];
    let other = thread::spawn(take(Arc::clone(&counter)));
    let mut taken = take(Arc::clone(&counter))().to_vec();
    taken.extend(other.join().unwrap());
    let mut given: Vec<u64> = taken.into_iter().flatten().collect();
    given.sort_unstable();
    assert_eq!(given, [LAST - 2, LAST - 1, LAST]);
    assert_eq!(counter.next(), None);
}

/// Two threads send until they may not any more, on a pair that may carry two packets.
pub fn budget() {
    let (soft, hard) =
        (Amount { packets: 1, ..Amount::NONE }, Amount { packets: 2, ..Amount::NONE });
    let counters = Arc::new(Counters::new(Budget::new(300, soft, hard)));
    let send = |counters: Arc<Counters>| {
        move || {
            let mut told = Vec::new();
            let mut sent = 0;
            while !counters.budget.is_over() {
                sent += 1;
                told.extend(counters.send(100));
            }
            (sent, told)
        }
    };
    let other = thread::spawn(send(Arc::clone(&counters)));
    let (mut sent, mut told) = send(Arc::clone(&counters))();
    let (more, theirs) = other.join().unwrap();
    sent += more;
    told.extend(theirs);
    assert!((2..=3).contains(&sent), "one more for each other thread at most");
    assert_eq!(counters.sent.read(), (sent, 100 * sent));
    let hard = told.iter().filter(|limit| **limit == Limit::Hard).count();
    assert_eq!(hard, 1);
    assert!(told.len() <= 2, "each limit is told once at most");
    assert!(counters.budget.is_over());
}

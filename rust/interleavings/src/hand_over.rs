// SPDX-License-Identifier: Apache-2.0
//! A pair that comes and goes while its threads run: one that receives, and two that send.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use loom::thread::{self, JoinHandle};

use crate::lanes::Lanes;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::tables::{InboundSa, InboundTable, OutboundSa, OutboundTable, Watch};

/// A thread that ends once its half has come and gone.
fn owner<T: Default + Send + 'static>(inbox: Inbox<T>, until: fn(&T) -> bool) -> JoinHandle<()> {
    thread::spawn(move || {
        let (bell, mut owned, mut has_had) = (inbox.bell.clone(), T::default(), false);
        loop {
            bell.wait();
            inbox.run(&mut owned);
            has_had |= until(&owned);
            if has_had && !until(&owned) {
                return;
            }
        }
    })
}

/// Nobody sends before the pair is heard, or when it is heard no more.
pub fn pair() {
    let watch = Arc::new(Watch::default());
    let (receiver, arriving) = mailbox::<InboundTable>().unwrap();
    let ends = [0, 1].map(|_| mailbox::<OutboundTable>().unwrap());
    let mut senders: Vec<Mailbox<OutboundTable>> = Vec::new();
    let mut threads = vec![owner(arriving, |table: &InboundTable| table.0.is_some())];
    for (sender, leaving) in ends {
        senders.push(sender);
        threads.push(owner(leaving, |table: &OutboundTable| table.0.is_some()));
    }
    let lanes = Lanes::new(vec![receiver], senders, NonZeroU32::MIN);
    let (inbound, outbound) = (InboundSa(Arc::clone(&watch)), OutboundSa(Arc::clone(&watch)));
    lanes.install(inbound, &outbound, false, false);
    lanes.settle().unwrap();
    assert_eq!((watch.receives.load(SeqCst), watch.senders.load(SeqCst)), (true, 2));
    lanes.remove(301, || ());
    for one in threads {
        one.join().unwrap();
    }
    assert_eq!((watch.receives.load(SeqCst), watch.senders.load(SeqCst)), (false, 0));
}

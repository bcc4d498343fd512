// SPDX-License-Identifier: Apache-2.0
//! Every order in which threads can touch what the engine shares: the engine's own files, compiled with
//! loom's atomics and channels, which try all orders.
#![allow(dead_code, missing_docs, reason = "a part of the engine's files is used here")]

extern crate self as ikeway_esp;

#[path = "../../ikeway-esp/src/budget.rs"]
mod budget;
#[path = "../../ikeway-esp/src/counters.rs"]
mod counters;
#[path = "../../ikeway-io/src/lanes.rs"]
mod lanes;
#[path = "../../ikeway-io/src/mailbox.rs"]
mod mailbox;
#[path = "../../ikeway-esp/src/sequence.rs"]
mod sequence;

mod bell;
mod error;
mod hand_over;
mod limits;
mod mail;
mod tables;

pub use tables::{Ends, InboundSa, InboundTable, Nearness, OutboundSa, OutboundTable, Policy, Spd};

/// What the files above have of `std` elsewhere.
mod sync {
    pub use loom::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
    pub use loom::sync::mpsc::{Receiver, Sender, channel};
}

/// How often threads are switched against their will at most: all orders with no more than that.
const SWITCHES: usize = 2;

fn main() {
    let models: [(&str, fn()); 4] = [
        ("numbers of an SA are given out once, and none after the last", limits::numbers),
        ("a hard limit ends the pair for all, and is told once", limits::budget),
        ("no work that is posted is lost or overtaken", mail::posted),
        ("a pair comes receiver first and goes sender first", hand_over::pair),
    ];
    for (what, model) in models {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(SWITCHES);
        builder.check(model);
        println!("{what}: ok");
    }
}

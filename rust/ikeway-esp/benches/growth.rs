// SPDX-License-Identifier: Apache-2.0
//! How long the tables of SAs hold a packet thread up: `cargo bench -p ikeway-esp --bench growth`.
//!
//! A packet waits for the longest step, so that counts, not only the mean of all. The engine has the C
//! library clear up after each pair that goes, not after all: `GLIBC_TUNABLES=glibc.malloc.mxfast=0`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ikeway_esp::{
    DirectionKeys, Flow, InboundSa, InboundTable, OutboundSa, OutboundTable, Policy, Port,
    Selector, Shared, Suite, Terms,
};

const PAIRS: u32 = 120_000;
/// Odd, so that no SPI comes twice; scattered, as those are that IKE gives.
const SCATTER: u32 = 2_654_435_761;
const STEPS: [&str; 4] = [
    "inbound, a pair comes",
    "outbound, a pair comes",
    "outbound, a pair goes",
    "inbound, a pair goes",
];
/// How many are there when looking up is measured, and how often that is done.
const HELD: [u32; 4] = [1, 100, 10_000, 100_000];
const LOOKS: u32 = 2_000_000;
const ROUNDS: u32 = 5;

/// Returns both halves of a pair with an SPI and a peer of its own.
fn pair(number: u32) -> (InboundSa, OutboundSa) {
    let suite = Suite::find(20, 256, 0).unwrap();
    let keys = DirectionKeys { encr: vec![1; suite.key_octets().0], integ: Vec::new() };
    let path: [SocketAddr; 2] =
        ["192.0.2.1:4500", "192.0.2.2:4500"].map(|end| end.parse().unwrap());
    let only = |ip| vec![Selector::new(0, (0, u16::MAX), ip, ip).unwrap()];
    let [own, peer] = [0, number].map(|host| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + host)));
    let terms = Arc::new(Terms::new(Policy::new(only(own), only(peer)).unwrap()));
    let spi = number.wrapping_mul(SCATTER);
    let shared = Shared { spi, suite, esn: true, terms };
    let sender = OutboundSa::new(shared.clone(), (path[0], path[1]), &keys, &[0; 16], 0).unwrap();
    (InboundSa::new(shared, &keys, 1024).unwrap(), sender)
}

/// Tells the mean of many times, and which was the longest.
fn tell(what: &str, times: &[Duration]) {
    let mean = times.iter().sum::<Duration>() / PAIRS;
    let (place, longest) = times.iter().enumerate().max_by_key(|(_, time)| **time).unwrap();
    println!("{what}: {mean:?} in the mean; number {place} of {PAIRS} took {longest:?}");
}

/// Returns how long a step took.
fn timed(step: impl FnOnce()) -> Duration {
    let start = Instant::now();
    step();
    start.elapsed()
}

/// Returns the packet that the pair of this number protects.
fn flow(number: u32) -> Flow {
    let [source, destination] = [0, number].map(|host| Ipv4Addr::from(0x0a00_0000 + host).into());
    Flow {
        source,
        destination,
        protocol: 17,
        source_port: Port::Hidden,
        destination_port: Port::Hidden,
    }
}

/// Tells how long it takes to find one of so many pairs, each time another: the best of some rounds.
fn look(held: u32) {
    let (mut inbound, mut outbound) = (InboundTable::default(), OutboundTable::default());
    for number in 1..=held {
        let (receiver, sender) = pair(number);
        let spi = receiver.spi();
        inbound.insert(receiver).unwrap();
        outbound.insert(spi, sender);
    }
    let numbers = || (1..=LOOKS).map(|look| 1 + look.wrapping_mul(SCATTER) % held);
    let receiving = || {
        for number in numbers() {
            let sa = inbound.get_mut(black_box(number.wrapping_mul(SCATTER)));
            black_box(sa.map(|sa| sa.spi()));
        }
    };
    let sending = || {
        for number in numbers() {
            black_box(outbound.find(black_box(&flow(number))).map(OutboundSa::spi));
        }
    };
    println!(
        "one of {held}: {:.1} ns to find inbound, {:.1} outbound",
        best(receiving),
        best(sending)
    );
}

/// Returns the nanoseconds that each of many looks takes.
fn best(mut looks: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| timed(&mut looks));
    rounds.min().unwrap().as_secs_f64() * 1e9 / f64::from(LOOKS)
}

fn main() {
    HELD.into_iter().for_each(look);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| all_come_and_go()).collect();
    for (place, what) in STEPS.iter().enumerate() {
        let times = |pair: usize| rounds.iter().map(move |round| round[place][pair]);
        let least = (0..PAIRS as usize).map(|pair| times(pair).min().unwrap());
        tell(what, &least.collect::<Vec<_>>());
    }
}

/// Returns how long each pair took for each of the steps.
///
/// Rounds are alike, so that of each step the least of several is its own time: the rest is other
/// work's on the machine.
fn all_come_and_go() -> [Vec<Duration>; 4] {
    let (mut inbound, mut outbound) = (InboundTable::default(), OutboundTable::default());
    let (receivers, senders): (Vec<_>, Vec<_>) = (1..=PAIRS).map(pair).unzip();
    let spis: Vec<u32> = receivers.iter().map(InboundSa::spi).collect();
    let receivers: Vec<_> = receivers.into_iter().map(Box::new).collect();
    let senders: Vec<_> = senders.into_iter().map(Arc::new).collect();
    [
        receivers.into_iter().map(|sa| timed(|| inbound.insert(sa).unwrap())).collect(),
        senders
            .into_iter()
            .zip(&spis)
            .map(|(sa, spi)| timed(|| outbound.insert(*spi, sa)))
            .collect(),
        spis.iter().map(|spi| timed(|| outbound.remove(*spi))).collect(),
        spis.iter().map(|spi| timed(|| inbound.remove(*spi))).collect(),
    ]
}

// SPDX-License-Identifier: Apache-2.0
//! How long the tables of SAs hold a packet thread up: `cargo bench -p ikeway-esp --bench growth`.
//!
//! A hash table grows at once, so the longest insertion counts, not the mean of all.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ikeway_esp::{
    DirectionKeys, InboundSa, InboundTable, OutboundSa, OutboundTable, Policy, Selector, Shared,
    Suite, Terms,
};

const PAIRS: u32 = 120_000;
/// Odd, so that no SPI comes twice; scattered, as those are that IKE gives.
const SCATTER: u32 = 2_654_435_761;

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

fn main() {
    let (mut inbound, mut outbound) = (InboundTable::default(), OutboundTable::default());
    let (receivers, senders): (Vec<_>, Vec<_>) = (1..=PAIRS).map(pair).unzip();
    let spis: Vec<u32> = receivers.iter().map(InboundSa::spi).collect();
    let receivers: Vec<_> = receivers.into_iter().map(Box::new).collect();
    let senders: Vec<_> = senders.into_iter().map(Arc::new).collect();
    let each = receivers.into_iter().map(|sa| timed(|| inbound.insert(sa).unwrap()));
    tell("inbound, a pair comes", &each.collect::<Vec<_>>());
    let each = senders.into_iter().zip(&spis).map(|(sa, spi)| timed(|| outbound.insert(*spi, sa)));
    tell("outbound, a pair comes", &each.collect::<Vec<_>>());
    let each = spis.iter().map(|spi| timed(|| outbound.remove(*spi)));
    tell("outbound, a pair goes", &each.collect::<Vec<_>>());
    let each = spis.iter().map(|spi| timed(|| inbound.remove(*spi)));
    tell("inbound, a pair goes", &each.collect::<Vec<_>>());
}

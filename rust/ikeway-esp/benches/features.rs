// SPDX-License-Identifier: Apache-2.0
//! What each feature costs a packet, beside the same pair of SAs without it, in one run:
//! `cargo bench -p ikeway-esp --bench features`.
//!
//! A packet is taken the whole way that an engine takes it, without system calls. All features take
//! turns and the best of many rounds counts, so that other work on the machine does not matter.
#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run may stop")]

mod feature;

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use feature::{FEATURES, Feature};
use ikeway_esp::{
    Compressor, Delivery, DirectionKeys, Expander, Flow, InboundSa, InboundTable, Leaving,
    OutboundSa, OutboundTable, Shared, Suite, carry_congestion,
};

const SIZES: [usize; 2] = [64, 1400];
const BATCH: u32 = 32;
const ROUNDS: usize = 2000;
const SPI: u32 = 0x0102_0304;
pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A pair whose packets come back to it, in tables as an engine has them.
struct Loop {
    outbound: OutboundTable,
    inbound: InboundTable,
    inner: Vec<u8>,
    sealed: Vec<(Vec<u8>, usize)>,
    class: u8,
    compressor: Compressor,
    expander: Expander,
    rebuilt: Vec<u8>,
    scratch: Vec<u8>,
    start: Instant,
}

impl Loop {
    fn new(feature: Feature, size: usize) -> Self {
        let (encr, key_bits, integ) = feature.suite;
        let suite = Suite::find(encr, key_bits, integ).unwrap();
        let (encr, integ) = suite.key_octets();
        let keys = DirectionKeys { encr: vec![1; encr], integ: vec![2; integ] };
        let path = [LOCAL, PEER].map(|ip| SocketAddr::new(ip.into(), 4500));
        let shared = Shared { spi: SPI, suite, esn: feature.esn, terms: Arc::new(feature.terms) };
        let mut sender =
            OutboundSa::new(shared.clone(), (path[0], path[1]), &keys, &[3; 16], 0).unwrap();
        let mut receiver = InboundSa::new(shared, &keys, feature.window).unwrap();
        if feature.follows {
            (sender, receiver) = (sender.following(), receiver.following());
        }
        if feature.padded > 0 {
            sender = sender.padded(feature.padded);
        }
        receiver.expect_from(sender.ends().clone());
        let (mut outbound, mut inbound) = (OutboundTable::default(), InboundTable::default());
        outbound.govern(feature.spd.map(Arc::new));
        for (number, other) in (1..).zip(feature.beside) {
            outbound.insert(number, other);
        }
        let room = sender.room(size) + 64;
        outbound.insert(SPI, sender);
        inbound.insert(receiver).unwrap();
        Self {
            outbound,
            inbound,
            inner: feature::packet(size, feature.is_text),
            sealed: (0..BATCH).map(|_| (vec![0; room], 0)).collect(),
            class: feature.class,
            compressor: Compressor::default(),
            expander: Expander::default(),
            rebuilt: Vec::new(),
            scratch: Vec::new(),
            start: Instant::now(),
        }
    }

    /// Does with packets of the host what an engine does.
    fn leave(&mut self) {
        for place in 0..self.sealed.len() {
            let mut flow = Flow::read(black_box(&self.inner)).unwrap();
            if self.outbound.sorts(&self.inner) {
                let sorted =
                    self.outbound.sort(flow, &self.inner, || self.start.elapsed()).unwrap();
                let Leaving::With(its, _) = sorted else { panic!("no fragment was sent") };
                flow = its;
            }
            assert!(self.outbound.permits(&flow));
            let sa = self.outbound.find(&flow).unwrap();
            black_box((sa.path(), sa.outer().class(&self.inner)));
            black_box(sa.outer().is_fragmentable(&self.inner));
            assert!(!sa.counters().budget.is_over());
            let (buffer, length) = &mut self.sealed[place];
            let sealed = match sa.ipcomp() {
                None => sa.seal(&self.inner, buffer),
                Some(ipcomp) => {
                    sa.seal_compressed(ipcomp, &mut self.compressor, &self.inner, buffer)
                }
            };
            *length = sealed.unwrap();
            black_box(sa.counters().send(self.inner.len()));
        }
    }

    /// Does with those of the network what an engine does.
    fn arrive(&mut self) {
        let from = SocketAddr::new(PEER.into(), 4500);
        for (buffer, length) in &mut self.sealed {
            let packet = &mut buffer[..*length];
            let sa = self.inbound.get_mut(black_box(SPI)).unwrap();
            assert!(!sa.counters().budget.is_over());
            if sa.is_ah() {
                let verified = sa.verify_ah(packet, &mut self.scratch).unwrap();
                black_box((sa.take_proof(&verified), sa.has_moved(&verified, from)));
                let place = sa.admit_ah(&verified, packet).unwrap();
                black_box(sa.counters().receive(place.len()));
                continue;
            }
            let verified = sa.verify(packet).unwrap();
            black_box((sa.take_proof(&verified), sa.has_moved(&verified, from)));
            let place = match sa.delivery() {
                Delivery::Within => sa.admit(&verified, packet).unwrap(),
                Delivery::Sorted => {
                    let (mut places, start) = (Vec::new(), self.start);
                    let room = (&mut self.rebuilt, &mut places);
                    let whole = (&*packet, self.class);
                    let now = || start.elapsed();
                    sa.sort(&verified, whole, &mut self.expander, now, room).unwrap().unwrap()
                }
                _ => {
                    self.rebuilt.clear();
                    let (expander, room) = (&mut self.expander, &mut self.rebuilt);
                    sa.rebuild(&verified, packet, self.class, expander, room).unwrap();
                    0..self.rebuilt.len()
                }
            };
            if self.class != 0 && matches!(sa.delivery(), Delivery::Within) {
                carry_congestion(&mut packet[place.clone()], self.class).unwrap();
            }
            black_box(sa.counters().receive(place.len()));
        }
    }
}

/// Returns the nanoseconds that a packet takes to leave and to arrive, by feature.
fn best(loops: &mut [Loop]) -> Vec<[f64; 2]> {
    let mut best = vec![[Duration::MAX; 2]; loops.len()];
    for _ in 0..ROUNDS {
        for (one, best) in loops.iter_mut().zip(&mut best) {
            best[0] = best[0].min(timed(|| one.leave()));
            best[1] = best[1].min(timed(|| one.arrive()));
        }
    }
    let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(BATCH);
    best.into_iter().map(|times| times.map(each)).collect()
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn main() {
    let columns = SIZES.map(|size| format!(" {size}, leaving | and arriving |")).concat();
    println!("| ns a packet, and of what it is without |{columns}\n|---|---|---|---|---|");
    let results = SIZES.map(|size| {
        let feature = |make: &fn(&mut Feature)| {
            let mut feature = Feature::default();
            make(&mut feature);
            Loop::new(feature, size)
        };
        best(&mut FEATURES.iter().map(|(_, _, make)| feature(make)).collect::<Vec<_>>())
    });
    for (place, (name, beside, _)) in FEATURES.iter().enumerate() {
        let beside = FEATURES.iter().position(|(other, _, _)| other == beside).unwrap();
        let cells = results.iter().flat_map(|result| {
            (0..2).map(|way| (result[place][way], result[place][way] / result[beside][way]))
        });
        let cells: Vec<_> = cells.map(|(ns, ratio)| format!(" {ns:.0} ({ratio:.2}) |")).collect();
        println!("| {name} |{}", cells.concat());
    }
}

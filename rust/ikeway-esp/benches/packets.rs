// SPDX-License-Identifier: Apache-2.0
//! Sealing and opening one packet, for a row of each family of suites, and choosing its SA.
#![allow(missing_docs, reason = "criterion's macros write functions without them")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run may stop")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    UnboundKey,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ikeway_esp::{
    DirectionKeys, Flow, InboundSa, OutboundSa, OutboundTable, Policy, Selector, Shared, Suite,
};

const PEERS: u32 = 1000;
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4500);
const SIZES: [usize; 3] = [64, 512, 1400];
const RAW: [(&str, &Algorithm); 3] = [
    ("aes128gcm16", &AES_128_GCM),
    ("aes256gcm16", &AES_256_GCM),
    ("chacha20poly1305", &CHACHA20_POLY1305),
];
const CODES: [(u16, u16, u16); 7] = [
    (20, 128, 0),
    (20, 256, 0),
    (28, 0, 0),
    (12, 256, 12),
    (16, 256, 0),
    (18, 128, 0),
    (21, 256, 0),
];

fn packets(criterion: &mut Criterion) {
    for (encr, key_bits, integ) in CODES {
        let suite = Suite::find(encr, key_bits, integ).unwrap();
        let (outbound, mut inbound) = sas(suite);
        let mut group = criterion.benchmark_group(suite.name());
        for size in SIZES {
            let inner = packet(size);
            let mut buffer = vec![0; outbound.sealed_length(size)];
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(format!("seal {size}"), |bencher| {
                bencher.iter(|| outbound.seal(black_box(&inner), &mut buffer).unwrap());
            });
            group.bench_function(format!("open {size}"), |bencher| {
                bencher.iter_batched_ref(
                    || {
                        outbound.seal(&inner, &mut buffer).unwrap();
                        buffer.clone()
                    },
                    |packet| inbound.open(black_box(packet)).unwrap(),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

/// What aws-lc-rs alone needs for the same octets: what sealing and opening are measured against.
fn raw(criterion: &mut Criterion) {
    for (name, algorithm) in RAW {
        let key = UnboundKey::new(algorithm, &vec![1; algorithm.key_len()]).unwrap();
        let key = LessSafeKey::new(key);
        let nonce = || Nonce::assume_unique_for_key([7; NONCE_LEN]);
        let mut group = criterion.benchmark_group(format!("raw {name}"));
        for size in SIZES {
            let inner = packet(size);
            let (mut sealed, mut tag) = (inner.clone(), [0; 16]);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(format!("seal {size}"), |bencher| {
                bencher.iter(|| {
                    let tag = key.seal_in_place_separate_tag(
                        nonce(),
                        Aad::from([0; 12]),
                        black_box(&mut sealed),
                    );
                    tag.unwrap()
                });
            });
            sealed.copy_from_slice(&inner);
            let made = key.seal_in_place_separate_tag(nonce(), Aad::from([0; 12]), &mut sealed);
            tag.copy_from_slice(made.unwrap().as_ref());
            group.bench_function(format!("open {size}"), |bencher| {
                bencher.iter_batched_ref(
                    || sealed.clone(),
                    |sealed| {
                        let aad = Aad::from([0; 12]);
                        key.open_in_place_separate_tag(nonce(), aad, &tag, black_box(sealed))
                            .map(|_| ())
                            .unwrap();
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

/// Among as many peers with an address each, alone and while each of them is rekeying.
fn choices(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("choose");
    let flow = Flow::read(&packet(64)).unwrap();
    let mut table = OutboundTable::default();
    for number in 0..PEERS {
        table.insert(number, to_peer(number));
    }
    group.bench_function("all active", |bencher| {
        bencher.iter(|| table.find(black_box(&flow)).map(OutboundSa::spi));
    });
    for number in 0..PEERS {
        table.insert_standby(PEERS + number, to_peer(number));
    }
    group.bench_function("and as many on standby", |bencher| {
        bencher.iter(|| table.find(black_box(&flow)).map(OutboundSa::spi));
    });
}

/// Returns an SA with the peer whose address is that number.
fn to_peer(number: u32) -> OutboundSa {
    let suite = Suite::find(20, 128, 0).unwrap();
    let address = IpAddr::from(Ipv4Addr::from(number));
    let any = (0, u16::MAX);
    let local = Selector::new(0, any, Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    let peer = Selector::new(0, any, address, address);
    let policy = Policy::new(vec![local.unwrap()], vec![peer.unwrap()]).unwrap();
    let shared = Shared::new(0x1000, suite, true, policy);
    let keys = DirectionKeys { encr: vec![1; suite.encryption.key_octets], integ: Vec::new() };
    OutboundSa::new(shared, (NOWHERE, NOWHERE), &keys, &[3; 16], 0).unwrap()
}

fn sas(suite: Suite) -> (OutboundSa, InboundSa) {
    let any = (0, u16::MAX);
    let everything =
        Selector::new(0, any, Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    let everything = vec![everything.unwrap()];
    let policy = Policy::new(everything.clone(), everything).unwrap();
    let shared = Shared::new(0x1000, suite, true, policy);
    let (encr, integ) = suite.key_octets();
    let keys = DirectionKeys { encr: vec![1; encr], integ: vec![2; integ] };
    let outbound = OutboundSa::new(shared.clone(), (NOWHERE, NOWHERE), &keys, &[3; 16], 0).unwrap();
    (outbound, InboundSa::new(shared, &keys, 1024).unwrap())
}

fn packet(octets: usize) -> Vec<u8> {
    let mut packet = vec![0; octets];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&u16::try_from(octets).unwrap().to_be_bytes());
    packet[9] = 17;
    packet
}

fn quick() -> Criterion {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(300));
    criterion.measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = quick();
    targets = raw, packets, choices
}
criterion_main!(benches);

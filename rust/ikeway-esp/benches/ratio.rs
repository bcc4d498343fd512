// SPDX-License-Identifier: Apache-2.0
//! Sealing and opening packets of 1,400 octets against aws-lc-rs alone, as a part of its speed.
//!
//! Both are measured in turns and the best of many rounds counts, so that other work on the machine
//! does not matter: `cargo bench -p ikeway-esp --bench ratio`.
#![allow(clippy::unwrap_used, reason = "a bench that cannot run may stop")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    UnboundKey,
};
use ikeway_esp::{DirectionKeys, InboundSa, OutboundSa, Policy, Selector, Shared, Suite};

const OCTETS: usize = 1400;
const BATCH: usize = 32;
const ROUNDS: usize = 3000;
const TAG: usize = 16;
const PATH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4500);
const ROWS: [((u16, u16), &Algorithm); 3] =
    [((20, 128), &AES_128_GCM), ((20, 256), &AES_256_GCM), ((28, 0), &CHACHA20_POLY1305)];

fn main() {
    println!("octets {OCTETS}: ns raw, ns ours, ours as a part of raw speed");
    for ((encr, key_bits), algorithm) in ROWS {
        let suite = Suite::find(encr, key_bits, 0).unwrap();
        let [raw_seal, seal, raw_open, open] = best(suite, algorithm);
        for (what, raw, ours) in [("seal", raw_seal, seal), ("open", raw_open, open)] {
            println!(
                "{:18} {what} {raw:6.1} {ours:6.1} {:5.1} %",
                suite.name(),
                100.0 * raw / ours
            );
        }
    }
}

/// Returns nanoseconds a packet: sealing by the library, by us, opening by the library, by us.
fn best(suite: Suite, algorithm: &'static Algorithm) -> [f64; 4] {
    let raw = LessSafeKey::new(UnboundKey::new(algorithm, &vec![1; algorithm.key_len()]).unwrap());
    let (outbound, mut inbound) = sas(suite);
    let inner = packet();
    let mut buffers = vec![inner.clone(); BATCH];
    let mut sealed = vec![vec![0; outbound.sealed_length(OCTETS)]; BATCH];
    let mut tags = [[0; TAG]; BATCH];
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let raw_seal = timed(|| {
            for (buffer, tag) in buffers.iter_mut().zip(&mut tags) {
                let made = raw.seal_in_place_separate_tag(nonce(), Aad::from([0; 12]), buffer);
                tag.copy_from_slice(made.unwrap().as_ref());
            }
        });
        let seal = timed(|| {
            for buffer in &mut sealed {
                outbound.seal(black_box(&inner), buffer).unwrap();
            }
        });
        let raw_open = timed(|| {
            for (buffer, tag) in buffers.iter_mut().zip(&tags) {
                let opened =
                    raw.open_in_place_separate_tag(nonce(), Aad::from([0; 12]), tag, buffer);
                assert!(opened.is_ok());
            }
        });
        let open = timed(|| {
            for buffer in &mut sealed {
                inbound.open(black_box(buffer)).unwrap();
            }
        });
        for (best, seen) in best.iter_mut().zip([raw_seal, seal, raw_open, open]) {
            *best = seen.min(*best);
        }
    }
    best.map(|time| time.as_secs_f64() * 1e9 / 32.0)
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([7; NONCE_LEN])
}

fn sas(suite: Suite) -> (OutboundSa, InboundSa) {
    let all = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into());
    let everything = vec![Selector::new(0, (0, u16::MAX), all.0, all.1).unwrap()];
    let policy = Policy::new(everything.clone(), everything).unwrap();
    let shared = Shared::new(0x1000, suite, true, policy);
    let keys = DirectionKeys { encr: vec![1; suite.key_octets().0], integ: Vec::new() };
    let outbound = OutboundSa::new(shared.clone(), (PATH, PATH), &keys, &[3; 16], 0).unwrap();
    (outbound, InboundSa::new(shared, &keys, 1024).unwrap())
}

fn packet() -> Vec<u8> {
    let mut packet = vec![0; OCTETS];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&u16::try_from(OCTETS).unwrap().to_be_bytes());
    packet[9] = 17;
    packet
}

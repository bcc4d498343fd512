// SPDX-License-Identifier: Apache-2.0
//! Reassembly of AGGFRAG payloads (RFC 9347 §2.2): packets of a peer that has the keys, and lies.
//!
//! What they say of congestion is heard, too, and never allows more than is configured.
//!
//! The first octet chooses how many may overtake. Then each payload has a step of its number, a length
//! and so many octets; steps of 0 let time pass.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use ikeway_esp::{BreakerLimits, Congestion, Dialogue, MAX_REORDER, Reassembly, inner_length};
use libfuzzer_sys::fuzz_target;

const PATIENCE: Duration = Duration::from_millis(100);
/// Packets a second that are allowed, whatever the peer reports.
const MOST: f64 = 1000.0;

fuzz_target!(|data: &[u8]| {
    let [reorder, rest @ ..] = data else { return };
    let dialogue = Arc::new(Dialogue::default());
    let reorder = usize::from(*reorder) % (MAX_REORDER + 1);
    let mut reassembly = Reassembly::new(reorder, PATIENCE).reporting(Some(Arc::clone(&dialogue)));
    let mut congestion =
        Congestion::new(Arc::clone(&dialogue)).controlled(MOST, 1000, Duration::ZERO);
    let limits = BreakerLimits { lost: 0.1, interval: PATIENCE };
    let mut guarded = Congestion::new(dialogue).guarded(limits, PATIENCE, Duration::ZERO);
    let (mut number, mut now, mut rest) = (0_u64, Duration::ZERO, rest);
    let (mut given, mut taken) = (0, 0);
    while let [step, length, octets @ ..] = rest {
        let (payload, after) = octets.split_at(usize::from(*length).min(octets.len()));
        rest = after;
        let mut take = |packet: &[u8]| {
            assert_eq!(inner_length(packet), Ok(packet.len()));
            taken += packet.len();
        };
        if *step == 0 {
            now += PATIENCE;
            let _ = reassembly.give_up(now, &mut take);
            continue;
        }
        // Steps are of both signs: payloads overtake one another.
        number = number.saturating_add_signed(i64::from(step.cast_signed()));
        given += payload.len();
        reassembly.note(number, payload, *length & 1 == 1, now);
        let info = congestion.next(PATIENCE, now);
        assert!(info.rtt < 1 << 22 && info.echo_delay < 1 << 21 && info.transmit_delay < 1 << 21);
        let every = congestion.every().unwrap_or_default();
        assert!(every >= Duration::from_micros(999) && every <= Duration::from_secs(1));
        guarded.next(guarded.every().unwrap_or_default(), now);
        let every = guarded.every().unwrap_or_default();
        assert!(every >= PATIENCE && every <= Duration::from_secs(1));
        let _ = reassembly.add(number, payload, now, &mut take);
        assert!(reassembly.lost() <= number.max(1 << 32));
    }
    assert!(taken <= given, "no octet comes twice");
});

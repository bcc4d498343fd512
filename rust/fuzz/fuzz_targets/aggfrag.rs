// SPDX-License-Identifier: Apache-2.0
//! Reassembly of AGGFRAG payloads (RFC 9347 §2.2): packets of a peer that has the keys, and lies.
//!
//! The first octet chooses how many may overtake. Then each payload has a step of its number, a length
//! and so many octets; steps of 0 let time pass.
#![no_main]

use std::time::Duration;

use ikeway_esp::{MAX_REORDER, Reassembly, inner_length};
use libfuzzer_sys::fuzz_target;

const PATIENCE: Duration = Duration::from_millis(100);

fuzz_target!(|data: &[u8]| {
    let [reorder, rest @ ..] = data else { return };
    let mut reassembly = Reassembly::new(usize::from(*reorder) % (MAX_REORDER + 1), PATIENCE);
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
        let _ = reassembly.add(number, payload, now, &mut take);
        assert!(reassembly.lost() <= number.max(1 << 32));
    }
    assert!(taken <= given, "no octet comes twice");
});

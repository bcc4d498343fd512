// SPDX-License-Identifier: Apache-2.0
//! Cutting what the host left to be cut, and joining it again: what came out is what went in.
//!
//! The first octet chooses whether UDP is joined; the rest is one read of the interface, header and
//! packet.
#![no_main]

use ikeway_io::fuzzing::{OFFLOAD_OCTETS, cut, join};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [joins_udp, read @ ..] = data else { return };
    let Ok(packets) = cut(&mut read.to_vec()) else { return };
    let payload: usize = packets.iter().map(Vec::len).sum();
    assert!(payload >= read.len() - OFFLOAD_OCTETS, "no octet is lost");
    let mut again = Vec::new();
    for mut written in join(&packets, joins_udp & 1 != 0) {
        again.extend(cut(&mut written).expect("what we write is what we would read"));
    }
    assert_eq!(again, packets);
});

// SPDX-License-Identifier: Apache-2.0
//! What anybody says of our paths by ICMP (RFC 1191 §4, RFC 4443 §3.2). The first octet chooses the IP
//! version.
#![no_main]

use ikeway_io::fuzzing::claim;
use libfuzzer_sys::fuzz_target;

const PORT: u16 = 4500;

fuzz_target!(|data: &[u8]| {
    let [version, message @ ..] = data else { return };
    let is_ipv6 = version & 1 != 0;
    let Some((peer, mtu, spi)) = claim(message, is_ipv6, PORT) else { return };
    assert_eq!(peer.is_ipv6(), is_ipv6);
    assert!(mtu < length(message, is_ipv6), "a path gets no wider, nor is as wide as it was");
    // Who shows less of the packet says the same, or nothing.
    for end in 0..message.len() {
        if let Some((same, said, shown)) = claim(&message[..end], is_ipv6, PORT) {
            assert_eq!((same, said), (peer, mtu));
            assert!(shown.is_none() || shown == spi);
        }
    }
});

/// The length of the packet that the message is about.
fn length(message: &[u8], is_ipv6: bool) -> u16 {
    let start = if is_ipv6 { 8 } else { usize::from(message[0] & 0x0f) * 4 + 8 };
    let at = start + if is_ipv6 { 4 } else { 2 };
    let said = u16::from_be_bytes([message[at], message[at + 1]]);
    if is_ipv6 { said.saturating_add(40) } else { said }
}

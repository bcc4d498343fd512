// SPDX-License-Identifier: Apache-2.0
//! AES-GMAC (RFC 4543 §4) against tags that another library made: Linux has no AH with it to try.

use super::*;

/// Code point, whether ESN, and the tag of the first packet: a tunnel's from 192.0.2.1 to 192.0.2.2.
///
/// By pyca/cryptography (OpenSSL): `AESGCM(key).encrypt(salt + iv, b"", packet)` with the packet put
/// together by `struct`, zeros where the network may change it (RFC 4302 §3.3.3.1) and for IV and tag,
/// and the high half of the number behind it with ESN.
const TAGS: [(u16, bool, &str); 6] = [
    (9, false, "25dc6595b3729fb04ca073328565a8d0"),
    (9, true, "aa93c7f2b436654d64eebed366b3484b"),
    (10, false, "ed3029ae503c0bbde53ea457863a92d8"),
    (10, true, "42f96de74c72e1ca3daac4d09ad3da68"),
    (11, false, "45a549984c1fab552a696b3f969e8703"),
    (11, true, "18f0f5ec1e3cf8a98e6946b504f97329"),
];

/// CF-U04: RFC 4543 §4: the IV stands before the tag, and both are zeros in what is protected.
#[test]
fn tags_are_those_of_another_library() {
    for (integ, esn, tag) in TAGS {
        let suite = Suite::find(0, 0, integ).unwrap();
        let (sender, _) = pair(suite, esn, IPV4, false);
        let packet = sealed(&sender, &ipv4_packet(4));
        assert_eq!(packet[32..40], [0, 0, 0, 0, 0, 0, 0, 1], "{}", suite.name());
        assert_eq!(packet[40..56], hex(tag), "{}", suite.name());
    }
}

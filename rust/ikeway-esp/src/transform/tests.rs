// SPDX-License-Identifier: Apache-2.0
//! Packets of draft-mcgrew-gcm-test-01, which go with RFC 4106 and RFC 4543: not all have an IP
//! packet inside, so they are opened without looking into it.

use super::*;
use crate::testing::{hex, keys};

/// Code point, key bits, key with salt, SPI, sequence number, whether ESN, IV, plaintext, sealed.
type Case = (u16, u16, &'static str, &'static str, u64, bool, &'static str, &'static str, String);

fn cases() -> Vec<Case> {
    let host = "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000
        020405b40101040201020201";
    let sealed = "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d34
        7f0545659f14e99def842d8e";
    let tag = "b335f4eecfdbf831824b4c4915956c96";
    let key = "abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344";
    let long = |code, octets: usize| {
        let sealed = format!("{sealed}{}", &tag[..2 * octets]);
        (code, 256, key, "4a2cbfe3", 2, false, "0102030405060708", host, sealed)
    };
    let gmac = "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c
        6d6e6f707172737401020201";
    vec![
        (
            20,
            128,
            "4c80cdefbb5d10da906ac73c3613a6342e443b68",
            "00004321",
            0x8765_4321_0000_0000,
            true,
            "4956ed7e3b244cfe",
            "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f7369
             70045f756470037369700963796265726369747902646b000021000101020201",
            "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf
             65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe72
             2fd04796562dfdb4"
                .to_owned(),
        ),
        (
            20,
            192,
            "feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe",
            "0000a5f8",
            10,
            false,
            "facedbaddecaf888",
            "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001",
            "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc77
             95457b9652037f5318027b5b4cd7a636"
                .to_owned(),
        ),
        long(20, 16),
        // RFC 4106 §6: an ICV of 8 or 12 octets is the beginning of the whole one.
        long(19, 12),
        long(18, 8),
        (
            21,
            128,
            "4c80cdefbb5d10da906ac73c3613a63422433c64",
            "00004321",
            7,
            false,
            "0000000000000000",
            gmac,
            format!("{gmac}f2a9a836e155106aa8dcd618e4099aaa"),
        ),
    ]
}

#[test]
fn packets_of_the_draft_are_opened_and_made() {
    for (code, bits, key, spi, sequence, esn, iv, plaintext, sealed) in cases() {
        let suite = Suite::find(code, bits, 0).unwrap();
        let keys = DirectionKeys { encr: hex(key), integ: Vec::new() };
        let low = sequence.to_be_bytes();
        let packet = [hex(spi), low[4..].to_vec(), hex(iv), hex(&sealed)].concat();
        let transform = Transform::new(&Direction::Open, suite, &keys, esn).unwrap();
        let mut opened = packet.clone();
        transform.open(sequence, &mut opened).unwrap();
        let end = opened.len() - suite.shape().icv_octets();
        assert_eq!(opened[16..end], hex(plaintext), "{}", suite.name());
        opened[end..].fill(0);
        let transform = Transform::new(&Direction::Seal, suite, &keys, esn).unwrap();
        transform.seal(sequence, &hex(plaintext), &[], &mut opened).unwrap();
        assert_eq!(opened, packet, "{}", suite.name());
    }
}

/// Expanded keys know the shape that the row of their suite has.
#[test]
fn the_shape_of_packets_is_that_of_the_suite() {
    for suite in Suite::all() {
        let transform = Transform::new(&Direction::Open, suite, &keys(suite), true).unwrap();
        assert_eq!(transform.shape(), suite.shape(), "{}", suite.name());
    }
}

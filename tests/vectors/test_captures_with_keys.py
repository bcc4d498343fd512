# SPDX-License-Identifier: Apache-2.0
"""SK payloads that others recorded, opened with the keys that they published."""

import re

import pytest

from ikeway.crypto.encr import encryption
from ikeway.crypto.integ import integrity
from ikeway.crypto.protection import DirectionKeys, Protection
from ikeway.model.errors import IntegrityError
from ikeway.model.secret import Secret
from support.pcap import CAPTURES, ike_messages

# RFC 7296 §3.2: payload types inside the Encrypted payload.
SA, ID_I, ID_R, AUTH, NOTIFY, DELETE, TS_I, TS_R = 33, 35, 36, 39, 41, 42, 44, 45
SK, PREFIX_OCTETS, INITIATOR = 46, 32, 0x08

JOY = Protection.of(13, 192, 14)
JOY_KEYS = {
    True: DirectionKeys(
        Secret(bytes.fromhex("aaa06839eaf0959d486eeecda7a48b23080963b5fd7217928e8fbf58")),
        Secret(
            bytes.fromhex(
                "65777be31ee2137f31cf23fa0ee834dfede11cc0adc9a84541026642c09df2bf"
                "96056a2036e97a67ce7d3c5b6f37e17e8fe64f4ef23e14f5997fb7671df3adaf"
            )
        ),
    ),
    False: DirectionKeys(
        Secret(bytes.fromhex("92dc96ec87076caa84e26b3621c7c469427e2e4bcc1b962362a3dde3")),
        Secret(
            bytes.fromhex(
                "42abd4709f1b94fd8c2270c74aae3fbe61c0b9c109c55f3e3b9ed7e480bc75c3"
                "985c15234caa623c8ca0606c303921d7cfd44861df1e798370b2ee95fe712e52"
            )
        ),
    ),
}
JOY_AUTH = "3ec23dcf9348485638407c754547aeb3085290082c49f583fdbae59263a20b4a"


@pytest.mark.conformance("CF-K15")
def test_every_encrypted_payload_of_joy_opens_in_both_directions() -> None:
    """AES-CTR-192 with HMAC-SHA2-512-256, from the IKE header on; the last one is empty."""
    opened = [payloads(*open_joy(octets)) for octets in encrypted("joy-ikev2.pcap")]
    assert [[kind for kind, _ in chain] for chain in opened] == [
        [ID_I, NOTIFY, ID_R, AUTH, SA, TS_I, TS_R, NOTIFY, NOTIFY],
        [ID_R, AUTH, SA, TS_I, TS_R, NOTIFY],
        [DELETE],
        [],
    ]


def test_the_initiator_of_joy_sent_the_auth_data_of_its_source() -> None:
    first = open_joy(encrypted("joy-ikev2.pcap")[0])
    (auth,) = [body for kind, body in payloads(*first) if kind == AUTH]
    assert auth[4:].hex() == JOY_AUTH


@pytest.mark.conformance("CF-K14")
def test_a_flipped_bit_anywhere_in_a_message_of_joy_fails() -> None:
    octets = encrypted("joy-ikev2.pcap")[2]
    for at in range(8 * len(octets)):
        changed = bytearray(octets)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(IntegrityError):
            JOY.open(JOY_KEYS[True], bytes(changed[:32]), bytes(changed[32:]))


def test_the_encrypted_payload_of_tcpdump_opens_by_its_own_rule() -> None:
    """AES-CBC-128 with HMAC-SHA1-96: IDi of type FQDN, "west", and 200 zero octets.

    Its maker's integrity check value covers IV and ciphertext only. RFC 7296 §3.14 has it cover
    the headers too, so `Protection` must not accept the message.
    """
    keys = tcpdump_keys()
    (octets,) = encrypted("ikev2pI2.pcap")
    prefix, body, icv = octets[:PREFIX_OCTETS], octets[PREFIX_OCTETS:-12], octets[-12:]
    integrity(2).verify(keys.integ.octets, icv, body)
    padded = encryption(12, 128).decrypt(keys.encr.octets, body[:16], body[16:])
    assert padded.startswith(bytes.fromhex("2700000c02000000") + b"west")
    with pytest.raises(IntegrityError):
        Protection.of(12, 128, 2).open(keys, prefix, body + icv)


def tcpdump_keys() -> DirectionKeys:
    text = (CAPTURES / "ikev2pI2-secrets.txt").read_text()
    found = re.search(r"ikev2 I \S+ \S+ sha1:0x(\S+) aes128:0x(\S+)", text)
    assert found
    return DirectionKeys(Secret(bytes.fromhex(found[2])), Secret(bytes.fromhex(found[1])))


def encrypted(capture: str) -> list[bytes]:
    """The messages of a capture whose first payload is SK."""
    return [octets for octets in ike_messages(CAPTURES / capture) if octets[16] == SK]


def open_joy(octets: bytes) -> tuple[int, bytes]:
    """The type of the first inner payload, and the plaintext."""
    keys = JOY_KEYS[bool(octets[19] & INITIATOR)]
    return octets[28], JOY.open(keys, octets[:PREFIX_OCTETS], octets[PREFIX_OCTETS:])


def payloads(kind: int, chain: bytes) -> list[tuple[int, bytes]]:
    """The payloads of a chain with their types; its length fields must fit exactly."""
    found = []
    while kind:
        length = int.from_bytes(chain[2:4])
        assert 4 <= length <= len(chain)
        found.append((kind, chain[4:length]))
        kind, chain = chain[0], chain[length:]
    assert not chain
    return found

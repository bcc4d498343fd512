# SPDX-License-Identifier: Apache-2.0
"""Ciphers against the vectors of their standards, and AES-CCM against a second implementation."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from ikeway.crypto.encr import encryption
from ikeway.crypto.protection import DirectionKeys, Protection
from ikeway.model.secret import Secret
from support.vectors import cases


@pytest.mark.parametrize("case", cases("ciphers"))
def test_a_cipher_gives_the_ciphertext_of_its_standard(case: dict[str, Any]) -> None:
    cipher = encryption(case["code"], case["key_bits"]).keyed(case["key"])
    sealed = cipher.encrypt(case["iv"], case["plaintext"], case["associated"])
    assert sealed == case["ciphertext"]
    assert cipher.decrypt(case["iv"], sealed, case["associated"]) == case["plaintext"]


@pytest.mark.conformance("CF-K16")
def test_the_ike_message_of_rfc_7634_is_sealed_octet_for_octet() -> None:
    """RFC 7634 appendix B: an INFORMATIONAL request with N(SET_WINDOW_SIZE)."""
    keys = DirectionKeys(Secret(bytes(range(0x80, 0xA0)) + bytes.fromhex("a0a1a2a3")), Secret(b""))
    prefix = bytes.fromhex("c0c1c2c3c4c5c6c7d0d1d2d3d4d5d6d72e202500000000090000004529000029")
    plaintext = bytes.fromhex("0000000c000040010000000a")
    body = bytes.fromhex(
        "1011121314151617610394701f8d017f7c129248896b71bfe25236efd7cdc67066906315b2"
    )
    protection = Protection.of(28, 0)
    assert protection.body_octets(len(plaintext)) == len(body)
    assert protection.seal(keys, body[:8], prefix, plaintext) == body
    assert protection.open(keys, prefix, body) == plaintext


# RFC 3610 has nonces of 13 octets, ESP and IKE have 11: so CCM is computed a second time here, from
# the block cipher alone, and that second time is held to vectors with nonces of 12 octets.

WYCHEPROOF = [
    (  # tcId 28
        "671a70e883fb0611dffd0b1dd9b8cca2",
        "a51c37f467893c1608e56274",
        "3ea12d80f40f34f812479d2ecc13d2d6df",
        "3baf3edf04dc0c97aae081cdeb08021d",
        "5d5630fc728ffb08ce693f7299e6728b00023f11a023c0786c105fe4c003af6e",
    ),
    (  # tcId 458
        "7160434720504dce28845625a3423166d9b5025d975c6ee47299bb5bd677dbeb",
        "0296c95b44c17463434c7e19",
        "19082bf57b6c4130eac58c0526a044ee",
        "c66a48615b62d2d85ea82ee4d528a03a",
        "8934ea7afb44fdca4027ed9bbb247358b333f0e1383cf3e8",
    ),
    (  # tcId 476
        "22234e831409b5fbec252c785d694b004a59ffda156cff62f5702b72fbf100ad",
        "5b38b953115e8088430ebbd8",
        "0dfbea34bebb2ccdeb1277e0b44accfb",
        "600418cbef856439e40d839f7b57c5e32e",
        "daaab3cca5ab11f9e1f44cdbfe82b60c8faef2f1a90ffa6e96892f3728",
    ),
]


@pytest.mark.parametrize("texts", WYCHEPROOF, ids=["tag 16", "tag 8", "tag 12"])
def test_the_second_ccm_gives_the_published_ciphertexts(texts: tuple[str, ...]) -> None:
    key, nonce, associated, plaintext, sealed = map(bytes.fromhex, texts)
    tag_octets = len(sealed) - len(plaintext)
    assert reference_ccm(key, nonce, plaintext, associated, tag_octets) == sealed


@given(
    code=st.sampled_from([14, 15, 16]),
    key=st.sampled_from([16, 24, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)),
    nonce=st.binary(min_size=11, max_size=11),
    plaintext=st.binary(max_size=70),
    associated=st.binary(max_size=70),
)
def test_ccm_gives_what_the_second_one_gives(
    code: int, key: bytes, nonce: bytes, plaintext: bytes, associated: bytes
) -> None:
    row = encryption(code, 8 * len(key))
    sealed = row.encrypt(key + nonce[:3], nonce[3:], plaintext, associated)
    assert sealed == reference_ccm(key, nonce, plaintext, associated, row.icv_octets)


def reference_ccm(
    key: bytes, nonce: bytes, plaintext: bytes, associated: bytes, tag_octets: int
) -> bytes:
    """RFC 3610 §2, from AES in ECB mode."""

    def block(octets: bytes) -> bytes:
        run = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return run.update(octets) + run.finalize()

    def padded(octets: bytes) -> bytes:
        return octets + bytes(-len(octets) % 16)

    size = 15 - len(nonce)
    flags = (64 if associated else 0) + 8 * ((tag_octets - 2) // 2) + size - 1
    first = bytes([flags]) + nonce + len(plaintext).to_bytes(size)
    counted = len(associated).to_bytes(2) + associated if associated else b""
    mac = bytes(16)
    message = first + padded(counted) + padded(plaintext)
    for at in range(0, len(message), 16):
        mac = block(xor(mac, message[at : at + 16]))
    stream = b"".join(
        block(bytes([size - 1]) + nonce + number.to_bytes(size))
        for number in range(2 + len(plaintext) // 16)
    )
    return xor(plaintext, stream[16:]) + xor(mac, stream)[:tag_octets]


def xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=False))

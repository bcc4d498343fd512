# SPDX-License-Identifier: Apache-2.0
"""The key schedule (RFC 7296 §2.14, §2.17, §2.18), written out a second time."""

import hmac

import pytest

from ikeway.crypto.keys import Replaced, derive_child_keys, derive_ike_keys, esp_key_octets
from ikeway.crypto.prf import prf
from ikeway.crypto.protection import Protection
from ikeway.model.secret import Secret

NI, NR = bytes(range(32)), bytes(range(100, 132))
SPI_I, SPI_R = b"initiatr", b"respondr"
SHARED = Secret(bytes(range(200, 232)))
CBC, GCM = Protection.of(12, 256, 12), Protection.of(20, 256)


def expand(key: bytes, seed: bytes, octets: int, digest: str = "sha256") -> bytes:
    stream, block, number = b"", b"", 0
    while len(stream) < octets:
        number += 1
        block = hmac.digest(key, block + seed + bytes([number]), digest)
        stream += block
    return stream[:octets]


@pytest.mark.conformance("CF-H09")
def test_the_seven_keys_come_in_the_order_of_the_rfc() -> None:
    """{SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni|Nr|SPIi|SPIr)."""
    keys = derive_ike_keys(prf(5), CBC, SHARED, NI, NR, SPI_I, SPI_R)
    skeyseed = hmac.digest(NI + NR, SHARED.octets, "sha256")
    stream = expand(skeyseed, NI + NR + SPI_I + SPI_R, 7 * 32)
    names = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    assert [getattr(keys, name).octets for name in names] == [
        stream[at : at + 32] for at in range(0, 7 * 32, 32)
    ]
    assert (keys.initiator.encr, keys.initiator.integ) == (keys.sk_ei, keys.sk_ai)
    assert (keys.responder.encr, keys.responder.integ) == (keys.sk_er, keys.sk_ar)


@pytest.mark.conformance("CF-H09")
def test_aead_has_no_sk_a_and_its_sk_e_ends_with_the_salt() -> None:
    keys = derive_ike_keys(prf(5), GCM, SHARED, NI, NR, SPI_I, SPI_R)
    skeyseed = hmac.digest(NI + NR, SHARED.octets, "sha256")
    stream = expand(skeyseed, NI + NR + SPI_I + SPI_R, 32 + 2 * 36 + 2 * 32)
    assert len(keys.sk_ai) == len(keys.sk_ar) == 0
    assert (keys.sk_ei.octets, keys.sk_er.octets) == (stream[32:68], stream[68:104])


@pytest.mark.conformance("CF-H07")
@pytest.mark.parametrize("code", [4, 8])
def test_skeyseed_of_xcbc_and_cmac_has_half_its_key_from_each_nonce(code: int) -> None:
    row = prf(code)
    keys = derive_ike_keys(row, CBC, SHARED, NI, NR, SPI_I, SPI_R)
    skeyseed = row.compute(NI[:8] + NR[:8], SHARED.octets)
    stream = row.prf_plus(skeyseed, NI + NR + SPI_I + SPI_R, 3 * 16 + 4 * 32)
    assert keys.sk_d.octets == stream[:16], "prf+ takes the nonces whole"
    assert keys.sk_pr.octets == stream[-16:]


@pytest.mark.conformance("CF-H11")
def test_a_rekeyed_sa_gets_skeyseed_by_the_old_prf_and_its_keys_by_the_new_one() -> None:
    """SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), RFC 7296 §2.18."""
    old = Replaced(prf(7), Secret(bytes(range(64))))
    keys = derive_ike_keys(prf(5), GCM, SHARED, NI, NR, SPI_I, SPI_R, old)
    skeyseed = hmac.digest(old.sk_d.octets, SHARED.octets + NI + NR, "sha512")
    assert keys.sk_d.octets == expand(skeyseed, NI + NR + SPI_I + SPI_R, 32)


@pytest.mark.conformance("CF-H10")
@pytest.mark.parametrize("shared", [None, SHARED])
def test_child_keys_go_to_the_responder_first_and_encryption_first(shared: Secret | None) -> None:
    sk_d = Secret(bytes(32))
    towards_r, towards_i = derive_child_keys(prf(5), sk_d, 16, 20, NI, NR, shared)
    seed = (shared.octets if shared else b"") + NI + NR
    stream = expand(sk_d.octets, seed, 72)
    assert (towards_r.encr.octets, towards_r.integ.octets) == (stream[:16], stream[16:36])
    assert (towards_i.encr.octets, towards_i.integ.octets) == (stream[36:52], stream[52:])


ESP_SIZES = [
    ((12, 256, 12), (32, 32)),
    ((20, 128, 0), (20, 0)),
    ((28, 0, 0), (36, 0)),
    ((16, 256, 0), (35, 0)),
    ((11, 0, 14), (0, 64)),
    ((21, 128, 0), (20, 0)),
    ((21, 256, 0), (36, 0)),
]


@pytest.mark.parametrize(("suite", "sizes"), ESP_SIZES)
def test_the_sizes_of_esp_keys_are_those_of_its_algorithms(
    suite: tuple[int, int, int], sizes: tuple[int, int]
) -> None:
    assert esp_key_octets(*suite) == sizes


@pytest.mark.parametrize("suite", [(21, 0, 0), (2, 0, 12), (12, 128, 1)])
def test_esp_algorithms_that_we_do_not_have_are_a_lookup_error(
    suite: tuple[int, int, int],
) -> None:
    with pytest.raises(LookupError):
        esp_key_octets(*suite)


def test_no_key_is_printed() -> None:
    keys = derive_ike_keys(prf(5), CBC, SHARED, NI, NR, SPI_I, SPI_R)
    assert keys.sk_d.octets.hex() not in repr(keys)
    assert "Secret(32 octets)" in repr(keys)

# SPDX-License-Identifier: Apache-2.0
"""Milenage and the keys of EAP-AKA and AKA' against what others have published."""

import pytest

from ikeway.crypto import aka
from ikeway.crypto.milenage import Usim
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret


def octets(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def secret(text: str) -> Secret:
    return Secret(octets(text))


def test_milenage_gives_test_set_1_of_3gpp_ts_35_208() -> None:
    usim = Usim.with_op(
        secret("465b5ce8b199b49faa5f0a2ee238a6bc"), secret("cdc202d5123e20f62b6d676ac72cb318")
    )
    rand, sqn, amf = octets("23553cbe9637a89d218ae64dae47bf35"), octets("ff9bb4d0b607"), b"\xb9\xb9"
    assert usim.opc.octets == octets("cd63cb71954a9f4e48a5994e37a02baf")
    assert usim.macs(rand, sqn, amf) == (octets("4a9ffac354dfafb3"), octets("01cfaf9ec4e871e9"))
    assert usim.answer(rand) == (octets("a54211d5e3ba50bf"), octets("aa689c648370"))
    assert usim.keys(rand) == (
        octets("b40ba9a3c58b2a05bbf0d987b21bf8cb"),
        octets("f769bcd751044604127672711c6d3441"),
    )
    assert usim.resynchronisation(rand) == octets("451e8beca43b")


# RFC 9048 appendix D, cases 1 and 2: test set 19 of 3GPP TS 35.208.
RAND = octets("81e92b6c0ee0e12ebceba8d92a99dfa5")
AUTN = octets("bb52e91c747ac3ab2a5c23d15ee351d5")
IK = octets("9744871ad32bf9bbd1dd5ce54e3e2e5a")
CK = octets("5349fbe098649f948f5d2e973a81c00f")
RES = octets("28d7b0f2a2ec3de5")
IDENTITY = b"0555444333222111"


def test_milenage_gives_what_rfc_9048_begins_with() -> None:
    usim = Usim.with_op(
        secret("5122250214c33e723a5dd523fc145fc0"), secret("c9e8763286b5b9ffbdf56e1297d0887b")
    )
    res, ak = usim.answer(RAND)
    sqn = bytes(a ^ b for a, b in zip(AUTN[:6], ak, strict=True))
    assert res == RES
    assert usim.keys(RAND) == (CK, IK)
    assert usim.macs(RAND, sqn, AUTN[6:8])[0] == AUTN[8:]
    assert sqn == octets("16f3b3f70fc2")


CASES = [
    (
        (CK, IK, b"WLAN", AUTN[:6]),
        ("0093962d0dd84aa5684b045c9edffa04", "ccfc230ca74fcc96c0a5d61164f5a76c"),
        "0842ea722ff6835bfa2032499fc3ec23c2f0e388b4f07543ffc677f1696d71ea",
        (
            "67c42d9aa56c1b79e295e3459fc3d187d42be0bf818d3070e362c5e967a4d544"
            "e8ecfe19358ab3039aff03b7c930588c055babee58a02650b067ec4e9347c75a"
        ),
    ),
    (
        (CK, IK, b"HRPD", AUTN[:6]),
        ("3820f0277fa5f77732b1fb1d90c1a0da", "db94a0ab557ef6c9ab48619ca05b9a9f"),
        "5b4acaef62c6ebb8882b2f3d534c4b35277337a00184f20ff25d224c04be2afd",
        (
            "87b321570117cd6c95ab6c436fb5073ff15cf85505d2bc5bb7355fc21ea8a757"
            "57e8f86a2b138002e05752913bb43b82f868a96117e91a2d95f526677d572900"
        ),
    ),
    (
        (b"\xc0" * 16, b"\xb0" * 16, b"WLAN", b"\xa0" * 6),
        ("cd4c8e5c68f57dd1d7d7dfd0c538e577", "3ece6b705dbbf7dfc459a11280c65524"),
        "c40700e7722483ae3dc7139eb0b88bb558cb3081eccd057f9207d1286ee7dd53",
        (
            "9f7dca9e37bb22029ed986e7cd09d4a70d1ac76d95535c5cac40a7504699bb89"
            "61a29ef6f3e90f183de5861ad1bedc81ce9916391b401aa006c98785a5756df7"
        ),
    ),
    (
        (b"\xc0" * 16, b"\xb0" * 16, b"HRPD", b"\xa0" * 6),
        ("8310a71ce6f754889613da8f64d5fb46", "5adf14360ae838192db23f6fcb7f8c76"),
        "3e1d2aa4e677025cfd862a4be18361a13a6457655714 63df833a9759e8099879",
        (
            "c6d3a6e0ceea951eb20d74f32c3061d0680a04b0b086ee8700ace3e0b95fa026"
            "83c287beee44432294ff98af26d2cc783bace75c4b0af7fdfeb5511ba8e4cbd0"
        ),
    ),
]


@pytest.mark.parametrize(("parts", "bound", "k_aut", "msk"), CASES)
def test_the_cases_of_rfc_9048(
    parts: tuple[bytes, bytes, bytes, bytes], bound: tuple[str, str], k_aut: str, msk: str
) -> None:
    ck, ik = aka.bound_to_network(*parts)
    assert (ck, ik) == (octets(bound[0]), octets(bound[1]))
    keys = aka.aka_prime_keys(IDENTITY, ck, ik)
    assert keys.k_aut.octets == octets(k_aut)
    assert keys.msk.octets == octets(msk)


def test_the_generator_of_fips_186_2_gives_its_published_example() -> None:
    """NIST's "Random Number Generator Algorithm Examples" without the reduction by q."""
    found = aka.prf(octets("bd029bbe7f51960bcf9edb2b61f06f0feb5a38b6"), 40)
    assert found == octets(
        "2070b3223dba372fde1c0ffc7b2e3b498b2606143c6c18bacb0f6c55babb13788e20d737a3275116"
    )


def test_a_mac_that_is_wrong_is_refused() -> None:
    keys = aka.aka_keys(IDENTITY, CK, IK)
    keys.check(b"packet", keys.mac(b"packet"))
    with pytest.raises(AuthenticationError):
        keys.check(b"packet", bytes(16))

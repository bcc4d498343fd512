# SPDX-License-Identifier: Apache-2.0
"""Key logs of ikeway, Wireshark and tcpdump are read; what is written is read back the same."""

from pathlib import Path

import pytest

from ikeway.crypto.encr import KEY_BITS, ROWS, encryption
from ikeway.crypto.integ import ROWS as INTEGRITIES
from ikeway.crypto.keys import IkeKeys
from ikeway.model.errors import ConfigError, HostError
from ikeway.model.esp import EspKeys, EspSuite
from ikeway.model.secret import Secret
from ikeway.trace.keyfile import load_keys
from ikeway.trace.keys import EspSaKeys, IkeSaKeys
from ikeway.trace.opener import Algorithms
from ikeway.trace.tables import OURS, esp_line, ike_line, parse_line
from support.pcap import CAPTURES

SPIS = (b"SPI of i", b"SPI of r")
AEAD = [(row.code, bits, 0) for row in ROWS for bits in KEY_BITS[row.code] if row.icv]
PLAIN = [
    (row.code, bits, integ.code)
    for row in ROWS
    for bits in KEY_BITS[row.code]
    for integ in INTEGRITIES
    if not row.icv
]


def keys(count: int, letter: str) -> Secret:
    return Secret(letter.encode() * count)


@pytest.mark.parametrize("suite", [*AEAD, *PLAIN])
def test_the_line_of_an_ike_sa_is_read_back(suite: tuple[int, int, int]) -> None:
    encr = encryption(*suite[:2]).key_octets
    integ = next((row.key_octets for row in INTEGRITIES if row.code == suite[2]), 0)
    none = Secret(b"")
    sk = IkeKeys(
        none, keys(integ, "a"), keys(integ, "b"), keys(encr, "c"), keys(encr, "d"), none, none
    )
    row = parse_line(ike_line(SPIS, suite, sk))
    assert row == IkeSaKeys(*SPIS, Algorithms(*suite), sk.sk_ei, sk.sk_er, sk.sk_ai, sk.sk_ar)


@pytest.mark.parametrize("suite", [*AEAD, *PLAIN])
def test_the_line_of_an_esp_sa_is_read_back(suite: tuple[int, int, int]) -> None:
    encr = encryption(*suite[:2]).key_octets
    integ = next((row.key_octets for row in INTEGRITIES if row.code == suite[2]), 0)
    esp = EspKeys(keys(encr, "e"), keys(integ, "f"))
    line = esp_line(6, 0xC0FFEE01, EspSuite(*suite, esn=True), esp)
    assert parse_line(line) == EspSaKeys(
        0xC0FFEE01, "*", "*", Algorithms(*suite), esp.encr, esp.integ
    )


def test_only_what_wireshark_does_not_know_is_a_comment_to_it() -> None:
    none = EspKeys(Secret(b""), Secret(b""))
    ours = [suite for suite in AEAD if esp_line(4, 1, EspSuite(*suite, False), none)[0] == "#"]
    assert {encryption(*suite[:2]).name.partition("_")[0] for suite in ours} == {
        "AES",
        "CHACHA20",
        "NULL",
    }
    assert (20, 256, 0) not in ours
    assert esp_line(4, 1, EspSuite(28, 0, 0, False), none).startswith(OURS)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a,b", "2 columns where 8"),
        ("zz,00,,,x,,,y", "a SPI that is not hexadecimal"),
        ("00,00,,,x,,,y", "SPIs of 1 and 1 octets"),
        (
            '0001020304050607,0001020304050607,00,00,"AES-FOO",,,"NONE [RFC4306]"',
            "no encryption algorithm is called 'AES-FOO'",
        ),
        (
            '0001020304050607,0001020304050607,00,00,"AES-CBC-128 [RFC3602]",,,"NONE [RFC4306]"',
            "a key of 1 octets, not 16",
        ),
        ('"IPv4","*","*","0x1","AES-CBC [RFC3602]","0x00","NULL",""', "a SPI that is not"),
        ('"IPv4","*","*","0x0102030405","AES-CBC [RFC3602]","0x00","NULL",""', "SPI of 5 octets"),
        ('"IPv4","*","*","0x01","AES-CBC [RFC3602]","0x00","NULL",""', "not 16, 24, 32"),
    ],
)
def test_a_wrong_line_says_where_and_what(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "table").write_text(f"# a comment\n\n{line}\n")
    with pytest.raises(ConfigError, match=reason) as caught:
        load_keys(tmp_path / "table")
    assert f"{tmp_path / 'table'}:3: " in str(caught.value)


def test_an_error_shows_no_key(tmp_path: Path) -> None:
    secret = "5ec2e7" * 5
    line = f'"IPv4","*","*","0x01","AES-CBC [RFC3602]","0x{secret}","NULL","0x{secret}"'
    (tmp_path / "table").write_text(line)
    with pytest.raises(ConfigError) as caught:
        load_keys(tmp_path / "table")
    assert secret not in repr(caught.value) + repr(caught.value.__cause__)


def test_what_has_no_keys_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither ikev2_decryption_table nor esp_sa"):
        load_keys(tmp_path)
    (tmp_path / "esp_sa").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="there are no keys in it"):
        load_keys(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no text"):
        load_keys(tmp_path / "binary")
    with pytest.raises(HostError, match="No such file"):
        load_keys(tmp_path / "nothing")


def test_the_old_names_of_strongswan_are_read() -> None:
    line = '"IPv4","192.0.2.1","192.0.2.2","0xc0ffee01","AES-GCM [RFC4106]","0x{}","{}","0x"'
    for octets, code in ((16, 20), (12, 19), (8, 18)):
        check = f"ANY {8 * octets} bit authentication [no checking]"
        row = parse_line(line.format("00" * 36, check))
        assert row is not None
        assert row.algorithms == Algorithms(code, 256)


def test_tcpdump_s_secrets_are_read() -> None:
    store = load_keys(CAPTURES / "ikev2pI2-secrets.txt")
    (row,) = store.ike_keys(bytes(range(8)), bytes.fromhex("c02e7a3031a03188"))
    assert row.algorithms == Algorithms(12, 128, 2)
    assert row.encr_i.octets.hex() == "3f44bf47cafd8150591deb088199fcbf"
    assert row.encr_r.octets.hex() == "bedb67ec7dc3d00cccac42e70cd63bde"
    esp = load_keys(CAPTURES / "esp-secrets.txt")
    assert {spi: rows[0].algorithms.label for spi, rows in esp.esp.items()} == {
        0x12345678: "DES3/UNCHECKED_96",
        0xABCDABCD: "DES3/UNCHECKED_96",
        0xD1234567: "AES_CBC_256/UNCHECKED_96",
    }


def test_keys_of_the_right_addresses_come_first() -> None:
    store = load_keys(CAPTURES / "esp-secrets.txt")
    store.add([parse_line(_row("192.0.2.9")), parse_line(_row("*"))])  # type: ignore[list-item]
    first, *_, last = store.esp_keys(0x12345678, "192.0.2.1", "192.1.2.45")
    assert first.destination in {"*", "192.1.2.45"}
    assert last.destination == "192.0.2.9"


def _row(destination: str) -> str:
    keys = "00" * 16
    return f'"IPv4","*","{destination}","0x12345678","AES-CBC [RFC3602]","0x{keys}","NULL",""'

# SPDX-License-Identifier: Apache-2.0
"""Key logs: Wireshark's tables `ikev2_decryption_table` and `esp_sa`, read and written.

What Wireshark has no name for stands in the same columns behind `# ikeway `, a comment to it: one
line that it cannot read would make it refuse the whole table.
"""

import csv
from collections.abc import Mapping
from typing import Final, TypeVar

from ikeway.crypto.keys import IkeKeys
from ikeway.model.esp import EspKeys, EspSuite
from ikeway.model.secret import Secret
from ikeway.trace import names
from ikeway.trace.keys import ANY_ADDRESS, EspSaKeys, IkeSaKeys
from ikeway.trace.opener import Algorithms

IKE_TABLE: Final = "ikev2_decryption_table"
ESP_TABLE: Final = "esp_sa"
OURS: Final = "# ikeway "
_FAMILIES: Final = {"IPv4", "IPv6"}
_COLUMNS: Final = 8
_SPI_OCTETS: Final = 8
_GCM_ICV: Final = {18: 8, 19: 12, 20: 16}

T = TypeVar("T")
Row = IkeSaKeys | EspSaKeys


# Reading ------------------------------------------------------------------------------------------


def parse_line(line: str) -> Row | None:
    """Return the keys of a line of either table, or None if it is empty or a comment.

    Raises:
        ValueError: it is no such line; says what is wrong, but shows no key.
    """
    text = line.removeprefix(OURS).strip()
    if not text or text.startswith("#"):
        return None
    try:
        columns = next(csv.reader([text]), [])
    except csv.Error as error:
        raise ValueError(f"no columns between commas: {error}") from None
    if len(columns) < _COLUMNS:
        raise ValueError(f"{len(columns)} columns where {_COLUMNS} are needed")
    return _esp_row(columns) if columns[0] in _FAMILIES else _ike_row(columns)


def _ike_row(columns: list[str]) -> IkeSaKeys:
    spi_i, spi_r = (_hex(column, "SPI") for column in columns[:2])
    if len(spi_i) != _SPI_OCTETS or len(spi_r) != _SPI_OCTETS:
        raise ValueError(f"SPIs of {len(spi_i)} and {len(spi_r)} octets, not {_SPI_OCTETS}")
    algorithms = names.ike_algorithms(columns[4], columns[7])
    encr_i, encr_r, integ_i, integ_r = (Secret(_hex(columns[at], "key")) for at in (2, 3, 5, 6))
    row = IkeSaKeys(spi_i, spi_r, algorithms, encr_i, encr_r, integ_i, integ_r)
    row.openers()
    return row


def _esp_row(columns: list[str]) -> EspSaKeys:
    _, source, destination, spi, encr, encr_key, integ, integ_key, *_ = columns
    key = _hex(encr_key, "key")
    number = _hex(spi, "SPI")
    if not 1 <= len(number) <= 4:
        raise ValueError(f"an ESP SPI of {len(number)} octets, not 4")
    algorithms = names.esp_algorithms(encr, integ, len(key))
    check = Secret(_hex(integ_key, "key"))
    row = EspSaKeys(int.from_bytes(number), source, destination, algorithms, Secret(key), check)
    row.opener()
    return row


def _hex(text: str, what: str) -> bytes:
    digits = text.strip().removeprefix("0x").removeprefix("0X")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"a {what} that is not hexadecimal") from None


# Writing ------------------------------------------------------------------------------------------


def ike_line(spis: tuple[bytes, bytes], algorithms: tuple[int, int, int], keys: IkeKeys) -> str:
    """Return the line of an IKE SA; `algorithms` are encryption, key length and integrity."""
    encr, bits, integ = algorithms
    encr_name = _name(names.IKE_ENCR, (encr, bits))
    integ_name = _name(names.IKE_INTEG, Algorithms(0, integ=integ))
    is_known = encr_name is not None and integ_name is not None
    columns = [
        *(spi.hex() for spi in spis),
        keys.sk_ei.octets.hex(),
        keys.sk_er.octets.hex(),
        _quoted(encr_name if is_known else _name(names.OWN_ENCR, (encr, bits))),
        keys.sk_ai.octets.hex(),
        keys.sk_ar.octets.hex(),
        _quoted(integ_name if is_known else _name(names.OWN_INTEG, Algorithms(0, integ=integ))),
    ]
    return ("" if is_known else OURS) + ",".join(columns)


def esp_line(version: int, spi: int, suite: EspSuite, keys: EspKeys) -> str:
    """Return the line of an ESP SA, for any addresses of an IP version.

    The addresses are left open: a NAT or MOBIKE (RFC 4555) changes them, and the SPI says enough.
    """
    encr_name = _esp_name(suite.encr)
    integ_name = _name(names.ESP_INTEG, Algorithms(0, integ=suite.integ))
    is_known = encr_name is not None and integ_name is not None
    if not is_known:
        encr_name = _name(names.OWN_ENCR, (suite.encr, suite.key_bits))
        integ_name = _name(names.OWN_INTEG, Algorithms(0, integ=suite.integ))
    columns = [
        f"IPv{version}",
        *(ANY_ADDRESS, ANY_ADDRESS),
        f"0x{spi:08x}",
        encr_name,
        f"0x{keys.encr.octets.hex()}",
        integ_name,
        f"0x{keys.integ.octets.hex()}",
    ]
    return ("" if is_known else OURS) + ",".join(map(_quoted, columns))


def _esp_name(encr: int) -> str | None:
    icv = _GCM_ICV.get(encr)
    if icv is not None:
        return f"AES-GCM with {icv} octet ICV [RFC4106]"
    return _name(names.ESP_ENCR, encr)


def _name(table: Mapping[str, T], value: T) -> str | None:
    return next((name for name, known in table.items() if known == value), None)


def _quoted(text: str | None) -> str:
    if text is None:
        raise LookupError("an algorithm without a name")
    return f'"{text}"'

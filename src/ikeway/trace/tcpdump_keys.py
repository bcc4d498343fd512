# SPDX-License-Identifier: Apache-2.0
"""The lines of secrets that tcpdump's option -E takes, as `tcpdump(1)` describes them."""

import re
from typing import Final

from ikeway.model.secret import Secret
from ikeway.trace.keys import EspSaKeys, IkeSaKeys
from ikeway.trace.opener import Algorithms

_ESP: Final = re.compile(r"0x([0-9a-fA-F]{1,8})@(\S+)\s+(\S+):0x([0-9a-fA-F]+)")
_IKE: Final = re.compile(
    r"ikev2\s+([IR])\s+0x([0-9a-fA-F]{16})\s+0x([0-9a-fA-F]{16})"
    r"\s+(\w+):0x([0-9a-fA-F]+)\s+(\w+):0x([0-9a-fA-F]+)"
)
_ESP_ENCR: Final = {
    "3des-cbc": Algorithms(3),
    "aes128-cbc": Algorithms(12, 128),
    "aes192-cbc": Algorithms(12, 192),
    "aes256-cbc": Algorithms(12, 256),
    "none": Algorithms(11),
}
_HMAC96: Final = "-hmac96"
_IKE_ENCR: Final = {"3des": (3, 0), "aes128": (12, 128), "aes192": (12, 192), "aes256": (12, 256)}
_IKE_INTEG: Final = {"sha1": 2, "sha256": 12, "sha384": 13, "sha512": 14}


def parse_line(line: str) -> EspSaKeys | IkeSaKeys | None:
    """Return the keys of a line, or None if it is none of tcpdump's.

    An IKE SA has two lines, each with the keys of one direction; `merge` makes them one.

    Raises:
        ValueError: it is one, but with an algorithm that we do not have, or a wrong key.
    """
    if found := _ESP.fullmatch(line.strip()):
        return _esp(*found.groups())
    if found := _IKE.fullmatch(line.strip()):
        return _ike(*found.groups())
    return None


def merge(rows: list[EspSaKeys | IkeSaKeys]) -> list[EspSaKeys | IkeSaKeys]:
    """Return the rows with both directions of each IKE SA in one."""
    merged: list[EspSaKeys | IkeSaKeys] = []
    halves: dict[tuple[bytes, bytes], IkeSaKeys] = {}
    for row in rows:
        if isinstance(row, EspSaKeys) or (row.encr_i.octets and row.encr_r.octets):
            merged.append(row)
            continue
        other = halves.pop((row.spi_i, row.spi_r), None)
        if other is None:
            halves[row.spi_i, row.spi_r] = row
        else:
            merged.append(_join(row, other))
    return merged


def _join(one: IkeSaKeys, other: IkeSaKeys) -> IkeSaKeys:
    first, second = (one, other) if one.encr_i.octets else (other, one)
    return IkeSaKeys(
        one.spi_i,
        one.spi_r,
        one.algorithms,
        first.encr_i,
        second.encr_r,
        first.integ_i,
        second.integ_r,
    )


def _esp(spi: str, destination: str, algorithm: str, key: str) -> EspSaKeys:
    """An authentication of 96 bits is cut off, not checked: tcpdump does not know its key."""
    cipher = algorithm.removesuffix(_HMAC96)
    if cipher not in _ESP_ENCR:
        raise ValueError(f"algorithm {cipher!r}; we have {', '.join(_ESP_ENCR)}")
    found = _ESP_ENCR[cipher]
    icv = 12 if algorithm.endswith(_HMAC96) else 0
    algorithms = Algorithms(found.encr, found.key_bits, unchecked_octets=icv)
    row = EspSaKeys(
        int(spi, 16), "*", destination, algorithms, Secret(bytes.fromhex(key)), Secret(b"")
    )
    row.opener()
    return row


def _ike(  # noqa: PLR0913, PLR0917 - the columns of the line
    role: str, spi_i: str, spi_r: str, integ: str, integ_key: str, encr: str, encr_key: str
) -> IkeSaKeys:
    if integ not in _IKE_INTEG or encr not in _IKE_ENCR:
        known = ", ".join([*_IKE_INTEG, *_IKE_ENCR])
        raise ValueError(f"algorithms {integ!r} and {encr!r}; we have {known}")
    algorithms = Algorithms(*_IKE_ENCR[encr], integ=_IKE_INTEG[integ])
    secret, check, none = (
        Secret(bytes.fromhex(encr_key)),
        Secret(bytes.fromhex(integ_key)),
        Secret(b""),
    )
    spis = bytes.fromhex(spi_i), bytes.fromhex(spi_r)
    if role == "I":
        return IkeSaKeys(*spis, algorithms, secret, none, check, none)
    return IkeSaKeys(*spis, algorithms, none, secret, none, check)

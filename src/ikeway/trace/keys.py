# SPDX-License-Identifier: Apache-2.0
"""The keys that a trace has: what opens each IKE SA and each ESP SA (RFC 7296 §2.14, §2.17)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ikeway.model.secret import Secret
from ikeway.trace.opener import Algorithms, Opener

ANY_ADDRESS: Final = "*"


@dataclass(frozen=True, slots=True)
class IkeSaKeys:
    """SK_e and SK_a of both directions. `integ_*` are empty for AEAD."""

    spi_i: bytes
    spi_r: bytes
    algorithms: Algorithms
    encr_i: Secret
    encr_r: Secret
    integ_i: Secret
    integ_r: Secret

    def openers(self) -> tuple[Opener, Opener]:
        """Return what opens messages of the original initiator, and of the responder.

        Raises:
            LookupError: we do not have an algorithm.
            ValueError: a key does not fit its algorithm.
        """
        return (
            Opener(self.algorithms, self.encr_i.octets, self.integ_i.octets),
            Opener(self.algorithms, self.encr_r.octets, self.integ_r.octets),
        )


@dataclass(frozen=True, slots=True)
class EspSaKeys:
    """The keys of one ESP SA. An address may be `*`."""

    spi: int
    source: str
    destination: str
    algorithms: Algorithms
    encr: Secret
    integ: Secret

    def opener(self) -> Opener:
        """Return what opens the packets of the SA.

        Raises:
            LookupError: we do not have an algorithm.
            ValueError: a key does not fit its algorithm.
        """
        return Opener(self.algorithms, self.encr.octets, self.integ.octets)

    def fits(self, source: str, destination: str) -> bool:
        """Whether the SA is one between these addresses."""
        return {self.source} <= {ANY_ADDRESS, source} and {self.destination} <= {
            ANY_ADDRESS,
            destination,
        }


@dataclass(slots=True)
class KeyStore:
    """All keys of a trace, found by SPI. An IKE SA may have had several (RFC 9370 §2.2.2)."""

    ike: dict[tuple[bytes, bytes], list[IkeSaKeys]] = field(default_factory=dict)
    esp: dict[int, list[EspSaKeys]] = field(default_factory=dict)

    def add(self, rows: Iterable[IkeSaKeys | EspSaKeys]) -> None:
        """Take more keys; the same keys again change nothing."""
        for row in rows:
            if isinstance(row, IkeSaKeys):
                known = self.ike.setdefault((row.spi_i, row.spi_r), [])
                if row not in known:
                    known.append(row)
            else:
                others = self.esp.setdefault(row.spi, [])
                if row not in others:
                    others.append(row)

    def ike_keys(self, spi_i: bytes, spi_r: bytes) -> list[IkeSaKeys]:
        """Return the keys of an IKE SA, the latest first."""
        return self.ike.get((spi_i, spi_r), [])[::-1]

    def esp_keys(self, spi: int, source: str, destination: str) -> list[EspSaKeys]:
        """Return the keys of an ESP SA; those of other addresses last, for there may be a NAT."""
        known = self.esp.get(spi, [])[::-1]
        return sorted(known, key=lambda row: not row.fits(source, destination))

    def __bool__(self) -> bool:
        return bool(self.ike or self.esp)

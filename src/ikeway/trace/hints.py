# SPDX-License-Identifier: Apache-2.0
"""What a reader can do about what could not be opened: keys that miss, keys of another run."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ikeway.trace.chain import Part
from ikeway.trace.esp import Flow
from ikeway.trace.events import Remark
from ikeway.trace.keys import KeyStore
from ikeway.trace.sealed import Sealing
from ikeway.wire.message import Header
from ikeway.wire.payloads import SecurityAssociation
from ikeway.wire.registry import ExchangeType
from ikeway.wire.transforms import TransformType

SAS_MOST: Final = 4096
_SHOWN: Final = 4
_UNREADABLE: Final = (Sealing.NO_KEYS, Sealing.WRONG_KEYS)

_Spis = tuple[bytes, bytes]


class Hints:
    """Remembers what was chosen and what could not be opened, for the remarks at the end."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._chosen: dict[_Spis, str] = {}
        self._sealed: dict[_Spis, dict[Sealing, int]] = {}

    def clear(self, header: Header, parts: Sequence[Part]) -> None:
        """Note the suite that IKE_SA_INIT agreed on."""
        is_answer = header.exchange is ExchangeType.IKE_SA_INIT and header.is_response
        body = next((one for one in parts if isinstance(one, SecurityAssociation)), None)
        if is_answer and body is not None and body.proposals and len(self._chosen) < SAS_MOST:
            wanted = {TransformType.ENCR, TransformType.INTEG}
            names = [
                f"{one.label}_{one.key_bits}" if one.key_bits else one.label
                for one in body.proposals[0].transforms
                if one.type in wanted
            ]
            self._chosen[header.spi_i, header.spi_r] = "/".join(names)

    def sealed(self, header: Header, sealing: Sealing) -> None:
        """Note whether a message could be opened."""
        spis = header.spi_i, header.spi_r
        if spis in self._sealed or len(self._sealed) < SAS_MOST:
            counts = self._sealed.setdefault(spis, {})
            counts[sealing] = counts.get(sealing, 0) + 1

    def remarks(self, flows: Iterable[Flow]) -> Iterator[Remark]:
        """Yield what is missing, and where to get it."""
        closed = [flow for flow in flows if set(flow.by_sealing) & set(_UNREADABLE)]
        unread = {spis for spis, seen in self._sealed.items() if Sealing.NO_KEYS in seen}
        if not self._keys:
            if unread or closed:
                yield Remark(
                    "what is encrypted needs keys: --keys DIR, with the tables that"
                    " `ikeway serve --keylog DIR` or Wireshark wrote"
                )
            return
        yield from self._missing(unread)
        for spis, seen in self._sealed.items():
            if Sealing.WRONG_KEYS in seen:
                yield self._wrong(spis)
            if Sealing.FAILED in seen:
                yield Remark(
                    f"IKE SA {_name(spis)}: {seen[Sealing.FAILED]} messages fail the integrity"
                    " check, and are shown in spite of that",
                    is_bad=True,
                )
        yield from self._esp(closed)

    def _missing(self, unread: set[_Spis]) -> Iterator[Remark]:
        """Yield the IKE SAs without keys, and whether the keys are of another capture at all."""
        for spis in list(unread)[:_SHOWN]:
            yield Remark(f"no keys for IKE SA {_name(spis)}", is_bad=True)
        if len(unread) > _SHOWN:
            yield Remark(f"no keys for {len(unread) - _SHOWN} more IKE SAs", is_bad=True)
        if unread and self._keys.ike and not set(self._keys.ike) & set(self._sealed):
            known = ", ".join(_name(spis) for spis in list(self._keys.ike)[:_SHOWN])
            yield Remark(
                f"the keys are of other IKE SAs: {known}. Are they of another run?", is_bad=True
            )

    def _wrong(self, spis: _Spis) -> Remark:
        tried = ", ".join(row.algorithms.label for row in self._keys.ike_keys(*spis))
        text = f"the keys of IKE SA {_name(spis)} do not open its messages; they are for {tried}"
        chosen = self._chosen.get(spis)
        return Remark(text + (f", IKE_SA_INIT agreed on {chosen}" if chosen else ""), is_bad=True)

    def _esp(self, closed: list[Flow]) -> Iterator[Remark]:
        for sealing, what in (
            (Sealing.NO_KEYS, "no keys for"),
            (Sealing.WRONG_KEYS, "keys that do not open packets of"),
        ):
            spis = [f"{flow.spi:08x}" for flow in closed if sealing in flow.by_sealing]
            if spis:
                more = f" and {len(spis) - _SHOWN} more" if len(spis) > _SHOWN else ""
                yield Remark(f"{what} ESP SA {', '.join(spis[:_SHOWN])}{more}", is_bad=True)


def _name(spis: _Spis) -> str:
    return f"{spis[0].hex()} {spis[1].hex()}"

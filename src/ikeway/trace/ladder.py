# SPDX-License-Identifier: Apache-2.0
"""A trace as a ladder for people: a rung per message between two addresses, with its details."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ikeway.model.address import Address, Endpoint
from ikeway.trace import words
from ikeway.trace.chain import Part
from ikeway.trace.datagrams import Where
from ikeway.trace.esp import Flow
from ikeway.trace.events import AhSeen, EspSeen, EspSum, Event, IkeSeen, Remark
from ikeway.trace.fields import fields
from ikeway.trace.sealed import Sealing
from ikeway.wire.message import MAJOR
from ikeway.wire.payloads import EncryptedFragment, Nonce, Notify
from ikeway.wire.registry import NotifyType

_QUIET: Final = {NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP}
"""Their data are hashes, whose meaning is among the remarks."""
_MARGIN: Final = " " * 12
_STATES: Final = {
    Sealing.CLEAR: "",
    Sealing.VERIFIED: "",
    Sealing.UNCHECKED: "decrypted, but its integrity was not checked",
    Sealing.FAILED: "THE INTEGRITY CHECK FAILS; decrypted in spite of that",
    Sealing.NO_KEYS: "encrypted, no keys",
    Sealing.WRONG_KEYS: "encrypted, the keys do not open it",
}


class Tone(Enum):
    """What a line is."""

    TITLE = "title"
    LEFT = "left"
    RIGHT = "right"
    DETAIL = "detail"
    REMARK = "remark"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text. Peers chose parts of it: it must be made plain before a terminal has it."""

    text: str
    tone: Tone


class Ladder:
    """Draws events in their order. `packets` is how many ESP packets of each SA are drawn."""

    def __init__(self, width: int, *, is_verbose: bool, packets: int) -> None:
        self._width = max(60, width)
        self._is_verbose = is_verbose
        self._packets = packets
        self._sides: tuple[Address, Address] | None = None
        self._start: float | None = None
        self._sums = 0

    def draw(self, event: Event) -> Iterator[Line]:
        """Yield the lines of an event."""
        match event:
            case IkeSeen():
                yield from self._ike(event)
            case EspSeen() if self._is_verbose or event.number <= self._packets:
                yield from self._rung(event.where, _esp(event), f"{event.octets} octets")
            case AhSeen() if self._is_verbose or event.number <= self._packets:
                yield from self._rung(event.where, _ah(event), f"{event.octets} octets")
            case EspSum(flow):
                self._sums += 1
                if self._sums == 1:
                    yield Line("AH SAs:" if flow.is_ah else "ESP SAs:", Tone.TITLE)
                yield from _sum(flow)
            case Remark(text, is_bad):
                yield Line(text, Tone.BAD if is_bad else Tone.REMARK)
            case _:
                pass

    def _ike(self, event: IkeSeen) -> Iterator[Line]:
        yield from self._rung(event.where, _title(event), f"{event.octets} octets")
        if event.repeats is not None:
            yield _detail(f"the same again as in frame {event.repeats}: a retransmission")
        if event.problem:
            yield _detail(event.problem, Tone.BAD)
        if state := _STATES[event.sealing]:
            is_bad = event.sealing in {Sealing.FAILED, Sealing.WRONG_KEYS}
            yield _detail(state, Tone.BAD if is_bad else Tone.DETAIL)
        if event.repeats is None or self._is_verbose:
            yield from self._details(event)
        for remark in event.remarks:
            yield _detail(remark, Tone.REMARK)

    def _details(self, event: IkeSeen) -> Iterator[Line]:
        if self._is_verbose:
            spis = f"SPIs {event.header.spi_i.hex()} {event.header.spi_r.hex()}"
            yield _detail(f"frame {event.where.number}, {_ends(event.where)}, {spis}")
            for part in event.parts:
                yield from (_detail(text) for text in fields(part))
            return
        for part in event.parts:
            if not isinstance(part, Nonce | Notify):
                lines = words.details(part, is_answer=event.header.is_response)
                yield from map(_detail, lines)
        yield from _notifies(event.parts)

    def _rung(self, where: Where, title: str, size: str) -> Iterator[Line]:
        source, destination = where.source.address, where.destination.address
        if self._sides is None or {source, destination} != set(self._sides):
            self._sides = source, destination
            left, right = str(source), str(destination)
            gap = " " * max(2, self._width - len(_MARGIN) - len(left) - len(right))
            yield Line(f"{_MARGIN}{left}{gap}{right}", Tone.TITLE)
        self._start = where.at if self._start is None else self._start
        is_right = source == self._sides[0]
        head = f"{where.at - self._start:11.6f} │{'──' if is_right else '◀─'} {title} "
        tail = f" {size} {'─▶' if is_right else '──'}│"
        fill = "─" * max(1, self._width - len(head) - len(tail))
        yield Line(head + fill + tail, Tone.LEFT if is_right else Tone.RIGHT)


def _title(event: IkeSeen) -> str:
    header = event.header
    if header.major != MAJOR:
        return f"IKEv{header.major} exchange type {int(header.exchange)}"
    kind = "request" if header.is_request else "response"
    return f"{header.exchange.name} {kind} {header.message_id} [{_names(event)}]"


def _names(event: IkeSeen) -> str:
    """Return the payloads of a rung; notifies, which are many, as a number."""
    parts = list(event.parts)
    shown = [words.name(part) for part in parts if not isinstance(part, Notify)]
    notifies = len(parts) - len(shown)
    if notifies:
        shown.append(f"N×{notifies}" if notifies > 1 else words.name(_first_notify(parts)))
    sealed = event.sealed
    if isinstance(sealed, EncryptedFragment):
        shown.insert(0, f"SKF {sealed.number} of {sealed.total}")
    elif sealed is not None and event.sealing in {Sealing.NO_KEYS, Sealing.WRONG_KEYS}:
        shown.append(f"SK{{{sealed.first.name}…}}" if sealed.first else "SK{}")
    return " ".join(shown)


def _first_notify(parts: list[Part]) -> Part:
    return next(part for part in parts if isinstance(part, Notify))


def _notifies(parts: tuple[Part, ...]) -> Iterator[Line]:
    """Yield those with data a line each, and the others in one line."""
    plain = []
    for part in parts:
        if isinstance(part, Notify):
            lines = [] if part.type in _QUIET else list(words.details(part))
            yield from (_detail(text) for text in lines)
            plain += [] if lines else [part.type.name]
    if plain:
        yield _detail(f"N {', '.join(plain)}")


def _esp(event: EspSeen) -> str:
    opened = event.opened
    content = opened.content or _STATES[opened.sealing]
    return f"ESP {opened.spi:08x} #{opened.sequence} {content}"


def _ah(event: AhSeen) -> str:
    packet = event.packet
    return f"AH {packet.spi:08x} #{packet.sequence} {packet.content}"


def _sum(flow: Flow) -> Iterator[Line]:
    wrapped = "in UDP" if flow.is_in_udp else "IP protocol 50"
    if flow.is_ah:
        wrapped = "AH, IP protocol 51"
    esn = " with ESN" if flow.is_extended else ""
    suite = f", {flow.suite}{esn}" if flow.suite else ""
    yield Line(f"  {flow.spi:08x} {flow.source} → {flow.destination} {wrapped}{suite}", Tone.DETAIL)
    lost = f", {flow.not_seen} not seen" if flow.not_seen else ""
    states = ", ".join(
        f"{count} {sealing.value}" for sealing, count in flow.by_sealing.items() if count
    )
    yield Line(
        f"           {flow.packets} packets, {flow.octets} octets,"
        f" sequence numbers {flow.lowest} to {flow.highest}{lost}; {states}",
        Tone.DETAIL,
    )


def _detail(text: str, tone: Tone = Tone.DETAIL) -> Line:
    return Line(f"{_MARGIN}│   {text}", tone)


def _ends(where: Where) -> str:
    return f"{_end(where.source)} → {_end(where.destination)}"


def _end(end: Endpoint) -> str:
    return str(end) if end.port else str(end.address)

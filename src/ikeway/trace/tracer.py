# SPDX-License-Identifier: Apache-2.0
"""From a capture file to what happened in it: the one door of this package."""

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ikeway.trace import capture, chain, paths
from ikeway.trace.ah import AhTracker
from ikeway.trace.datagrams import AhOctets, EspOctets, Found, IkeOctets, Keepalive, Sorter
from ikeway.trace.esp import EspTracker
from ikeway.trace.events import AhSeen, EspSeen, EspSum, Event, IkeSeen, Remark
from ikeway.trace.hints import Hints
from ikeway.trace.keys import KeyStore
from ikeway.trace.pcap import CutShortError
from ikeway.trace.sealed import Content, MessageOpener, Sealing
from ikeway.wire.message import MAJOR, Header
from ikeway.wire.payloads import Encrypted, EncryptedFragment

REMEMBERED_MOST: Final = 65536


def trace(path: Path, keys: KeyStore) -> Iterator[Event]:
    """Yield what happens in a capture file, then sums and remarks.

    Raises:
        HostError: the file cannot be read, is no capture, or is damaged.
    """
    sorter, tracer = Sorter(), Tracer(keys)
    try:
        for frame in capture.frames(path):
            for found in sorter.take(frame):
                yield from tracer.take(found)
    except CutShortError as error:
        yield Remark(str(error), is_bad=True)
    yield from tracer.finish()
    yield from _losses(sorter)


class Tracer:
    """Takes messages and packets in the order of a capture."""

    def __init__(self, keys: KeyStore) -> None:
        self._opener = MessageOpener(keys)
        self._esp = EspTracker(keys)
        self._ah = AhTracker()
        self._paths = paths.Paths()
        self._hints = Hints(keys)
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        self._keepalives = 0

    def take(self, found: Found) -> Iterator[Event]:
        """Yield what one message or packet means."""
        match found:
            case IkeOctets():
                yield self._ike(found)
            case EspOctets():
                taken = self._esp.take(found)
                if taken is not None:
                    flow, opened = taken
                    yield EspSeen(found.where, opened, len(found.octets), flow.packets)
            case AhOctets():
                seen = self._ah.take(found)
                if seen is not None:
                    yield AhSeen(found.where, *seen, len(found.octets))
            case Keepalive():
                self._keepalives += 1

    def finish(self) -> Iterator[Event]:
        """Yield the sums of ESP and AH, and what to do about what could not be seen."""
        for flow in (*self._esp.flows(), *self._ah.flows()):
            yield EspSum(flow)
        if self._keepalives:
            yield Remark(f"{self._keepalives} NAT keepalives")
        if self._esp.not_counted:
            yield Remark(f"{self._esp.not_counted} ESP packets of more SAs than are counted", True)
        yield from self._hints.remarks(self._esp.flows())

    def _ike(self, found: IkeOctets) -> IkeSeen:
        header = Header.decode(found.octets)
        repeats = self._repeats(found)
        if header.major != MAJOR:
            return _other_version(found, header, repeats)
        parts, problem = chain.read(header, found.octets)
        body, content = parts[-1] if parts else None, Content(Sealing.CLEAR)
        if isinstance(body, Encrypted | EncryptedFragment):
            content = self._opener.open(header, found.octets, body)
            parts = (*parts[:-1], *content.parts)
            self._hints.sealed(header, content.sealing)
        else:
            body = None
            self._hints.clear(header, parts)
        return IkeSeen(
            found.where,
            header,
            len(found.octets),
            parts,
            content.sealing,
            body,
            content.waits_for,
            repeats,
            problem,
            self._remarks(found, header, parts),
        )

    def _remarks(
        self, found: IkeOctets, header: Header, parts: tuple[chain.Part, ...]
    ) -> tuple[str, ...]:
        remarks = [*self._paths.follow(header, found.where)]
        remarks += paths.nats(header, found.where, parts)
        if found.fragments > 1:
            remarks.append(f"came in {found.fragments} IP fragments")
        return tuple(remarks)

    def _repeats(self, found: IkeOctets) -> int | None:
        """Return the frame that had the same octets from the same sender, if there is one."""
        ends = f"{found.where.source} {found.where.destination} ".encode()
        digest = blake2b(ends + found.octets, digest_size=16).digest()
        first = self._seen.setdefault(digest, found.where.number)
        if len(self._seen) > REMEMBERED_MOST:
            self._seen.popitem(last=False)
        return None if first == found.where.number else first


def _other_version(found: IkeOctets, header: Header, repeats: int | None) -> IkeSeen:
    return IkeSeen(
        found.where,
        header,
        len(found.octets),
        (),
        Sealing.CLEAR,
        repeats=repeats,
        problem=f"IKE version {header.major}.{header.minor}, which is not IKEv2",
    )


def _losses(sorter: Sorter) -> Iterator[Remark]:
    if not sorter.frames:
        yield Remark("the capture is empty", is_bad=True)
    for link in sorted(sorter.unknown_links):
        yield Remark(f"frames of link type {link} cannot be read", is_bad=True)
    if sorter.cut_off:
        text = (
            f"{sorter.cut_off} packets were cut off by the capture; tcpdump -s 0 takes whole ones"
        )
        yield Remark(text, is_bad=True)
    if sorter.incomplete:
        yield Remark(f"{sorter.incomplete} IP packets miss fragments", is_bad=True)

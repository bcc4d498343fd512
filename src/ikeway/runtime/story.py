# SPDX-License-Identifier: Apache-2.0
"""Reports in words: each event as a level, a sentence and its facts, for logs and for `watch`."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ikeway.ike import reports
from ikeway.ike.io import Report
from ikeway.ike.limits import RateLimit
from ikeway.ike.sources import source_of
from ikeway.model.identity import ANONYMOUS
from ikeway.model.time import Instant, Seconds

REMEMBERED_MOST = 4096
QUIET: Seconds = 1.0
"""One line a second per network and kind of drop (I5): others can cause drops at any rate."""
LINES_A_SECOND = 20.0
LINES_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `level` is a name of the logging module in lower case."""

    level: str
    event: str
    text: str
    facts: Mapping[str, object]


_LEVELS: Final[Mapping[type[reports.Event], str]] = {
    reports.MessageSent: "debug",
    reports.MessageReceived: "debug",
    reports.Warned: "warning",
    reports.RefusedRequest: "warning",
    reports.Pressed: "warning",
    reports.ChildFailed: "error",
}
"""The levels of all events that are more or less than `info`."""


def level(event: reports.Event) -> str:
    """Return how much an event matters, which is known before it is put in words."""
    kind = type(event)
    if kind is reports.Closed:
        return "error" if event.is_failure else "info"  # type: ignore[union-attr]
    if kind is reports.Established and event.peer_id == ANONYMOUS:  # type: ignore[union-attr]
        return "warning"
    return _LEVELS.get(kind, "info")


def tell(report: Report) -> Line:
    """Return an event in words."""
    text, facts = _words(report.event)
    known = {"sa": report.sa.hex(), **facts} if report.sa else facts
    name = type(report.event).__name__
    return Line(level(report.event), name, text, MappingProxyType(known))


def _words(event: reports.Event) -> tuple[str, dict[str, object]]:
    match event:
        case reports.MessageSent(_, peer, octets):
            return f"sent {event.what}", {"peer": str(peer), "octets": octets}
        case reports.MessageReceived(_, peer, octets):
            return f"received {event.what}", {"peer": str(peer), "octets": octets}
        case reports.Warned(reason):
            return reason, {}
        case reports.SuiteChosen(suite, nat, is_lesser):
            lesser = ": the peer has no post-quantum key exchange" if is_lesser else ""
            return f"IKE_SA_INIT agreed on {suite}{lesser}", {"nat": str(nat)}
        case (
            reports.Retransmitted()
            | reports.Dropped()
            | reports.RefusedRequest()
            | reports.Pressed()
        ):
            return _trouble(event)
        case _:
            return _lifecycle(event)


def _trouble(
    event: reports.Retransmitted | reports.Dropped | reports.RefusedRequest | reports.Pressed,
) -> tuple[str, dict[str, object]]:
    match event:
        case reports.Retransmitted(attempt, peer):
            return f"no answer yet, sent again ({attempt})", {"peer": str(peer)}
        case reports.Dropped(reason, peer):
            return f"dropped: {reason}", {"peer": str(peer)}
        case reports.RefusedRequest(notify, reason, peer):
            return f"refused with {notify}: {reason}", {"peer": str(peer)}
        case reports.Pressed(asked, half_open):
            asks = ", ".join(f"{count} for {what}" for what, count in asked)
            return f"under pressure, asked {asks}", {"half_open": half_open}


def _lifecycle(event: reports.Event) -> tuple[str, dict[str, object]]:
    match event:
        case reports.Established():
            facts: dict[str, object] = {
                "connection": event.connection,
                "local_id": str(event.local_id),
                "peer": str(event.peer),
            }
            if event.virtual_ips:
                facts["virtual_ips"] = " ".join(map(str, event.virtual_ips))
            how = "resumed" if event.resumed else "established"
            named = str(event.peer_id)
            if event.peer_id == ANONYMOUS:
                named = "somebody who has proven nothing (null authentication)"
            return f"IKE SA {how} with {named}", facts
        case reports.Rekeyed(connection, successor, suite):
            facts = {"connection": connection, "suite": suite}
            return f"IKE SA rekeyed, it goes on as {successor.hex()}", facts
        case reports.Moved() | reports.SentAway():
            return _whereabouts(event)
        case reports.Reauthenticating(connection, successor):
            text = f"proving identities anew, by IKE SA {successor.hex()}"
            return text, {"connection": connection}
        case reports.Closed(connection, reason):
            facts = {"connection": connection} if connection else {}
            return f"IKE SA closed: {reason}", facts
        case _:
            return _child(event)


def _whereabouts(event: reports.Moved | reports.SentAway) -> tuple[str, dict[str, object]]:
    facts: dict[str, object]
    match event:
        case reports.Moved(connection, local, peer, reason):
            facts = {"connection": connection, "local": str(local), "peer": str(peer)}
            return f"IKE SA moved: {reason}", facts
        case reports.SentAway(connection, gateway):
            return f"the client is sent to {gateway}", {"connection": connection}


def _child(event: reports.Event) -> tuple[str, dict[str, object]]:
    match event:
        case reports.DeviceProven(device, source):
            return f"{device} has proven itself, its user is to follow", {"peer": str(source)}
        case reports.ChildEstablished(connection, child, suite):
            local, peer = (", ".join(map(str, ts)) for ts in (child.local_ts, child.peer_ts))
            text = f"Child SA established: {local} === {peer}"
            spis = {"spi_in": f"{child.spi_in:08x}", "spi_out": f"{child.spi_out:08x}"}
            return text, {"connection": connection, "suite": str(suite), **spis}
        case reports.ChildFailed(connection, reason):
            return f"no Child SA: {reason}", {"connection": connection}
        case reports.ChildClosed(connection, spi_in, reason):
            text = f"Child SA closed: {reason}"
            return text, {"connection": connection, "spi_in": f"{spi_in:08x}"}
        case _:
            return str(event), {}


class Quieter:
    """Holds back what anybody could fill the log with: drops and refusals outside an IKE SA.

    Sources may be made up, a new one for each datagram: all together get a few lines a second, and
    the next one of those says how many are missing.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[bytes, str], Instant] = OrderedDict()
        self._rate = RateLimit(LINES_A_SECOND, LINES_AT_ONCE)
        self.held_back = 0

    def allows(self, report: Report, now: Instant) -> bool:
        """Whether this line may be written now."""
        event = report.event
        if not isinstance(event, reports.Dropped | reports.RefusedRequest):
            return True
        kind = event.notify if isinstance(event, reports.RefusedRequest) else event.reason[:24]
        key = (source_of(event.peer.address).network, kind)
        if now - self._last.get(key, now - QUIET) < QUIET or not self._rate.allows(now):
            self.held_back += 1
            return False
        self._last[key] = now
        self._last.move_to_end(key)
        while len(self._last) > REMEMBERED_MOST:
            self._last.popitem(last=False)
        return True

    def missing(self) -> int:
        """Return how many lines were held back since the last call."""
        held_back, self.held_back = self.held_back, 0
        return held_back

# SPDX-License-Identifier: Apache-2.0
"""A trace as JSON for programs: an object for each message, ESP SA and remark."""

from ikeway.model.address import Endpoint
from ikeway.trace.datagrams import Where
from ikeway.trace.esp import Flow
from ikeway.trace.events import AhSeen, EspSeen, EspSum, Event, IkeSeen, Remark
from ikeway.trace.sealed import Sealing
from ikeway.wire.codec import Json
from ikeway.wire.message import Flags
from ikeway.wire.payloads import EncryptedFragment


def record(event: Event) -> Json:
    """Return an event as values that JSON has; `kind` says which it is."""
    match event:
        case IkeSeen():
            return _ike(event)
        case EspSeen():
            return _esp(event)
        case AhSeen():
            return _ah(event)
        case EspSum(flow):
            return _flow(flow)
        case Remark(text, is_bad):
            return {"kind": "remark", "text": text, "is_bad": is_bad}


def _ike(event: IkeSeen) -> Json:
    header = event.header
    plain: Json = {
        "kind": "ike",
        **_where(event.where),
        "octets": event.octets,
        "spi_i": header.spi_i.hex(),
        "spi_r": header.spi_r.hex(),
        "version": f"{header.major}.{header.minor}",
        "exchange": header.exchange.name,
        "flags": [flag.name for flag in Flags if flag in header.flags],
        "message_id": header.message_id,
        "protection": event.sealing.value,
        "payloads": [part.to_json() for part in event.parts],
    }
    if isinstance(event.sealed, EncryptedFragment):
        plain["fragment"] = {"number": event.sealed.number, "total": event.sealed.total}
        plain["waits_for"] = event.waits_for
    if event.sealed is not None and event.sealing in {Sealing.NO_KEYS, Sealing.WRONG_KEYS}:
        plain["first_inside"] = event.sealed.first.name
    plain["repeats"] = event.repeats
    plain["problem"] = event.problem or None
    plain["remarks"] = list(event.remarks)
    return plain


def _esp(event: EspSeen) -> Json:
    opened = event.opened
    return {
        "kind": "esp",
        **_where(event.where),
        "octets": event.octets,
        "spi": f"{opened.spi:08x}",
        "sequence": opened.sequence,
        "protection": opened.sealing.value,
        "inner": opened.content or None,
        "next_header": opened.next_header if opened.content else None,
        "inner_octets": opened.inner.hex() if opened.content else None,
    }


def _ah(event: AhSeen) -> Json:
    packet = event.packet
    return {
        "kind": "ah",
        **_where(event.where),
        "octets": event.octets,
        "spi": f"{packet.spi:08x}",
        "sequence": packet.sequence,
        "inner": packet.content,
        "next_header": packet.next_header,
        "inner_octets": packet.inner.hex(),
    }


def _flow(flow: Flow) -> Json:
    return {
        "kind": "ah_sa" if flow.is_ah else "esp_sa",
        "spi": f"{flow.spi:08x}",
        "source": str(flow.source),
        "destination": str(flow.destination),
        "in_udp": flow.is_in_udp,
        "suite": flow.suite or None,
        "esn": flow.is_extended,
        "packets": flow.packets,
        "octets": flow.octets,
        "lowest_sequence": flow.lowest,
        "highest_sequence": flow.highest,
        "not_seen": flow.not_seen,
        "began": flow.began,
        "ended": flow.ended,
        "protection": {sealing.value: count for sealing, count in flow.by_sealing.items()},
    }


def _where(where: Where) -> Json:
    return {
        "frame": where.number,
        "at": where.at,
        "source": _end(where.source),
        "destination": _end(where.destination),
    }


def _end(end: Endpoint) -> Json:
    return {"address": str(end.address), "port": end.port or None}

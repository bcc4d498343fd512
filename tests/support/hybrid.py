# SPDX-License-Identifier: Apache-2.0
"""Hosts that do additional key exchanges on a ladder, and what they say of it."""

from collections.abc import Callable
from dataclasses import replace

from ikeway.ike.io import Datagram
from ikeway.policy.proposals import parse_esp, parse_ike
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import SecurityAssociation, Transform
from ikeway.wire.registry import ExchangeType
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

KEM = "ke1_mlkem768"
TWO = "ke2_mlkem768-ke5_ecp384"
THREE = "ke1_mlkem768-ke2_mlkem1024-ke7_ecp256"


def hybrid(row: Row, extra: str = KEM, **changes: object) -> Ladder:
    """Return two hosts that want these additional key exchanges, and nothing less."""
    both = {"ike": (parse_ike(f"{row.ike}-{extra}"),)} | changes
    return row.psk(both, both)


def hybrid_children(row: Row, extra: str = KEM, **changes: object) -> Ladder:
    """Return two hosts that want them for Child SAs as well."""
    esp = (parse_esp(f"{row.esp}-x25519-{extra}"),)
    return hybrid(row, extra, esp=esp, **changes)


def transforms(message: Message) -> tuple[Transform, ...]:
    """Return the transforms of the first proposal of a message."""
    offered = message.one(SecurityAssociation)
    assert offered is not None
    return offered.proposals[0].transforms


def with_transforms(
    message: Message, change: Callable[[tuple[Transform, ...]], tuple[Transform, ...]]
) -> Message:
    """Return a message with other transforms in each of its proposals."""
    offered = message.one(SecurityAssociation)
    assert offered is not None
    proposals = tuple(replace(p, transforms=change(p.transforms)) for p in offered.proposals)
    changed = replace(offered, proposals=proposals)
    return replace(
        message, payloads=tuple(changed if b is offered else b for b in message.payloads)
    )


def exchanges(ladder: Ladder, host: Host) -> list[tuple[str, int]]:
    """Return the exchanges and message IDs of a host's messages, each once."""
    heads = [Header.decode(sent.octets) for one, sent in ladder.sent if one is host]
    return list(dict.fromkeys((head.exchange.name, head.message_id) for head in heads))


def lose(ladder: Ladder, exchange: ExchangeType, host: Host, times: int = 1) -> Callable[[], int]:
    """Lose the first datagrams of an exchange that a host sends; return what counts them."""
    left = [times]

    def fate(sender: Host, datagram: Datagram) -> list[Datagram]:
        is_it = Header.decode(datagram.octets).exchange is exchange and sender is host
        if is_it and left[0]:
            left[0] -= 1
            return []
        return [datagram]

    ladder.fate = fate
    return lambda: times - left[0]

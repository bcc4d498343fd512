# SPDX-License-Identifier: Apache-2.0
"""MULTIPLE_AUTH_SUPPORTED: an initiator may prove itself more than once (RFC 4739 §3).

The responder says so in IKE_SA_INIT, the initiator in its first IKE_AUTH request.
"""

from ikeway.policy.connection import Connection
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType


def announce(candidates: tuple[Connection, ...]) -> tuple[Notify, ...]:
    """Return the notify of a responder with a connection that wants it so."""
    is_wanted = any(connection.peer_twofold for connection in candidates)
    return (Notify(NotifyType.MULTIPLE_AUTH_SUPPORTED),) if is_wanted else ()


def learn(message: Message) -> bool:
    """Return whether the responder may be shown more than one proof."""
    return message.notify(NotifyType.MULTIPLE_AUTH_SUPPORTED) is not None


def first_of_two(connection: Connection) -> tuple[Notify, ...]:
    """Return what stands beside the AUTH that another one of ours follows."""
    if connection.local_then is None:
        return ()
    kinds = NotifyType.MULTIPLE_AUTH_SUPPORTED, NotifyType.ANOTHER_AUTH_FOLLOWS
    return tuple(map(Notify, kinds))


def another_follows(message: Message) -> bool:
    """Whether who sent this AUTH wants to prove itself once more."""
    return message.notify(NotifyType.ANOTHER_AUTH_FOLLOWS) is not None

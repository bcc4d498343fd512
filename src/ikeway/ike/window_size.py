# SPDX-License-Identifier: Apache-2.0
"""SET_WINDOW_SIZE: how many requests may be under way at a time, each way (RFC 7296 §2.3)."""

from dataclasses import replace
from typing import Final

from ikeway.ike.session import Session
from ikeway.ike.states import Established
from ikeway.policy.connection import Connection
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

SIZE_OCTETS: Final = 4


def announce(connection: Connection) -> tuple[Notify, ...]:
    """Return the promise to keep as many requests; one is promised anyway."""
    if connection.window == 1:
        return ()
    data = connection.window.to_bytes(SIZE_OCTETS)
    return (Notify(NotifyType.SET_WINDOW_SIZE, data),)


def begin(session: Session, connection: Connection, message: Message) -> Session:
    """Return the session once the initial exchanges are over: until then all windows are 1.

    Our promise went with our half of IKE_AUTH; `message` is the peer's.
    """
    peer_size = _allowed(connection, message.payloads)
    return _widened(session, size=connection.window, peer_size=peer_size)


def promise(state: Established, payloads: tuple[Body, ...]) -> Established:
    """Return the state after we have sent these payloads: what they promise counts at once."""
    size = _allowed(state.connection, payloads)
    return replace(state, session=_widened(state.session, size=size))


def learn(state: Established, message: Message) -> Established:
    """Return the state after a message of the peer's, which may promise more than before."""
    peer_size = _allowed(state.connection, message.payloads)
    return replace(state, session=_widened(state.session, peer_size=peer_size))


def _allowed(connection: Connection, payloads: tuple[Body, ...]) -> int:
    """Return the size that a promise allows; we use no more than we would promise ourselves."""
    for body in payloads:
        if isinstance(body, Notify) and body.type is NotifyType.SET_WINDOW_SIZE:
            said = int.from_bytes(body.data) if len(body.data) == SIZE_OCTETS else 1
            return min(max(1, said), connection.window)
    return 1


def _widened(session: Session, size: int = 1, peer_size: int = 1) -> Session:
    window = session.window
    if size <= window.size and peer_size <= window.peer_size:
        return session
    return replace(session, window=window.widened(size, peer_size))

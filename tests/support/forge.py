# SPDX-License-Identifier: Apache-2.0
"""Messages that a host would not send: sealed with its keys, or changed on their way."""

from collections.abc import Callable
from dataclasses import replace

from ikeway.ike import messages
from ikeway.ike.io import Datagram
from ikeway.ike.session import Session
from ikeway.ike.states import AwaitInitResponse, Candidates, Gone, State
from ikeway.wire.codec import Body
from ikeway.wire.message import Header, Message
from ikeway.wire.registry import ExchangeType, PayloadType
from support.ladder import Ladder
from support.shell import Host

INFORMATIONAL = ExchangeType.INFORMATIONAL
Edit = Callable[[tuple[Body, ...]], tuple[Body, ...]]


def session_of(host: Host) -> Session:
    """Return the session of the only IKE SA of a host."""
    (sa,) = host.endpoint.sas
    return session_in(sa.state)


def session_in(state: State) -> Session:
    """Return the session of a state, of the first branch if there are several."""
    if isinstance(state, Candidates):
        return state.branches[0].session
    assert not isinstance(state, AwaitInitResponse | Gone)
    return state.session


def sealed(
    session: Session,
    payloads: tuple[Body, ...],
    message_id: int,
    exchange: ExchangeType = INFORMATIONAL,
    *,
    is_response: bool = False,
) -> bytes:
    """Return a message as the owner of the session could send it."""
    head = messages.header(session.link, exchange, message_id, is_response=is_response)
    # An IV far ahead: the message must not share its own with one that the host sends itself.
    keyring = replace(session.keyring, sealed=session.keyring.sealed + 1000)
    return keyring.seal(head, payloads, session.env.random)[1]


def request(
    ladder: Ladder,
    host: Host,
    payloads: tuple[Body, ...],
    exchange: ExchangeType = INFORMATIONAL,
    message_id: int | None = None,
) -> Datagram:
    """Return a request of a host, as the other one gets it; by default the next one it expects."""
    session = session_of(host)
    number = session.window.next_request if message_id is None else message_id
    octets = sealed(session, payloads, number, exchange)
    return ladder.carried(host, session.link.local, session.link.peer, octets)


def opened(host: Host, octets: bytes) -> Message:
    """Return a sealed message that a host can read."""
    message = Message.decode(octets)
    return session_of(host).keyring.open(message.header, octets)


def edited(ladder: Ladder, edit: Edit, exchange: ExchangeType, sender: Host) -> None:
    """Change the payloads of the sealed messages of `sender` on their way, with its keys."""

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        header = Message.decode(datagram.octets).header
        if host is not sender or header.exchange is not exchange:
            return [datagram]
        reader = _session_with(ladder.other(host), header)
        writer = _session_with(host, header)
        message = reader.keyring.open(header, datagram.octets)
        old = writer.outdated
        is_old = old is not None and header.is_response and old.message_id == header.message_id
        keyring = old.keyring if old is not None and is_old else writer.keyring
        octets = keyring.seal(header, edit(message.payloads), writer.env.random)[1]
        return [replace(datagram, octets=octets)]

    ladder.fate = fate


def _session_with(host: Host, header: Header) -> Session:
    """Return the session of the IKE SA that a message belongs to."""
    for sa in host.endpoint.sas:
        session = session_in(sa.state)
        if session.link.spi_i == header.spi_i:
            return session
    raise AssertionError(f"{host.name} has no IKE SA {header.spi_i.hex()}")


def rewritten(ladder: Ladder, change: Callable[[Message], Message], sender: Host) -> None:
    """Change the IKE_SA_INIT messages of `sender` on their way."""

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        message = Message.decode(datagram.octets)
        if host is not sender or message.header.exchange is not ExchangeType.IKE_SA_INIT:
            return [datagram]
        return [replace(datagram, octets=change(message).encode())]

    ladder.fate = fate


def sealed_octets(
    session: Session,
    first: int,
    plaintext: bytes,
    message_id: int,
    exchange: ExchangeType = INFORMATIONAL,
    *,
    is_response: bool = False,
) -> bytes:
    """Return a message whose SK payload has exactly these octets inside."""
    head = messages.header(session.link, exchange, message_id, is_response=is_response)
    protection, keys = session.keyring.protection, session.keyring.local
    size = 4 + protection.body_octets(len(plaintext))
    whole = replace(head, next_payload=PayloadType.SK, length=28 + size)
    prefix = whole.encode() + bytes([first, 0]) + size.to_bytes(2)
    iv = session.env.random.octets(protection.iv_octets)
    return prefix + protection.seal(keys, iv, prefix, plaintext)


def first_message(ladder: Ladder) -> Message:
    """Let the left host start and return its IKE_SA_INIT request, which does not arrive."""
    ladder.initiate()
    ladder.wire.clear()
    return Message.decode(ladder.sent[-1][1].octets)


def with_header(message: Message, **changes: object) -> Message:
    """Return a message with other fields in its header."""
    return replace(message, header=replace(message.header, **changes))  # type: ignore[arg-type]


def put(message: Message, *payloads: Body) -> Message:
    """Return a message with these payloads, each in the place of its kind, others at the end."""
    kinds = {type(body): body for body in payloads}
    kept = [kinds.pop(type(body), body) for body in message.payloads]
    return replace(message, payloads=(*kept, *kinds.values()))

# SPDX-License-Identifier: Apache-2.0
"""IKE_INTERMEDIATE (RFC 9242), for additional key exchanges (RFC 9370 §2.2.2): both sides of it."""

from dataclasses import replace
from typing import Final

from ikeway.ike.session import Session, Transcript
from ikeway.ike.shape import Shape, need, one
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange
from ikeway.wire.registry import ExchangeType, KeMethod

TYPE: Final = ExchangeType.IKE_INTERMEDIATE
REQUEST: Final = Shape(one(KeyExchange))
RESPONSE: Final = REQUEST


def methods(session: Session) -> tuple[int, ...]:
    """Return the additional key exchanges that were agreed on: so many exchanges, and no more.

    The keys of an IKE SA that is resumed come of those that it had then (RFC 5723 §5.1).
    """
    if session.resumed is not None:
        return ()
    return tuple(method for _, method in session.keyring.suite.additional)


def data(message: Message, method: int) -> bytes:
    """Return the peer's key exchange data.

    Raises:
        MalformedError: it is of another method than the one that is due (RFC 9370 §2.2.2).
    """
    exchange = need(message, KeyExchange)
    if exchange.method != method:
        wanted = KeMethod(method).name
        raise MalformedError(f"a key exchange by {exchange.method.name}, {wanted} is due")
    return exchange.data


def mix(session: Session, transcript: Transcript, shared: Secret) -> Session:
    """Return the session with the keys of one more exchange (RFC 9370 §2.2.2)."""
    link = session.link
    nonces, spis = (transcript.nonce_i, transcript.nonce_r), (link.spi_i, link.spi_r)
    return replace(session, keyring=session.keyring.mixed(shared, nonces, spis))

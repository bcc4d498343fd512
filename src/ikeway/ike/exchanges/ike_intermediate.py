# SPDX-License-Identifier: Apache-2.0
"""IKE_INTERMEDIATE (RFC 9242), both sides: what there is for it to do, and with which keys it ends.

It carries additional key exchanges (RFC 9370 §2.2.2), and in the last one PPKs (RFC 9867).
"""

from dataclasses import replace
from typing import Final

from ikeway.ike.session import Session, Transcript
from ikeway.ike.shape import Shape, maybe, need, some
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Notify
from ikeway.wire.registry import ExchangeType, KeMethod

TYPE: Final = ExchangeType.IKE_INTERMEDIATE
REQUEST: Final = Shape(maybe(KeyExchange), some(Notify))
RESPONSE: Final = REQUEST


def data(message: Message, method: int | None) -> bytes:
    """Return the peer's key exchange data, nothing where there is to be no key exchange.

    Raises:
        MalformedError: it is of another method than the one that is due (RFC 9370 §2.2.2).
    """
    if method is None:
        if message.one(KeyExchange) is not None:
            raise MalformedError("a key exchange that was not agreed on")
        return b""
    exchange = need(message, KeyExchange)
    if exchange.method != method:
        wanted = KeMethod(method).name
        raise MalformedError(f"a key exchange by {exchange.method.name}, {wanted} is due")
    return exchange.data


def mix(session: Session, transcript: Transcript, shared: Secret | None) -> Session:
    """Return the session with the keys of one more exchange (RFC 9370 §2.2.2)."""
    if shared is None:
        return session
    link = session.link
    nonces, spis = (transcript.nonce_i, transcript.nonce_r), (link.spi_i, link.spi_r)
    return replace(session, keyring=session.keyring.mixed(shared, nonces, spis))

# SPDX-License-Identifier: Apache-2.0
"""Postquantum preshared keys in IKE_INTERMEDIATE (RFC 9867 §3.1): named, found, and mixed in.

They change all keys, so what follows, the identities of IKE_AUTH first, is safe from a quantum
computer. A name comes with a confirmation, so that a key that differs is found out at once.
"""

import hmac
from dataclasses import dataclass, replace
from typing import Final

from ikeway.ike.ppk import FIXED
from ikeway.ike.session import MixedIn, Session, Transcript
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, UsePpk
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

CONFIRMATION_OCTETS: Final = 8
NAMES_MOST: Final = 16
"""Each name that a peer sends costs a computation, before we know who it is."""


def offer(session: Session, transcript: Transcript, connection: Connection) -> tuple[Notify, ...]:
    """Return what names our key in the request.

    Raises:
        AuthenticationError: we do not have it.
    """
    name = connection.ppk_id.encode()
    secret = session.env.credentials.ppk(name)
    if secret is None:
        raise AuthenticationError(f"no PPK {connection.ppk_id!r}")
    confirmation = _confirmation(session, transcript, secret)
    return (Notify(NotifyType.PPK_IDENTITY_KEY, bytes([FIXED]) + name + confirmation),)


def concluded(
    session: Session, transcript: Transcript, connection: Connection, reply: Message
) -> Session:
    """Return the initiator's session as the answer wants it: with the key or without.

    Raises:
        AuthenticationError: without, and the connection insists; or with a key that was not named.
    """
    chosen = reply.notify(NotifyType.PPK_IDENTITY)
    if chosen is None:
        if connection.ppk is UsePpk.REQUIRE:
            raise AuthenticationError(
                "the peer does not know the PPK that this connection requires"
            )
        return session
    name = connection.ppk_id.encode()
    secret = session.env.credentials.ppk(name)
    if secret is None or chosen.data != bytes([FIXED]) + name:
        raise AuthenticationError("the peer chose a PPK that was not offered")
    return _mixed(session, transcript, name, secret)


@dataclass(frozen=True, slots=True)
class Found:
    """The key that a responder has of those that were named, if any."""

    name: bytes = b""
    secret: Secret | None = None

    @property
    def answer(self) -> tuple[Notify, ...]:
        """What tells the initiator which one it is."""
        if self.secret is None:
            return ()
        return (Notify(NotifyType.PPK_IDENTITY, bytes([FIXED]) + self.name),)

    def mix(self, session: Session, transcript: Transcript) -> Session:
        """Return the session with the key in it."""
        if self.secret is None:
            return session
        return _mixed(session, transcript, self.name, self.secret)


def find(
    session: Session,
    transcript: Transcript,
    candidates: tuple[Connection, ...],
    message: Message,
) -> Found:
    """Return the first key that we have as well.

    Raises:
        AuthenticationError: there is none, and every connection that it may be insists.
    """
    named = [each for each in message.all(Notify) if each.type is NotifyType.PPK_IDENTITY_KEY]
    for notify in named[:NAMES_MOST]:
        name, confirmation = notify.data[1:-CONFIRMATION_OCTETS], notify.data[-CONFIRMATION_OCTETS:]
        secret = session.env.credentials.ppk(name)
        if notify.data[:1] != bytes([FIXED]) or secret is None:
            continue
        if hmac.compare_digest(_confirmation(session, transcript, secret), confirmation):
            return Found(name, secret)
    if all(connection.ppk is UsePpk.REQUIRE for connection in candidates):
        raise AuthenticationError("no PPK that the peer names is known here")
    return Found()


def _mixed(session: Session, transcript: Transcript, name: bytes, secret: Secret) -> Session:
    keyring = session.keyring.with_ppk_in_all(secret, _seed(session, transcript))
    return replace(session, keyring=keyring, ppk=MixedIn(name, None))


def _confirmation(session: Session, transcript: Transcript, secret: Secret) -> bytes:
    whole = session.keyring.prf.compute(secret.octets, _seed(session, transcript))
    return whole[:CONFIRMATION_OCTETS]


def _seed(session: Session, transcript: Transcript) -> bytes:
    """Return Ni | Nr | SPIi | SPIr."""
    link = session.link
    return transcript.nonce_i + transcript.nonce_r + link.spi_i + link.spi_r

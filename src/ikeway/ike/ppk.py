# SPDX-License-Identifier: Apache-2.0
"""Postquantum preshared keys in IKE_AUTH (RFC 8784 §3): which one, and what if there is none.

They change SK_d and both SK_p, and so the keys of all Child SAs and what AUTH proves. The messages
of this IKE SA stay as they were; those of its successors are of SK_d. Where both sides can, keys
are mixed in before (`ppk_intermediate`), and what is left for here is to insist.
"""

from dataclasses import replace
from typing import Final

from ikeway.ike.features.ppk import PpkUse
from ikeway.ike.session import MixedIn, Session
from ikeway.model.errors import AuthenticationError
from ikeway.policy.connection import Connection, UsePpk
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Notify
from ikeway.wire.registry import NotifyType

FIXED: Final = 2
"""PPK_ID_FIXED: the rest of the PPK_ID is a name that was configured on both sides (§5.1)."""
IDENTITY: Final = NotifyType.PPK_IDENTITY
FALLBACK: Final = NotifyType.NO_PPK_AUTH

# As initiator -------------------------------------------------------------------------------------


def use(session: Session, connection: Connection) -> Session:
    """Return the session with our key in it, if the peer wants one as well.

    Raises:
        AuthenticationError: it does not, and the connection insists; or we do not have ours.
    """
    if session.agreed.ppk is not PpkUse.IN_AUTH:
        _insist(session, connection)
        return session
    return _mixed(session, connection.ppk_id.encode())


def _insist(session: Session, connection: Connection) -> None:
    """Refuse an IKE SA without a key where the connection requires one."""
    if session.ppk is None and connection.ppk is UsePpk.REQUIRE:
        raise AuthenticationError("the peer has no PPK, which this connection requires")


def _mixed(session: Session, name: bytes) -> Session:
    secret = session.env.credentials.ppk(name)
    if secret is None:
        raise AuthenticationError(f"no PPK {name.decode(errors='replace')!r}")
    keyring = session.keyring
    mixed_in = MixedIn(name, keyring.keys)
    return replace(session, keyring=keyring.with_ppk(secret), ppk=mixed_in)


def plain(session: Session) -> Session:
    """Return the session as it is without the key."""
    if session.ppk is None or session.ppk.before is None:
        return session
    return replace(session, keyring=replace(session.keyring, keys=session.ppk.before), ppk=None)


def may_do_without(session: Session, connection: Connection) -> bool:
    """Whether the peer is to hear a proof without the key too, should it not know ours."""
    return _came_here(session) and connection.ppk is not UsePpk.REQUIRE


def _came_here(session: Session) -> bool:
    """Whether the key was mixed in at IKE_AUTH."""
    return session.ppk is not None and session.agreed.ppk is PpkUse.IN_AUTH


def said(session: Session, fallback: bytes) -> tuple[Notify, ...]:
    """Return what stands beside our AUTH: the name of the key, and the proof without it."""
    if session.ppk is None or not _came_here(session):
        return ()
    identity = Notify(IDENTITY, bytes([FIXED]) + session.ppk.name)
    return (identity, Notify(FALLBACK, fallback)) if fallback else (identity,)


def concluded(session: Session, connection: Connection, reply: Message) -> Session:
    """Return the session as the peer's answer wants it: with the key or without.

    Raises:
        AuthenticationError: without, and the connection insists.
    """
    if not _came_here(session) or reply.notify(IDENTITY) is not None:
        return session
    if connection.ppk is UsePpk.REQUIRE:
        raise AuthenticationError("the peer did not use the PPK, which this connection requires")
    return plain(session)


# As responder -------------------------------------------------------------------------------------


def accept(session: Session, connection: Connection, message: Message) -> tuple[Session, Message]:
    """Return the session with the initiator's key, and its message with the AUTH that counts.

    Raises:
        AuthenticationError: the key is not known, and one of both sides insists (table 1).
    """
    if session.agreed.ppk is not PpkUse.IN_AUTH:
        _insist(session, connection)
        return session, message
    is_required = connection.ppk is UsePpk.REQUIRE
    named = message.notify(IDENTITY)
    if named is None:
        raise AuthenticationError("no PPK_IDENTITY, though both sides said USE_PPK")
    kind, name = named.data[:1], named.data[1:]
    if kind == bytes([FIXED]) and session.env.credentials.ppk(name) is not None:
        return _mixed(session, name), message
    fallback = message.notify(FALLBACK)
    if is_required or fallback is None:
        raise AuthenticationError(f"the PPK {name.decode(errors='replace')!r} is not known here")
    return session, _with_auth(message, fallback.data)


def _with_auth(message: Message, data: bytes) -> Message:
    """Return the message with other Authentication Data; its method stays that of AUTH."""
    bodies: tuple[Body, ...] = tuple(
        replace(body, data=data) if isinstance(body, Authentication) else body
        for body in message.payloads
    )
    return replace(message, payloads=bodies)


def answer(session: Session) -> tuple[Notify, ...]:
    """Return what tells the initiator that its key was used: "with no data"."""
    return (Notify(IDENTITY),) if _came_here(session) else ()


def settled(session: Session) -> Session:
    """Return the session of an IKE SA that is up: what its keys were before is of no use."""
    used = session.ppk
    return session if used is None else replace(session, ppk=replace(used, before=None))

# SPDX-License-Identifier: Apache-2.0
"""Quick crash detection: tokens that prove that their maker has lost an IKE SA (RFC 6290).

A token is a code over both SPIs, by a secret that outlives us. While an IKE SA lives its tokens are
only ever sent sealed; in the clear they say that it is gone, and that is the last time.
"""

from typing import Final

from ikeway.crypto.mac import require_equal
from ikeway.crypto.tokens import code
from ikeway.ike.environment import Environment
from ikeway.ike.session import Link, Session
from ikeway.ike.tasks import Inform
from ikeway.model.errors import IntegrityError
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType, PayloadType, ProtocolId

TOKEN_OCTETS: Final = range(16, 129)
"""§5: tokens of others."""
TOKENS_MOST: Final = 4
"""§4.5: how many a message may present, of as many secrets, and how many we keep of a peer."""
_SEALED: Final = frozenset({PayloadType.SK, PayloadType.SKF})

KIND: Final = NotifyType.QUICK_CRASH_DETECTION


# As token maker -----------------------------------------------------------------------------------


def tokens(env: Environment, spi_i: bytes, spi_r: bytes) -> tuple[Notify, ...]:
    """Return our tokens of an IKE SA, that of the newest secret first (§5.1)."""
    return tuple(
        Notify(KIND, code(secret, spi_i + spi_r), protocol=ProtocolId.IKE)
        for secret in env.crash_secrets[:TOKENS_MOST]
    )


def tokens_of(env: Environment, header: Header) -> tuple[Notify, ...]:
    """Return our tokens of the IKE SA of a sealed message, which another life of ours may have had.

    RFC 6290 §4.5. Another worker may have it still: its SPI says whose it is.
    """
    ours = header.spi_r if header.is_from_initiator else header.spi_i
    if header.next_payload not in _SEALED or ours[0] != env.worker:
        return ()
    return tokens(env, header.spi_i, header.spi_r)


def announce(env: Environment, link: Link) -> tuple[Notify, ...]:
    """Return the token for a sealed message to the peer, if we make any (§4.2)."""
    return tokens(env, link.spi_i, link.spi_r)[:1]


def announcement(session: Session) -> tuple[Inform, ...]:
    """Return what the initiator of a rekey tells on the new IKE SA (§4.3)."""
    told = announce(session.env, session.link)
    return (Inform(told),) if told and session.link.is_initiator else ()


# As token taker -----------------------------------------------------------------------------------


def learn(message: Message, known: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
    """Return the peer's tokens after a sealed message, newest last (§4.4)."""
    told = [token for token in _presented(message) if token not in known]
    return (*known, *told)[-TOKENS_MOST:]


def check(known: tuple[bytes, ...], message: Message) -> None:
    """Check in constant time that an unprotected message has one of the peer's tokens (§4.5).

    Raises:
        IntegrityError: it has none.
    """
    for seen in _presented(message):
        for token in known:
            try:
                require_equal(token, seen, "a crash token")
            except IntegrityError:
                continue
            return
    raise IntegrityError("no crash token of the peer")


def _presented(message: Message) -> list[bytes]:
    found = [notify.data for notify in message.all(Notify) if notify.type is KIND]
    return [data for data in found if len(data) in TOKEN_OCTETS][:TOKENS_MOST]

# SPDX-License-Identifier: Apache-2.0
"""A question as an IKE_SA_INIT request, and what an answer to it says."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ikeway.client.probe.questions import Offer
from ikeway.crypto.kex import key_exchange
from ikeway.crypto.offer import Offer as KeyOffer
from ikeway.crypto.random import Random
from ikeway.ike.exchanges.ike_sa_init import ZERO_SPI
from ikeway.ike.nonces import NONCE_OCTETS
from ikeway.policy.distinct import Choice
from ikeway.wire.codec import Body
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify, SecurityAssociation
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType

_STAND_INS: Final = (
    KeMethod.CURVE25519,
    KeMethod.ECP_256,
    KeMethod.MODP_2048,
    KeMethod.ECP_384,
    KeMethod.ECP_521,
    KeMethod.CURVE448,
    KeMethod.MODP_3072,
)


class Verdict(Enum):
    """What an answer says about an offer."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    COOKIE = "cookie"
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class Request:
    """One IKE_SA_INIT request; with a cookie it is sent again (RFC 7296 §2.6)."""

    spi: bytes
    nonce: bytes
    method: KeMethod
    key: KeyOffer
    payloads: tuple[Body, ...]

    @classmethod
    def make(cls, offer: Offer, method: KeMethod, random: Random, *more: Notify) -> "Request":
        """Return a request that brings a value of `method`."""
        spi = b"\x01" + random.octets(7)
        nonce, key = random.octets(NONCE_OCTETS), key_exchange(method).offer(random)
        payloads = (
            SecurityAssociation(offer.proposals()),
            KeyExchange(method, key.public),
            Nonce(nonce),
            *((Notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED),) if offer.additional else ()),
            *more,
        )
        return cls(spi, nonce, method, key, payloads)

    def encode(self, cookie: bytes = b"") -> bytes:
        """Return the octets, with the cookie that the peer has asked for as the first payload."""
        first = (Notify(NotifyType.COOKIE, cookie),) if cookie else ()
        exchange = ExchangeType.IKE_SA_INIT
        payloads = (*first, *self.payloads)
        return Message.build(self.spi, ZERO_SPI, exchange, Flags.INITIATOR, 0, payloads).encode()


def ask(offer: Offer, random: Random) -> Request:
    """Return a request whose key exchange value is of none of the methods offered, if it can be."""
    return Request.make(offer, _stand_in(offer.ke), random)


def verdict(answer: Message) -> Verdict:
    """Return what an answer says, which is not authentic: a probe believes what it hears."""
    if answer.notify(NotifyType.COOKIE) is not None:
        return Verdict.COOKIE
    if answer.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None:
        return Verdict.REFUSED
    if answer.notify(NotifyType.INVALID_KE_PAYLOAD) is not None:
        return Verdict.ACCEPTED
    return Verdict.ACCEPTED if answer.one(SecurityAssociation) is not None else Verdict.ODD


def _stand_in(offered: tuple[Choice, ...]) -> KeMethod:
    codes = {code for code, _ in offered}
    return next((one for one in _STAND_INS if one not in codes), _STAND_INS[0])

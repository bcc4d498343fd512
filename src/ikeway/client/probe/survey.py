# SPDX-License-Identifier: Apache-2.0
"""Asks a peer about every algorithm, type after type, and about its extensions."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ikeway.auth.signatures import OUR_HASHES, encode_hashes
from ikeway.client.probe.asking import Request, Verdict, ask, verdict
from ikeway.client.probe.line import WAITS, Line, SilentPeerError
from ikeway.client.probe.questions import (
    METHODS,
    POST_QUANTUM,
    STAGES,
    Accepted,
    Offer,
    Question,
)
from ikeway.crypto.kex import is_available
from ikeway.crypto.random import Random
from ikeway.model.errors import PeerError
from ikeway.policy.algorithms import ALGORITHMS
from ikeway.policy.distinct import Choice
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import KeMethod, NotifyType, TransformType

Tell = Callable[[str], None]
COOKIES_MOST: Final = 3
METHODS_MOST: Final = 3
"""How often the peer may ask for another key exchange method (RFC 7296 §1.2)."""
_SUPPORTED: Final = (
    Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    Notify(NotifyType.REDIRECT_SUPPORTED),
    Notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED),
    Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, encode_hashes(OUR_HASHES)),
)
"""What a responder says only to an initiator that says it too."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An IKE_SA_INIT that the peer has answered in full."""

    request: Request
    answer: Message


async def survey(line: Line, random: Random, tell: Tell = lambda _: None) -> Accepted:
    """Return all that the peer accepts.

    Raises:
        SilentPeerError: it does not answer at all.
        MalformedError: it answers with what is no IKEv2.
    """
    await _converse(line, ask(Offer(ke=METHODS[:1]), random), WAITS)  # whatever the answer is
    accepted = await _survey(line, Accepted(), random, tell)
    if not accepted.is_any:
        tell("nothing yet: perhaps nothing without a post-quantum key exchange")
        accepted = await _survey(line, Accepted(always=POST_QUANTUM), random, tell)
    return accepted


async def open_sa(line: Line, accepted: Accepted, random: Random) -> Opened | None:
    """Return an IKE_SA_INIT with what both sides have, or None if there is nothing."""
    common = accepted.among(ALGORITHMS)
    if not common.is_any or common.always:
        return None
    method = common.of(TransformType.KE)[0][0]
    for _ in range(METHODS_MOST):
        request = Request.make(common.offer(), KeMethod(method), random, *_SUPPORTED)
        answer = await _converse(line, request, WAITS)
        refused = answer.notify(NotifyType.INVALID_KE_PAYLOAD)
        if refused is None:
            return Opened(request, answer) if verdict(answer) is Verdict.ACCEPTED else None
        method = int.from_bytes(refused.data)
        if not is_available(method):
            return None
    return None


async def _survey(line: Line, accepted: Accepted, random: Random, tell: Tell) -> Accepted:
    for kind, questions in STAGES:
        asked = questions(accepted)
        tell(f"asking about {kind.name} ({len(asked)} questions)")
        accepted = accepted.plus(kind, await _accepted(line, asked, random))
        if not accepted.of(TransformType.KE):
            break
    return accepted


async def _accepted(
    line: Line, questions: tuple[Question, ...], random: Random
) -> tuple[Choice, ...]:
    found = await asyncio.gather(*(_is_accepted(line, offer, random) for _, offer in questions))
    return tuple(choice for (choice, _), is_yes in zip(questions, found, strict=True) if is_yes)


async def _is_accepted(line: Line, offer: Offer, random: Random) -> bool:
    """Whether the peer takes the offer. One that says nothing to it, but did before, does not."""
    try:
        answer = await _converse(line, ask(offer, random), WAITS[:2])
    except (SilentPeerError, PeerError):
        return False
    return verdict(answer) is Verdict.ACCEPTED


async def _converse(line: Line, request: Request, waits: tuple[float, ...]) -> Message:
    """Return the answer to a request, with whatever cookie the peer wants."""
    answer = Message.decode(await line.exchange(request.spi, request.encode(), waits))
    for _ in range(COOKIES_MOST):
        cookie = answer.notify(NotifyType.COOKIE)
        if cookie is None:
            break
        again = request.encode(cookie.data)
        answer = Message.decode(await line.exchange(request.spi, again, waits))
    return answer

# SPDX-License-Identifier: Apache-2.0
"""Relays EAP between initiators and RADIUS servers (RFC 3579 §2.1): another `Conversations`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.auth.radius import access
from ikeway.auth.radius.access import Challenge, Grant, Refusal
from ikeway.auth.radius.registry import Code as RadiusCode
from ikeway.auth.radius.visit import Visit
from ikeway.crypto.random import Random
from ikeway.ike.questions import Answer, Converse, Refused, Ticket
from ikeway.model.errors import HostError, MalformedError, PeerError
from ikeway.runtime.radius import RadiusClient, RadiusServer

METHOD: Final = "radius"
"""The method whose name stands for whatever the RADIUS server wants."""
SESSION_OCTETS: Final = 8
_ASK_IDENTITY: Final = Packet(Code.REQUEST, 0, EapType.IDENTITY)

Answered = Callable[[Answer], None]
Granted = Callable[[bytes, Visit, bytes, Grant], None]
"""Hears our SPI, the visit, the user and what it was granted."""


@dataclass(frozen=True, slots=True)
class _Talk:
    """A conversation: `state` and `server` are of the last challenge."""

    visit: Visit
    user: bytes = b""
    state: bytes | None = None
    server: RadiusServer | None = None
    rounds: int = 0


class RadiusRelay:
    """Holds what each conversation needs between two packets of the peer."""

    def __init__(
        self,
        client: RadiusClient,
        name: str,
        random: Random,
        rounds_most: int,
        granted: Granted = lambda *_: None,
    ) -> None:
        """`name` is our NAS-Identifier."""
        self._client = client
        self._name = name
        self._random = random
        self._rounds_most = rounds_most
        self._granted = granted
        self._talks: dict[tuple[bytes, bytes], _Talk] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._talks)

    def turn(self, ticket: Ticket, question: Converse, answered: Answered) -> None:
        """Answer with what comes next, once the server has said it."""
        key = ticket.sa, ticket.branch
        if key not in self._talks:
            self._talks[key] = _Talk(self._visit(question))
        task = asyncio.get_running_loop().create_task(self._turn(key, question, answered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, sa: bytes) -> None:
        """Drop what an IKE SA has begun."""
        for key in [key for key in self._talks if key[0] == sa]:
            del self._talks[key]

    def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        self._client.close()

    async def _turn(self, key: tuple[bytes, bytes], question: Converse, answered: Answered) -> None:
        try:
            progress = await self._next(key, question)
        except (HostError, PeerError) as error:
            self._talks.pop(key, None)
            answered(Refused(str(error)))
            return
        if progress.outcome is not None:
            self._talks.pop(key, None)
        answered(progress)

    async def _next(self, key: tuple[bytes, bytes], question: Converse) -> Progress:
        talk = self._talks[key]
        if talk.rounds >= self._rounds_most:
            raise MalformedError(f"EAP has no end after {talk.rounds} requests")
        if not question.packet and not question.identity:
            return Progress(_ASK_IDENTITY.encode())
        eap = question.packet or _identity(question.identity)
        if not talk.user:
            talk = replace(talk, user=_user(eap))
        asked = access.request(talk.visit, talk.user, eap, talk.state)
        answer = await self._client.ask(RadiusCode.ACCESS_REQUEST, asked, talk.server)
        verdict = access.verdict(answer.reply, answer.asked, answer.server.secret)
        match verdict:
            case Challenge(request, state):
                going = replace(talk, state=state, server=answer.server, rounds=talk.rounds + 1)
                if key in self._talks:
                    self._talks[key] = going
                return Progress(request)
            case Grant():
                self._granted(key[0], talk.visit, talk.user, verdict)
                return Progress(verdict.eap, _success(talk.user, verdict))
            case Refusal(failure, text):
                why = f"RADIUS refuses {talk.user.decode(errors='replace')!r}"
                reason = f"{why}: {text}" if text else why
                return Progress(failure or _failure(eap), Failure(reason))

    def _visit(self, question: Converse) -> Visit:
        if question.visit is None:
            raise MalformedError("RADIUS proves initiators only")
        at = question.visit
        session = self._random.octets(SESSION_OCTETS).hex()
        local, peer = at.local.address, at.peer
        return Visit(self._name, session, at.connection, local, peer.address, peer.port)


def _identity(name: bytes) -> bytes:
    """Return the EAP-Response/Identity that the peer's IDi stands for."""
    return Packet(Code.RESPONSE, 0, EapType.IDENTITY, name).encode()


def _user(eap: bytes) -> bytes:
    """Return who the first packet says the peer is.

    Raises:
        MalformedError: it is no EAP-Response/Identity.
    """
    packet = Packet.decode(eap)
    if packet.code is not Code.RESPONSE or packet.type is not EapType.IDENTITY or not packet.data:
        raise MalformedError("EAP that does not begin with an identity")
    return packet.data[: access.USER_OCTETS_MOST]


def _success(user: bytes, grant: Grant) -> Success:
    proven = grant.user.encode() if grant.user else user
    return Success(proven, grant.msk, METHOD, groups=grant.groups, addresses=grant.addresses)


def _failure(eap: bytes) -> bytes:
    """Return EAP-Failure to the peer's last packet, where the server has sent none."""
    return Packet(Code.FAILURE, eap[1]).encode()

# SPDX-License-Identifier: Apache-2.0
"""A whole look at a peer: its algorithms, its extensions, and how it greets a stranger."""

from dataclasses import dataclass
from typing import Final

from ikeway.client.probe.findings import Findings, conclude
from ikeway.client.probe.greeting import Greeting, greet
from ikeway.client.probe.line import Line
from ikeway.client.probe.survey import Opened, Tell, open_sa, survey
from ikeway.crypto.random import Random
from ikeway.model.errors import IkewayError
from ikeway.model.identity import Identity

_UNASKED: Final = {
    False: "there is no suite in common",
    True: "it accepts nothing without a post-quantum key exchange, which a probe does not make",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to look at, and who we say we are. `peer` is whom we ask for, if anybody."""

    host: str
    port: int
    local: Identity
    peer: Identity | None = None


async def look(target: Target, random: Random, tell: Tell = lambda _: None) -> Findings:
    """Return what there is to see of a peer.

    Raises:
        HostError: it does not resolve, or does not answer.
        MalformedError: it answers with what is no IKEv2.
    """
    line = await Line.open(target.host, target.port)
    try:
        accepted = await survey(line, random, tell)
        opened = await open_sa(line, accepted, random)
        tell("asking how it proves itself")
        silence = _UNASKED[bool(accepted.always)]
        greeting = None
        if opened is not None:
            greeting, silence = await _greeting(line, opened, random, target)
        answer = opened.answer if opened else None
        return conclude((target.host, target.port), accepted, answer, greeting, silence)
    finally:
        line.close()


async def _greeting(
    line: Line, opened: Opened, random: Random, target: Target
) -> tuple[Greeting | None, str]:
    try:
        return await greet(line, opened, random, target.local, target.peer), ""
    except IkewayError as error:
        return None, str(error)

# SPDX-License-Identifier: Apache-2.0
"""What a datagram that nobody with a key has just sent may do: next to nothing (I2, I4).

It may start a half-open IKE SA or answer an IKE_SA_INIT request, and a repeated last request may
make an IKE SA that is gone wait for another repetition, up to the time that was set when it went.
"""

from dataclasses import dataclass
from typing import Final

from ikeway.ike.io import Action, Datagram, Send
from ikeway.ike.states import AwaitInitResponse, Candidates, Lingering, State
from ikeway.wire.registry import ExchangeType
from world.host import Host
from world.seals import Broken

CERTREQ_MOST: Final = 5 + 20 * 12 + 5
"""By how much an IKE_SA_INIT answer may be longer: peers ask for our certificate only if asked for
theirs, so that the answer names our authorities (I2 is kept where there are none)."""

ASKED_MOST: Final = 4096
"""How long our IKE_AUTH request may be: whoever answers our IKE_SA_INIT draws it, but it goes to
the peer that we want, wherever the answer came from."""

STARTING: Final = (AwaitInitResponse, Candidates)
"""States in which somebody without a key has a say, because nobody has one yet (§2.4, §2.21.1)."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What a host looks like from the inside."""

    states: dict[bytes, State]
    timers: dict[bytes, float]
    children: tuple[int, ...]
    half_open: int


def looks(host: Host) -> Looks:
    """Return what nobody without a key may change."""
    states = {sa.spi: sa.state for sa in host.endpoint.sas}
    half_open = len(host.endpoint._half_open)
    return Looks(states, dict(host.timers), tuple(host.plane.children), half_open)


def send(host: Host, datagram: Datagram, *, is_replay: bool) -> None:
    """Give a host a datagram that nobody with a key has just sent.

    Raises:
        Broken: it draws more than it sent (I2), or it changed what it must not change (I4).
    """
    before = looks(host)
    actions = host.receive(datagram)
    if not is_replay:
        check_silent(host, datagram, actions)
    check_unchanged(host, before, datagram, is_replay=is_replay)


def check_silent(host: Host, datagram: Datagram, actions: tuple[Action, ...]) -> None:
    """Check that unauthenticated input draws no more than it sent (I2)."""
    drawn = [action.octets for action in actions if isinstance(action, Send)]
    octets = sum(map(len, drawn))
    most = len(datagram.octets) + (CERTREQ_MOST if host.place.certified else 0)
    if _answers_ike_sa_init(datagram.octets):
        most = max(most, ASKED_MOST)
    if len(drawn) > 1 or octets > most:
        what = f"{len(datagram.octets)} forged octets draw {octets} in {len(drawn)} datagrams"
        raise Broken("I2", f"{host.place.name}: {what}")


def _answers_ike_sa_init(octets: bytes) -> bool:
    return len(octets) > 19 and octets[18] == ExchangeType.IKE_SA_INIT and bool(octets[19] & 0x20)


def check_unchanged(host: Host, before: Looks, datagram: Datagram, *, is_replay: bool) -> None:
    """Check that input without a key changes nothing but what is only starting (I4)."""
    after, name = looks(host), host.place.name
    new = after.states.keys() - before.states.keys()
    if len(new) > 1 or (new and after.half_open > host.place.limits.half_open):
        raise Broken("I4", f"{name}: a forged datagram starts {len(new)} IKE SAs")
    for spi, state in before.states.items():
        now = after.states.get(spi)
        if isinstance(state, STARTING) or (is_replay and _waits_longer(state, now)):
            continue
        if now is not state:
            kinds = f"{type(state).__name__} to {type(now).__name__}"
            raise Broken("I4", f"{name}: {len(datagram.octets)} octets take an SA from {kinds}")
        if after.timers.get(spi) != before.timers.get(spi):
            raise Broken("I4", f"{name}: a forged datagram moves a timer")
    if not set(before.children) <= set(after.children):
        raise Broken("I4", f"{name}: a forged datagram removes a Child SA")


def _waits_longer(state: State, now: State | None) -> bool:
    """Whether an SA that is gone waits for another repetition of the peer's last request (§2.1).

    A replay looks like one; what it can gain was limited when the SA went.
    """
    if not isinstance(state, Lingering) or not isinstance(now, Lingering):
        return False
    is_bounded = now.until <= now.at_most == state.at_most
    return is_bounded and now.session is state.session

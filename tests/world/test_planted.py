# SPDX-License-Identifier: Apache-2.0
"""The simulator finds what it is for: bugs are planted in the core, and each is reported."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ikeway.ike import ending
from ikeway.ike.endpoint import Endpoint
from ikeway.ike.exchanges import informational
from ikeway.ike.half_open import HalfOpen
from ikeway.ike.io import Datagram, InstallChild, RemoveChild, Send
from ikeway.ike.keys import Keyring
from ikeway.ike.sa import IkeSa
from ikeway.model.errors import IntegrityError
from ikeway.wire.message import Message
from world import found
from world.shrinking import shrink
from world.simulation import play, written

pytestmark = pytest.mark.thorough

SEEDS = range(12)
Plant = Callable[[pytest.MonkeyPatch], None]


def first_broken(hours: float = 20.0) -> Any:
    """Return the first violation of some seeds."""
    for seed in SEEDS:
        violation = play(written(seed, hours)).violation
        if violation is not None:
            return violation
    return None


def an_iv_that_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message is sealed as if it were the first (I7)."""
    seal = Keyring.seal_octets
    monkeypatch.setattr(
        Keyring, "seal_octets", lambda self, *args: (self, seal(replace(self, sealed=0), *args)[1])
    )


def an_exception_for_odd_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short datagram raises (I1)."""
    receive = Endpoint.receive

    def careless(self: Endpoint, datagram: Datagram, now: float) -> Any:
        return (datagram.octets[27], receive(self, datagram, now))[1]

    monkeypatch.setattr(Endpoint, "receive", careless)


def an_answer_to_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped is answered at length (I2)."""
    receive = Endpoint.receive

    def talkative(self: Endpoint, datagram: Datagram, now: float) -> Any:
        actions = receive(self, datagram, now)
        is_answered = any(isinstance(action, Send) for action in actions)
        if is_answered or not any(datagram.octets[:8]):  # nor what is of this kind itself
            return actions
        return (*actions, Send(datagram.local, datagram.peer, bytes(500)))

    monkeypatch.setattr(Endpoint, "receive", talkative)


def a_request_that_is_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index of IKE_SA_INIT requests grows for ever (I3)."""
    monkeypatch.setattr(HalfOpen, "forget", lambda self, spi: self.settle(spi))


def integrity_that_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that does not verify counts as an empty one (I4)."""
    opened = Keyring.open

    def trusting(self: Keyring, header: Any, octets: bytes) -> Any:
        try:
            return opened(self, header, octets)
        except IntegrityError:
            return Message(header, ())

    monkeypatch.setattr(Keyring, "open", trusting)


def a_child_that_stays_in_the_data_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removals are lost (I3)."""
    handle = IkeSa.handle

    def forgetful(self: IkeSa, *args: Any) -> Any:
        return tuple(act for act in handle(self, *args) if not isinstance(act, RemoveChild))

    monkeypatch.setattr(IkeSa, "handle", forgetful)


def deletes_that_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Child SAs that the peer deletes stay (agreement)."""
    monkeypatch.setattr(informational, "_deleted", lambda _state, _message: ())


def children_of_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data plane gets an outbound SPI that the peer does not know (traffic)."""
    handle = IkeSa.handle

    def mistaken(self: IkeSa, *args: Any) -> Any:
        return tuple(
            replace(act, child=replace(act.child, spi_out=act.child.spi_out ^ 1))
            if isinstance(act, InstallChild)
            else act
            for act in handle(self, *args)
        )

    monkeypatch.setattr(IkeSa, "handle", mistaken)


@pytest.mark.parametrize(
    ("plant", "rules"),
    [
        (an_iv_that_repeats, {"I7"}),
        (an_exception_for_odd_input, {"I1"}),
        (an_answer_to_everything, {"I2"}),
        (a_request_that_is_never_forgotten, {"I3"}),
        (integrity_that_is_not_checked, {"I2", "I4"}),
        (a_child_that_stays_in_the_data_plane, {"I3"}),
        (deletes_that_are_ignored, {"agreement"}),
        (children_of_other_keys, {"traffic"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_planted_bug_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, rules: set[str]
) -> None:
    plant(monkeypatch)
    violation = first_broken()
    assert violation is not None
    assert violation.rule in rules


def test_an_sa_that_replays_keep_alive_for_ever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An IKE SA that is gone waits for repetitions, but not beyond what was set when it went."""
    script = found.load(found.FOLDER / "seed-3000004.json")
    monkeypatch.setattr(ending, "asked_again", lambda state, now: ending.linger(state.session, now))
    violation = play(script).violation
    assert violation is not None
    assert violation.rule == "I4"


def test_a_script_that_fails_is_shrunk_to_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    an_exception_for_odd_input(monkeypatch)
    script = next(
        one for one in (written(seed, 20.0) for seed in SEEDS) if play(one).violation is not None
    )
    least = shrink(script, "I1", seconds=20.0)
    assert len(least.acts) <= 2
    assert play(least).violation is not None

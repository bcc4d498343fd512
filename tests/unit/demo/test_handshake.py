# SPDX-License-Identifier: Apache-2.0
"""The ladder is drawn from the daemon's own words."""

from collections.abc import Iterator

import pytest

from ikeway.control.schema import EventLine
from ikeway.demo.handshake import Done, Message, shake_hands
from ikeway.model.errors import HostError


def test_messages_come_with_time_direction_and_size_and_few_words() -> None:
    told = [
        event(10.0, "MessageSent", "sent IKE_SA_INIT request 0 [SA KE Nonce N(A) N(B)]", 452),
        event(10.0, "Warned", "something else"),
        event(10.5, "MessageReceived", "received IKE_AUTH response 1 [IDr CP(CFG_REPLY) SA]", 80),
        event(11.0, "ChildEstablished", "Child SA established"),
    ]
    assert list(shake_hands(FakeClient(told))) == [
        Message(0.0, True, "IKE_SA_INIT", "SA KE Nonce N×2", 452),
        Message(0.5, False, "IKE_AUTH", "IDr CP SA", 80),
        Done(1.0),
    ]


@pytest.mark.parametrize("kind", ["Closed", "ChildFailed"])
def test_a_handshake_that_fails_gives_the_daemons_reason(kind: str) -> None:
    told = [event(10.0, kind, "IKE SA closed: AUTHENTICATION_FAILED")]
    with pytest.raises(HostError, match="AUTHENTICATION_FAILED"):
        list(shake_hands(FakeClient(told)))


def test_a_daemon_that_ends_is_noticed() -> None:
    with pytest.raises(HostError, match="daemon ended"):
        list(shake_hands(FakeClient([])))


class FakeClient:
    """The control client as far as the ladder needs it."""

    def __init__(self, told: list[EventLine]) -> None:
        self._told: Iterator[EventLine] = iter(told)

    def watch(self) -> "FakeClient":
        return self

    def initiate(self, connection: str) -> str:
        return connection

    def next(self, patience: float) -> EventLine | None:
        assert patience > 0
        return next(self._told, None)

    def __enter__(self) -> "FakeClient":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def event(at: float, kind: str, text: str, octets: int = 0) -> EventLine:
    return EventLine(at=at, level="debug", event=kind, text=text, facts={"octets": octets})

# SPDX-License-Identifier: Apache-2.0
"""RFC 6989 §2.5: what becomes of an IKE SA when a public value fails its tests."""

import pytest

from ikeway.ike import reports
from ikeway.ike.io import Rekey
from ikeway.ike.states import AwaitInitResponse, Established
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange
from ikeway.wire.registry import ExchangeType, KeMethod
from support.forge import edited, first_message, put, rewritten
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

SMALL_ORDER = KeyExchange(KeMethod.CURVE25519, bytes(32))
"""A point of small order: whoever takes it has keys that everybody knows."""

CREATE = ExchangeType.CREATE_CHILD_SA
DEAD = 400.0
"""Seconds after which a request without an answer has been given up."""


def poisoned(message: Message) -> Message:
    return put(message, SMALL_ORDER)


def with_poison(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return tuple(SMALL_ORDER if isinstance(body, KeyExchange) else body for body in payloads)


def rekey_ike(ladder: Ladder, poisoner: Host) -> None:
    """Let the left host rekey its IKE SA, the public value of `poisoner` being a bad one."""
    edited(ladder, with_poison, CREATE, poisoner)
    (sa,) = ladder.left.endpoint.sas
    ladder.perform(ladder.left, ladder.left.endpoint.handle(sa.spi, Rekey(), ladder.now))
    ladder.settle()


@pytest.mark.conformance("CF-W03")
def test_a_request_of_ike_sa_init_with_a_bad_value_is_dropped(row: Row) -> None:
    """§2.5: "the recipient MUST drop the message": no answer, and no state."""
    ladder = row.psk()
    message = poisoned(first_message(ladder))
    assert ladder.arrive(ladder.right, message.encode()) == []
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-W03")
def test_a_response_of_ike_sa_init_with_a_bad_value_is_dropped(row: Row) -> None:
    """§2.5: "continue waiting for a later message containing a legitimate KE payload"."""
    ladder = row.psk()
    rewritten(ladder, poisoned, ladder.right)
    ladder.connect()
    assert isinstance(ladder.left.states[0], AwaitInitResponse)
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(5)
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


@pytest.mark.conformance("CF-W03")
def test_a_request_of_create_child_sa_with_a_bad_value_ends_the_ike_sa(row: Row) -> None:
    """§2.5: "the Responder MUST reply with an INVALID_SYNTAX ... and drop the IKE SA"."""
    ladder = row.psk()
    ladder.connect()
    rekey_ike(ladder, poisoner=ladder.left)
    assert any("N(INVALID_SYNTAX)" in said for said in ladder.right.said)
    assert nobody_is_established(ladder)


@pytest.mark.conformance("CF-W03")
def test_a_response_of_create_child_sa_with_a_bad_value_ends_the_ike_sa(row: Row) -> None:
    """§2.5: it is deleted "by sending an IKE SA Delete notification as a new exchange"."""
    ladder = row.psk()
    ladder.connect()
    rekey_ike(ladder, poisoner=ladder.right)
    assert ladder.left.said[-1].startswith("INFORMATIONAL request 3 [D(IKE)")
    # For the other side this is the end of an IKE SA that was rekeyed: its successor is mute.
    ladder.wait(ladder.right.endpoint.env.connections[0].liveness + DEAD)
    assert nobody_is_established(ladder)


def nobody_is_established(ladder: Ladder) -> bool:
    """Whether both hosts have ended the IKE SA, and everything of it."""
    hosts = ladder.left, ladder.right
    for host in hosts:
        assert any(isinstance(event, reports.Closed) for event in host.events)
        assert host.installed == {}
    return not any(isinstance(state, Established) for host in hosts for state in host.states)

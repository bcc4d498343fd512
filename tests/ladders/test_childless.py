# SPDX-License-Identifier: Apache-2.0
"""RFC 6023: an IKE SA that begins without a Child SA."""

import pytest

from ikeway.ike.reports import ChildFailed
from ikeway.policy.connection import Childless
from ikeway.wire.message import Message
from ikeway.wire.payloads import Nonce, Notify, SecurityAssociation, TsI
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId
from support.forge import edited, put, rewritten
from support.hosts import CLIENT, GATEWAY, POOL, Row
from support.ladder import Ladder

SUPPORTED = NotifyType.CHILDLESS_IKEV2_SUPPORTED


def childless(left: Childless, right: Childless, row: Row) -> Ladder:
    ladder = row.psk({"childless": left}, {"childless": right})
    ladder.connect()
    return ladder


def announced(ladder: Ladder) -> Notify | None:
    """The notify of the responder's first answer."""
    answers = [sent.octets for host, sent in ladder.sent if host is ladder.right]
    return Message.decode(answers[0]).notify(SUPPORTED)


def test_a_responder_says_that_it_can_unasked(row: Row) -> None:
    """§3: "A supporting responder MUST include the Notify payload"; §4: its protocol is IKE."""
    ladder = row.psk()
    rewritten(ladder, lambda message: put(message, Nonce(bytes(64))), ladder.left)
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    notify = announced(ladder)
    assert notify is not None
    assert (notify.protocol, notify.spi, notify.data) == (ProtocolId.IKE, b"", b"")
    assert Message.decode(ladder.sent[0][1].octets).notify(SUPPORTED) is None


def test_a_request_too_short_for_it_is_not_told(row: Row) -> None:
    """I2: no answer to an unproven address is longer than what it answers."""
    ladder = childless(Childless.ALLOW, Childless.ALLOW, row)
    assert announced(ladder) is None
    request, answer = (sent.octets for _, sent in ladder.sent[:2])
    assert len(answer) <= len(request)


def test_an_initiator_that_wants_it_makes_room_for_the_answer(row: Row) -> None:
    """§3: else two of us would never agree."""
    ladder = childless(Childless.PREFER, Childless.ALLOW, row)
    assert announced(ladder) is not None
    request, answer = (sent.octets for _, sent in ladder.sent[:2])
    assert len(answer) <= len(request)


def test_a_responder_that_shall_not_says_nothing(row: Row) -> None:
    """§3: "It MUST NOT advertise the capability with a notification"."""
    ladder = childless(Childless.ALLOW, Childless.NEVER, row)
    assert announced(ladder) is None
    assert ladder.left.installed
    assert ladder.right.installed


@pytest.mark.parametrize("left", [Childless.PREFER, Childless.FORCE])
@pytest.mark.parametrize("right", [Childless.ALLOW, Childless.PREFER, Childless.FORCE])
def test_the_first_child_has_an_exchange_of_its_own(
    row: Row, left: Childless, right: Childless
) -> None:
    """§5: no SA and no traffic selectors in IKE_AUTH; the IKE SA stands before its first child."""
    ladder = childless(left, right, row)
    asked, answered = (host.said[1] for host in (ladder.left, ladder.right))
    assert not {"SA", "TSi", "TSr"} & set(asked.replace("[", " ").replace(",", " ").split())
    assert not {"SA", "TSi", "TSr"} & set(answered.replace("[", " ").replace(",", " ").split())
    assert ladder.left.said[2].startswith("CREATE_CHILD_SA request 2")
    assert ladder.left.child.spi_in == ladder.right.child.spi_out
    assert ladder.left.child.local_ts == ladder.right.child.peer_ts
    assert not ladder.left.seen(ChildFailed)
    assert not ladder.right.seen(ChildFailed)


def test_addresses_are_asked_for_without_a_child(row: Row) -> None:
    """§5: "[CP(CFG_REQUEST)]" stays in the request, and its reply in the response."""
    ladder = row.psk(CLIENT | {"childless": Childless.FORCE}, dict(GATEWAY), pools={"staff": POOL})
    ladder.connect()
    (here,), (there,) = ladder.left.established, ladder.right.established
    assert here.virtual_ips == there.virtual_ips
    lent = {selector.start for selector in ladder.left.child.local_ts}
    assert lent == set(here.virtual_ips)
    assert ladder.left.installs[0].virtual_ips == here.virtual_ips


def test_addresses_that_do_not_come_cost_the_child(row: Row) -> None:
    """§2.19 of RFC 7296: without its address the client has no use for a tunnel."""
    ladder = row.psk(CLIENT | {"childless": Childless.FORCE}, {"peer_ts": (), "local_ts": ()})
    ladder.connect()
    assert ladder.left.established
    assert not ladder.left.installed
    assert ladder.left.seen(ChildFailed)


def test_a_responder_that_cannot_is_not_forced(row: Row) -> None:
    """§3: "MUST NOT send the modified IKE_AUTH request if the notification was not present"."""
    ladder = childless(Childless.FORCE, Childless.NEVER, row)
    assert [line for line in ladder.left.said if line.startswith("IKE_AUTH")] == []
    ladder.wait(5)
    assert not ladder.left.states
    assert "without a Child SA" in ladder.left.ends[0].reason


def test_a_responder_that_cannot_gets_a_child_where_we_only_prefer(row: Row) -> None:
    """§3: the initiator MAY; it need not."""
    ladder = childless(Childless.PREFER, Childless.NEVER, row)
    assert "TSi" in ladder.left.said[1]
    assert ladder.left.child.spi_in == ladder.right.child.spi_out


def test_a_responder_that_shall_not_refuses_a_request_without_a_child(row: Row) -> None:
    """§3: "it SHOULD reply with an INVALID_SYNTAX Notify payload"."""
    ladder = row.psk(right={"childless": Childless.NEVER})
    edited(ladder, without_child, ExchangeType.IKE_AUTH, ladder.left)
    ladder.connect()
    assert ladder.right.refusals == ["INVALID_SYNTAX"]
    assert not ladder.right.established


def test_half_a_child_is_none(row: Row) -> None:
    """§5: SA and both traffic selectors are there, or none of them."""
    ladder = row.psk()
    edited(
        ladder,
        lambda payloads: tuple(p for p in payloads if not isinstance(p, TsI)),
        ExchangeType.IKE_AUTH,
        ladder.left,
    )
    ladder.connect()
    assert ladder.right.refusals == ["INVALID_SYNTAX"]


def test_who_has_to_be_asked_without_a_child_says_not_now(row: Row) -> None:
    """§3: the answer to a usual request is a usual one; the child has an exchange of its own."""
    ladder = childless(Childless.ALLOW, Childless.FORCE, row)
    assert ladder.left.established
    assert ladder.right.established
    assert "N(TEMPORARY_FAILURE)" in ladder.right.said[1]
    assert ladder.left.said[2].startswith("CREATE_CHILD_SA request 2")
    assert ladder.left.child.spi_in == ladder.right.child.spi_out
    assert not ladder.left.seen(ChildFailed)
    assert not ladder.right.seen(ChildFailed)


def test_not_now_comes_with_the_addresses(row: Row) -> None:
    """§5: "[CP(CFG_REPLY)]" is in IKE_AUTH, and no exchange after it has one."""
    left, right = CLIENT, GATEWAY | {"childless": Childless.FORCE}
    ladder = row.psk(dict(left), dict(right), pools={"staff": POOL})
    ladder.connect()
    assert "N(TEMPORARY_FAILURE)" in ladder.right.said[1]
    (here,), (there,) = ladder.left.established, ladder.right.established
    assert here.virtual_ips == there.virtual_ips
    lent = {selector.start for selector in ladder.left.child.local_ts}
    assert lent == set(here.virtual_ips)


def without_child(payloads):  # type: ignore[no-untyped-def]
    """Leave out what a childless request does not have."""
    kinds = (SecurityAssociation, TsI)
    return tuple(p for p in payloads if not isinstance(p, kinds) and type(p).__name__ != "TsR")

# SPDX-License-Identifier: Apache-2.0
"""RFC 5685: a gateway sends its client elsewhere, and nobody else does."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.ike.exchanges import informational
from ikeway.ike.features import redirect
from ikeway.ike.io import CheckLiveness, Initiate, Rekey, SendAway
from ikeway.ike.reports import MessageSent, SentAway
from ikeway.ike.states import Established
from ikeway.ike.trail import PERIOD, REDIRECTS_MOST, Trail
from ikeway.model.address import IKE_PORT, Address, Endpoint
from ikeway.model.errors import MalformedError
from ikeway.policy.connection import Gateway, Redirects
from ikeway.policy.credentials import IdPattern
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import Nonce, Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

FOLLOWS: dict[str, object] = {"redirect": Redirects.ALLOW}
ELSEWHERE = ip_address("203.0.113.77")
GATEWAYS: tuple[Gateway, ...] = (ELSEWHERE, ip_address("2001:db8::77"), "gw2.example.com")
pytestmark = pytest.mark.conformance("CF-W08")


def said(host: Host, kind: NotifyType) -> list[Notify]:
    """The notifies of a kind that a host sent in its IKE_SA_INIT messages."""
    return [n for message in messages(host) for n in message.all(Notify) if n.type is kind]


def messages(host: Host) -> list[Message]:
    return [event.message for event in host.events if isinstance(event, MessageSent)]


def follow(ladder: Ladder) -> bytes:
    """Do what the daemon does with the last redirect; the right host is the other gateway too."""
    order = ladder.left.redirects[-1]
    local, peer = (Endpoint(address, IKE_PORT) for address in ladder.addresses)
    command = Initiate(order.connection, local, peer, order.wish, order.trail, order.replaces)
    spi, actions = ladder.left.endpoint.initiate(command, ladder.now)
    ladder.perform(ladder.left, actions)
    return spi


def answer(ladder: Ladder, *notifies: Notify) -> bytes:
    """What anybody may answer to the last IKE_SA_INIT request of the left host."""
    asked = messages(ladder.left)[-1].header
    return Message(replace(asked, flags=Flags.RESPONSE), notifies).encode()


def nonce(ladder: Ladder) -> bytes:
    body = messages(ladder.left)[-1].one(Nonce)
    assert body is not None
    return body.data


def sent_to(gateway: Gateway, with_nonce: bytes = b"") -> Notify:
    return Notify(NotifyType.REDIRECT, redirect.data(gateway, with_nonce))


# IKE_SA_INIT --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_client_that_follows_is_sent_elsewhere_before_anything_is_computed(
    row: Row, gateway: Gateway
) -> None:
    """§3: "includes information about the selected VPN gateway and the nonce data"; no IKE SA."""
    ladder = row.psk(FOLLOWS, {"redirect_to": gateway})
    ladder.connect()
    assert said(ladder.left, NotifyType.REDIRECT_SUPPORTED)
    assert ladder.right.refusals == ["REDIRECT"]
    assert not ladder.right.endpoint.sas
    assert not ladder.left.endpoint.sas
    (order,) = ladder.left.redirects
    assert order.gateway == gateway
    assert not ladder.left.ends[-1].is_failure


def test_it_says_there_who_sent_it(row: Row) -> None:
    """§3: "the client MUST include the REDIRECTED_FROM payload"; it follows from there on too."""
    ladder = row.psk(FOLLOWS, {"redirect_to": ELSEWHERE})
    ladder.connect()
    follow(ladder)
    (notify,) = said(ladder.left, NotifyType.REDIRECTED_FROM)
    assert redirect.read(notify.data) == (ladder.left.redirects[0].trail.origin, b"")
    assert ladder.left.redirects[0].trail.origin is not None
    ladder.settle()
    assert len(ladder.left.redirects) == 2


def test_there_it_is_served_as_anywhere(row: Row) -> None:
    ladder = row.psk(FOLLOWS)
    ladder.initiate()
    ladder.wire.clear()
    ladder.arrive(ladder.left, answer(ladder, sent_to(ELSEWHERE, nonce(ladder))))
    follow(ladder)
    ladder.settle()
    assert ladder.left.child.spi_in == ladder.right.child.spi_out


def test_a_client_that_says_nothing_is_served(row: Row) -> None:
    """§3: "the responder MUST NOT send the REDIRECT payload"."""
    ladder = row.psk(None, {"redirect_to": ELSEWHERE})
    ladder.connect()
    assert not said(ladder.left, NotifyType.REDIRECT_SUPPORTED)
    assert ladder.left.established
    assert not ladder.left.redirects


def test_a_gateway_sends_nobody_to_where_he_is(row: Row) -> None:
    ladder = row.psk(FOLLOWS, {"redirect_to": row.addresses[1]})
    ladder.connect()
    assert ladder.left.established


# Attacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [b"", bytes(32), b"\1" * 16])
def test_without_our_nonce_it_is_dropped_in_silence(row: Row, wrong: bytes) -> None:
    """§3: "MUST silently discard the response (and keep waiting for another response)"."""
    ladder = row.psk(FOLLOWS)
    ladder.initiate()
    before = len(ladder.sent)
    ladder.arrive(ladder.left, answer(ladder, sent_to(ELSEWHERE, wrong)))
    assert not ladder.left.redirects
    assert len(ladder.sent) == before
    ladder.settle()
    assert ladder.left.established


def test_who_does_not_follow_is_not_led(row: Row) -> None:
    ladder = row.psk()
    ladder.initiate()
    ladder.arrive(ladder.left, answer(ladder, sent_to(ELSEWHERE, nonce(ladder))))
    assert not ladder.left.redirects
    ladder.settle()
    assert ladder.left.established


def test_a_redirect_to_itself_leads_nowhere(row: Row) -> None:
    ladder = row.psk(FOLLOWS)
    ladder.initiate()
    here = ladder.left.endpoint.sas[0].state.link.peer.address  # type: ignore[union-attr]
    ladder.arrive(ladder.left, answer(ladder, sent_to(here, nonce(ladder))))
    assert not ladder.left.redirects
    ladder.settle()
    assert ladder.left.established


def test_a_loop_ends(row: Row) -> None:
    """§7: no "more than a certain number of redirects [...] within a short time period"."""
    ladder = row.psk(FOLLOWS, {"redirect_to": ELSEWHERE})
    ladder.connect()
    for _ in range(20):
        if ladder.left.endpoint.sas:
            break
        follow(ladder)
        ladder.settle()
    assert len(ladder.left.redirects) == REDIRECTS_MOST
    ladder.wait(120.0)
    assert not ladder.left.endpoint.sas
    assert ladder.left.ends[-1].is_failure


def test_after_a_while_redirects_count_anew() -> None:
    trail = Trail()
    here: Address = ip_address("192.0.2.1")
    for number in range(REDIRECTS_MOST):
        trail = trail.after(here, float(number))
    with pytest.raises(MalformedError):
        trail.after(here, 10.0)
    assert trail.after(here, PERIOD).times == (1.0, 2.0, 3.0, 4.0, PERIOD)


def test_whoever_is_there_has_to_prove_the_same_identity(row: Row) -> None:
    """§3: "MUST NOT result in the modification of any PAD or SPD entries"."""
    ladder = row.psk(FOLLOWS | {"peer_id": IdPattern("the-real-gateway.example")})
    ladder.initiate()
    ladder.wire.clear()
    ladder.arrive(ladder.left, answer(ladder, sent_to(ELSEWHERE, nonce(ladder))))
    assert ladder.left.redirects[0].connection == ladder.left.endpoint.env.connections[0]
    follow(ladder)
    ladder.settle()
    assert not ladder.left.established


def test_after_a_real_answer_no_forged_redirect_counts(row: Row) -> None:
    ladder = row.psk(FOLLOWS)
    ladder.initiate()
    forged = answer(ladder, sent_to(ELSEWHERE, nonce(ladder)))
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    ladder.arrive(ladder.left, forged)
    ladder.settle()
    assert not ladder.left.redirects
    assert ladder.left.established


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\1",
        b"\1\4\1\2",
        b"\1\5\1\2\3\4\5",
        b"\2\4\1\2\3\4",
        b"\3\0",
        b"\3\5a\0b;c",
        b"\4\2ab",
        b"\3\3.ab",
        b"\3\x02-a",
    ],
)
def test_what_names_no_gateway_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedError):
        redirect.read(octets)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_gateway_comes_back_as_it_was_written(gateway: Gateway) -> None:
    assert redirect.read(redirect.data(gateway, bytes(16))) == (gateway, bytes(16))


# IKE_AUTH -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("certificates", [False, True])
def test_a_gateway_that_knows_its_client_sends_it_elsewhere(row: Row, certificates: bool) -> None:
    """§6: both verify AUTH; there is no Child SA, and the client deletes the IKE SA."""
    make = row.certificates if certificates else row.psk
    ladder = make(FOLLOWS, {"redirect_to": ELSEWHERE})
    env = ladder.right.endpoint.env
    other = replace(env.connections[0], name="other", peer_id=IdPattern("x.y"), redirect_to=None)
    ladder.right.endpoint.env = replace(env, connections=(*env.connections, other))
    ladder.connect()
    ladder.settle()
    (order,) = ladder.left.redirects
    assert order.gateway == ELSEWHERE
    assert "N(REDIRECT)" in [line for line in ladder.right.said if "IKE_AUTH" in line][-1]
    assert not ladder.left.installs
    assert not ladder.right.installs
    ladder.wait(60.0)
    assert not ladder.left.endpoint.sas
    assert not ladder.right.endpoint.sas


# While it is up -----------------------------------------------------------------------------------


def tell(ladder: Ladder, notify: Notify) -> None:
    """Let the right host say this on its only IKE SA."""
    (sa,) = (one for one in ladder.right.endpoint.sas if isinstance(one.state, Established))
    assert isinstance(sa.state, Established)
    sa._state = informational.ask(sa.state, (notify,))
    ladder.perform(ladder.right, ladder.right.endpoint.handle(sa.spi, CheckLiveness(), ladder.now))
    ladder.settle()


def test_a_client_moves_to_another_gateway_without_a_gap(row: Row) -> None:
    """§5: it answers, goes there, and deletes what it had."""
    ladder = row.psk(FOLLOWS)
    ladder.connect()
    old = ladder.left.endpoint.sas[0].spi
    tell(ladder, sent_to(ELSEWHERE))
    (order,) = ladder.left.redirects
    assert order.replaces == old
    assert ladder.left.established, "until the other one is up"
    new = follow(ladder)
    ladder.settle()
    ladder.wait(60.0)
    assert [sa.spi for sa in ladder.left.endpoint.sas] == [new]
    assert len(ladder.left.installed) == 1


@pytest.mark.parametrize(
    ("changes", "notify"),
    [
        ({}, sent_to(ELSEWHERE)),
        (FOLLOWS, sent_to(ELSEWHERE, bytes(32))),
        (FOLLOWS, Notify(NotifyType.REDIRECT, b"\3\0")),
    ],
)
def test_what_is_no_redirect_for_us_changes_nothing(
    row: Row, changes: dict[str, object], notify: Notify
) -> None:
    """§9.2: the nonce "MUST NOT be included" where the IKE SA protects it."""
    ladder = row.psk(changes)
    ladder.connect()
    tell(ladder, notify)
    assert not ladder.left.redirects
    assert ladder.left.established
    assert ExchangeType.INFORMATIONAL.name in ladder.left.said[-1], "it is answered all the same"


# Sending clients away -----------------------------------------------------------------------------


def send_away(ladder: Ladder, gateway: Gateway | None) -> None:
    """Let the gateway, the right host, send its only client elsewhere."""
    (sa,) = (one for one in ladder.right.endpoint.sas if isinstance(one.state, Established))
    order = SendAway(gateway)
    ladder.perform(ladder.right, ladder.right.endpoint.handle(sa.spi, order, ladder.now))
    ladder.settle()


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_client_that_is_up_is_sent_to_another_gateway(row: Row, gateway: Gateway) -> None:
    """§5: "the gateway should send an INFORMATIONAL message with the REDIRECT Notify payload"."""
    ladder = row.psk(FOLLOWS)
    ladder.connect()
    send_away(ladder, gateway)
    (order,) = ladder.left.redirects
    assert order.gateway == gateway
    assert [event.gateway for event in ladder.right.seen(SentAway)] == [str(gateway)]
    follow(ladder)
    ladder.settle()
    ladder.wait(5.0)
    assert len(ladder.left.endpoint.sas) == len(ladder.left.installed) == 1
    assert ladder.left.child.spi_in == ladder.right.child.spi_out


def test_nothing_is_said_twice(row: Row) -> None:
    ladder = row.psk(FOLLOWS)
    ladder.connect()
    for _ in range(3):
        send_away(ladder, ELSEWHERE)
    assert len(ladder.left.redirects) == 1


@pytest.mark.parametrize("rekeyed", [False, True])
def test_a_client_that_does_not_go_is_deleted_after_its_grace(row: Row, rekeyed: bool) -> None:
    """§5: "This time period should be configurable"; a rekeyed IKE SA is no way around it."""
    ladder = row.psk(FOLLOWS, {"redirect_grace": 20.0})
    ladder.connect()
    send_away(ladder, ELSEWHERE)
    if rekeyed:
        spi = ladder.left.endpoint.sas[0].spi
        ladder.perform(ladder.left, ladder.left.endpoint.handle(spi, Rekey(0), ladder.now))
    ladder.wait(19.0)
    assert ladder.left.established
    assert ladder.left.installed
    ladder.wait(3.0)
    assert not ladder.right.established
    assert not ladder.left.established
    assert ladder.right.ends[-1].reason == f"it was sent to {ELSEWHERE}, and did not go"


def test_a_client_may_stay_after_all(row: Row) -> None:
    ladder = row.psk(FOLLOWS | {"liveness": 1e5}, {"redirect_grace": 20.0, "liveness": 1e5})
    ladder.connect()
    send_away(ladder, ELSEWHERE)
    send_away(ladder, None)
    ladder.wait(100.0)
    assert ladder.left.established
    send_away(ladder, ELSEWHERE)
    assert len(ladder.left.redirects) == 2


@pytest.mark.parametrize("here", [False, True])
def test_who_cannot_be_sent_away_stays(row: Row, here: bool) -> None:
    """§3: only who said REDIRECT_SUPPORTED is sent a REDIRECT; and nobody to where he is."""
    ladder = row.psk(FOLLOWS if here else None)
    ladder.connect()
    send_away(ladder, row.addresses[1] if here else ELSEWHERE)
    assert "REDIRECT" not in " ".join(ladder.right.said)
    ladder.wait(100.0)
    assert ladder.right.established


def test_an_endless_row_of_redirects_is_not_followed(row: Row) -> None:
    ladder = row.psk(FOLLOWS)
    ladder.connect()
    for _ in range(2 * REDIRECTS_MOST):
        tell(ladder, sent_to(ELSEWHERE))
    assert len(ladder.left.redirects) == REDIRECTS_MOST
    assert ladder.left.established

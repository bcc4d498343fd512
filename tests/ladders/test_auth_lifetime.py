# SPDX-License-Identifier: Apache-2.0
"""RFC 4478: a gateway says how long proofs count, and its clients prove themselves anew in time."""

from dataclasses import replace

import pytest

from ikeway.ike import reports
from ikeway.ike.authenticity import announce
from ikeway.ike.features import auth_lifetime
from ikeway.ike.io import Datagram, Rekey
from ikeway.policy.connection import PeerAddress
from ikeway.policy.lifetimes import Lifetimes
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.eap_hosts import eap
from support.forge import edited, request, rewritten
from support.hosts import CLIENT, GATEWAY, GCM, POOL, Changes, Row
from support.ladder import Ladder
from support.shell import Host

REAUTH = 1000.0
LONG = Lifetimes(reauth=0.0, ike=1e6, child=1e6, jitter=0.0)
DUE = 940.0
"""A minute sooner than what the gateway lets."""
SAID = "N(AUTH_LIFETIME)"


def client(row: Row) -> Changes:
    there = {"peer": PeerAddress.parse(str(row.addresses[1]))}
    return {"lifetimes": LONG, "liveness": 1e6, **there, **CLIENT}


def gateway(reauth: float = REAUTH) -> Changes:
    return {"lifetimes": replace(LONG, reauth=reauth), "liveness": 1e6, **GATEWAY}


def road(row: Row = GCM, left: Changes | None = None, right: Changes | None = None) -> Ladder:
    """Return a client that knows nothing of a limit, and a gateway that has one."""
    ladder = row.psk(client(row) | (left or {}), gateway() | (right or {}), {"staff": POOL})
    ladder.connect()
    return ladder


def anew(ladder: Ladder) -> int:
    return len(ladder.left.seen(reports.Reauthenticating))


def silent(ladder: Ladder) -> None:
    """Let the client's next IKE SAs come to nothing, as those of one that does not know how."""

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        header = Message.decode(datagram.octets).header
        is_new = header.exchange is ExchangeType.IKE_SA_INIT
        return [] if host is ladder.left and is_new else [datagram]

    ladder.fate = fate


# The gateway says it, the client obeys ------------------------------------------------------------


def test_a_client_proves_itself_anew_within_the_time_that_it_is_told(row: Row) -> None:
    """§2: "An Initiator that received an AUTH_LIFETIME notification SHOULD repeat the Initial
    exchange within the time indicated in the notification"; the old IKE SA goes thereafter.
    """
    ladder = road(row)
    assert SAID in ladder.right.said[-1]
    before = ladder.left.established[0].virtual_ips
    ladder.wait(DUE - 1)
    assert not anew(ladder)
    ladder.wait(2)
    assert anew(ladder) == 1
    agree(ladder)
    assert len(ladder.left.established) == len(ladder.right.established) == 1
    assert ladder.left.established[0].virtual_ips == before


def test_at_every_moment_there_is_a_way_for_traffic() -> None:
    ladder = road()

    def fate(_host: Host, datagram: Datagram) -> list[Datagram]:
        left, right = ladder.left.installed, ladder.right.installed
        assert any(child.spi_out in right for child in left.values())
        assert any(child.spi_out in left for child in right.values())
        return [datagram]

    ladder.fate = fate
    ladder.wait(10 * REAUTH)
    assert anew(ladder) == 10
    agree(ladder)


def test_it_is_said_once_eap_is_over() -> None:
    """§2: "either in the last message of an IKE_AUTH exchange, or in an INFORMATIONAL request"."""
    ladder = eap(left=client(GCM), right=gateway())
    ladder.connect()
    said = [one for one in ladder.right.said if SAID in one]
    assert said == [ladder.right.said[-1]]
    ladder.wait(DUE + 1)
    assert anew(ladder) == 1
    agree(ladder)


def test_a_gateway_without_a_limit_says_nothing() -> None:
    ladder = road(right=gateway(0.0))
    assert SAID not in " ".join(ladder.right.said)
    ladder.wait(20_000)
    assert not anew(ladder)


def test_a_gateway_that_can_start_itself_does_so(row: Row) -> None:
    """Between equals nobody has to be told: who has the limit renews."""
    here, there = (PeerAddress.parse(str(one)) for one in row.addresses)
    limits: Changes = {"lifetimes": replace(LONG, reauth=REAUTH), "liveness": 1e6}
    left: Changes = {"lifetimes": LONG, "liveness": 1e6, "peer": there}
    ladder = row.psk(left, limits | {"peer": here})
    ladder.connect()
    assert SAID not in " ".join(ladder.right.said)


def test_a_rekey_does_not_change_the_time() -> None:
    """§2: "If the IKE SA is rekeyed, then the time limit applies to the new SA", at both ends."""
    ladder = road()
    for side in (ladder.left, ladder.right):
        ladder.wait(100)
        ladder.perform(side, side.endpoint.handle(side.endpoint.sas[0].spi, Rekey(), ladder.now))
        ladder.settle()
    ladder.wait(DUE - 201)
    assert not anew(ladder)
    ladder.wait(3)
    assert anew(ladder) == 1


def test_what_is_stricter_counts() -> None:
    """§5: the notification "does not override any security policy on the Initiator"."""
    ladder = road(left={"lifetimes": replace(LONG, reauth=300.0)})
    ladder.wait(301)
    assert anew(ladder) == 1
    lax = road(left={"lifetimes": replace(LONG, reauth=5000.0)})
    lax.wait(DUE + 1)
    assert anew(lax) == 1


# Who does not obey --------------------------------------------------------------------------------


def test_a_client_that_does_not_is_told_once_more_and_then_let_go(row: Row) -> None:
    """§2: the responder "SHOULD send a DELETE notification soon after the end of the lifetime"; a
    zero in INFORMATIONAL goes before, with "a reasonable time for the repeated authentication".
    """
    ladder = road(row)
    silent(ladder)
    ladder.wait(REAUTH - 1)
    assert not any(one.startswith("INFORMATIONAL") for one in ladder.right.said)
    ladder.wait(2)
    assert ladder.right.said[-1].startswith(f"INFORMATIONAL request 0 [{SAID}]")
    ladder.wait(120)
    assert ladder.right.established
    ladder.wait(20)
    assert not ladder.right.states
    assert "not proven anew in time" in ladder.right.ends[-1].reason
    assert not ladder.left.established


def test_a_client_without_the_rfc_loses_the_sa_at_the_same_time() -> None:
    """§4: "implementations that do not support ... will ignore it"; Delete does the rest."""
    ladder = road()

    def deaf(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        kind = NotifyType.AUTH_LIFETIME
        return tuple(b for b in payloads if not (isinstance(b, Notify) and b.type is kind))

    edited(ladder, deaf, ExchangeType.INFORMATIONAL, ladder.right)
    silent(ladder)
    ladder.wait(REAUTH * 1.1 + 40)
    assert not ladder.right.states


# At any time --------------------------------------------------------------------------------------


def told(ladder: Ladder, seconds: float) -> None:
    """Let the gateway say it in an INFORMATIONAL request."""
    said = auth_lifetime.notify(seconds)
    ladder.deliver(ladder.left, request(ladder, ladder.right, (said,)))


@pytest.mark.parametrize(("seconds", "after"), [(0.0, 1.0), (100.0, 91.0)])
def test_an_informational_request_may_say_it_too(row: Row, seconds: float, after: float) -> None:
    """§3: "A zero value signifies that the Initial exchange should begin immediately"."""
    ladder = road(row, right=gateway(0.0))
    ladder.wait(10)
    told(ladder, seconds)
    ladder.wait(after)
    assert anew(ladder) == 1
    assert len(ladder.left.established) == 1


def test_a_gateway_cannot_make_us_begin_over_and_over() -> None:
    """§5: "An Initiator MAY set reasonable limits on the amount of time"."""
    ladder = road(right=gateway(0.0))
    told(ladder, 0.0)
    ladder.wait(2)
    assert not anew(ladder)
    ladder.wait(5)
    assert anew(ladder) == 1


def test_what_is_longer_than_before_changes_nothing() -> None:
    """A gateway cannot lift our own limit, nor what it has said, by saying more."""
    ladder = road()
    told(ladder, 1e6)
    ladder.wait(DUE + 1)
    assert anew(ladder) == 1


@pytest.mark.parametrize("octets", [b"", b"\0\0\0", bytes(8)])
def test_a_notify_of_another_length_says_nothing(octets: bytes) -> None:
    """§3: "Payload Length is 12"."""
    ladder = road(right=gateway(0.0))
    said = Notify(NotifyType.AUTH_LIFETIME, octets)
    ladder.deliver(ladder.left, request(ladder, ladder.right, (said,)))
    ladder.wait(3000)
    assert not anew(ladder)


def test_a_client_cannot_say_it_to_its_gateway() -> None:
    """§2: it is the original responder's to say."""
    ladder = road(right={"peer": PeerAddress.parse("192.0.2.1"), "pool": None})
    ladder.deliver(ladder.right, request(ladder, ladder.left, (auth_lifetime.notify(0.0),)))
    ladder.wait(100)
    assert not ladder.right.seen(reports.Reauthenticating)


def test_it_must_be_protected() -> None:
    """§2: "The AUTH_LIFETIME notification MUST be protected": in IKE_SA_INIT it says nothing."""
    ladder = GCM.psk(client(GCM), gateway(0.0), {"staff": POOL})
    said = auth_lifetime.notify(0.0)
    rewritten(
        ladder,
        lambda message: replace(message, payloads=(*message.payloads, said)),
        ladder.right,
    )
    ladder.connect()
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(100)
    assert not anew(ladder)


def test_who_resumes_has_what_is_left_of_its_time() -> None:
    """RFC 5723 §4.3.3 proves nobody anew: what was proven then ends when it would have."""
    connection = GCM.connection("right.example", "left.example", **gateway())
    (said,) = announce(connection, proven=500.0, now=1100.0)
    assert int.from_bytes(said.data) == 400

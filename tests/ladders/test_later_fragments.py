# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.3.1, RFC 4301 §7.3: both sides agree to later fragments before either sends any."""

import pytest

from ikeway.ike.io import Rekey
from ikeway.ike.states import Established
from ikeway.model.esp import Mode
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.forge import edited
from support.hosts import Changes, Row, template
from support.ladder import Ladder
from support.shell import Host

AUTH, CREATE = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
ALSO = NotifyType.NON_FIRST_FRAGMENTS_ALSO
PLAIN: Changes = {}
OFF: Changes = {"later_fragments": False}


def ports(protocol: int = 17, ports: tuple[int, int] = (53, 53)) -> tuple[Changes, Changes]:
    """Return two hosts of which the right one has a server."""
    client, server = template("10.1.0.0/16", protocol), template("10.2.0.0/16", protocol, ports)
    return (
        {"local_ts": (client,), "peer_ts": (server,)},
        {"local_ts": (server,), "peer_ts": (client,)},
    )


def up(row: Row, left: Changes = PLAIN, right: Changes = PLAIN) -> Ladder:
    one, two = ports()
    ladder = row.psk(one | left, two | right)
    ladder.connect()
    return ladder


def said(host: Host) -> int:
    return sum(f"N({ALSO.name})" in what for what in host.said)


def follows(ladder: Ladder) -> tuple[bool, bool]:
    return ladder.left.child.later_fragments, ladder.right.child.later_fragments


def rekey(ladder: Ladder, host: Host, spi: int) -> None:
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))
    ladder.wait(2)


@pytest.mark.conformance("CF-A15")
def test_a_child_for_ports_asks_for_later_fragments(row: Row) -> None:
    """RFC 4301 §7.3: whoever "will transmit non-initial fragments on a tunnel mode SA that makes
    use of non-trivial port" selectors "MUST notify a peer".
    """
    ladder = up(row)
    agree(ladder)
    assert follows(ladder) == (True, True)
    assert (said(ladder.left), said(ladder.right)) == (1, 1)


@pytest.mark.conformance("CF-A15")
def test_who_does_not_want_them_omits_the_notify(row: Row) -> None:
    """§1.3.1: "it only omits NON_FIRST_FRAGMENTS_ALSO notification from its response, but does not
    reject the whole Child SA creation".
    """
    ladder = up(row, right=OFF)
    agree(ladder)
    assert follows(ladder) == (False, False)
    assert (said(ladder.left), said(ladder.right)) == (1, 0)


@pytest.mark.conformance("CF-A15")
def test_who_was_not_asked_does_not_answer(row: Row) -> None:
    """§1.3.1: "It is enabled only if" it "is included in both the request […] and the response"."""
    ladder = up(row, left=OFF)
    agree(ladder)
    assert follows(ladder) == (False, False)
    assert (said(ladder.left), said(ladder.right)) == (0, 0)


@pytest.mark.conformance("CF-A15")
@pytest.mark.parametrize("exchange", [AUTH, CREATE])
def test_an_answer_to_what_was_not_asked_enables_nothing(row: Row, exchange: ExchangeType) -> None:
    one, two = ports()
    ladder = row.psk(one | OFF, two)

    def grant(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (Notify(ALSO), *payloads)

    edited(ladder, grant, exchange, ladder.right)
    ladder.connect()
    if exchange is CREATE:
        rekey(ladder, ladder.left, ladder.left.child.spi_in)
    agree(ladder)
    assert follows(ladder) == (False, False)


def test_a_rekey_agrees_anew(row: Row) -> None:
    """RFC 7296 §2.8: "The new Child SA" has what its own exchange says."""
    ladder = up(row)
    for host in (ladder.left, ladder.right):
        rekey(ladder, host, host.child.spi_in)
        agree(ladder)
        assert follows(ladder) == (True, True)


@pytest.mark.conformance("CF-A15")
def test_a_child_for_all_ports_asks_as_the_peer_may_narrow_it_to_certain_ones(row: Row) -> None:
    """RFC 7296 §2.9: "The responder is allowed to narrow the choices"; then §7.3 of RFC 4301 asks
    for what was said in the request.
    """
    _, server = ports()
    ladder = row.psk(right=server)
    ladder.connect()
    agree(ladder)
    assert ladder.left.child.tells_ports_apart
    assert follows(ladder) == (True, True)
    assert (said(ladder.left), said(ladder.right)) == (1, 1)


def test_who_follows_none_agrees_where_all_are_carried(row: Row) -> None:
    """RFC 4301 §7.1: an SA for all ports carries "all traffic including initial and non-initial
    fragments", so that nothing has to be followed.
    """
    ladder = row.psk(right=OFF)
    ladder.connect()
    assert (said(ladder.left), said(ladder.right)) == (1, 1)
    rekey(ladder, ladder.left, ladder.left.child.spi_in)
    assert (said(ladder.left), said(ladder.right)) == (2, 2)


def test_transport_mode_has_no_fragments(row: Row) -> None:
    """RFC 4301 §4.1: transport mode SAs "do not carry fragments"."""
    hosts: Changes = {
        "mode": Mode.TRANSPORT,
        "local_ts": (template("dynamic", 17, (53, 53)),),
        "peer_ts": (template("dynamic", 17, (53, 53)),),
    }
    ladder = row.psk(hosts, hosts)
    ladder.connect()
    assert said(ladder.left) == said(ladder.right) == 0

# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.3.1, RFC 4303 §2.7: padding and dummies, where the peer can take them."""

import pytest

from ikeway.ike.io import Rekey
from ikeway.ike.states import Established
from ikeway.model.traffic_flow import OPEN, PAD_TO_MTU, Dummies, TrafficFlow
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.forge import edited
from support.hosts import Changes, Row
from support.ladder import Ladder

AUTH, CREATE = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
HIDDEN = TrafficFlow(PAD_TO_MTU, Dummies(5.0))
LEFT: Changes = {"traffic_flow": HIDDEN}
RIGHT: Changes = {"traffic_flow": TrafficFlow(600)}


def declining(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return (Notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED), *payloads)


def rekey(ladder: Ladder, spi: int) -> None:
    host = ladder.left
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))
    ladder.wait(2)


@pytest.mark.conformance("CF-U13")
def test_each_side_hides_what_it_is_told_to_hide(row: Row) -> None:
    """RFC 4303 §2.7: it is the sender's affair; a rekeyed child hides as the one before."""
    ladder = row.psk(LEFT, RIGHT)
    ladder.connect()
    for _ in range(2):
        assert ladder.left.child.traffic_flow == HIDDEN
        assert ladder.right.child.traffic_flow == TrafficFlow(600)
        rekey(ladder, ladder.left.child.spi_in)


@pytest.mark.conformance("CF-A14", "CF-U13")
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_peer_that_does_not_take_padding_gets_none(row: Row, side: str) -> None:
    """§1.3.1: "the sending endpoint will not accept packets that contain ... (TFC) padding over the
    Child SA being negotiated"."""
    ladder = row.psk(LEFT, LEFT)
    edited(ladder, declining, AUTH, getattr(ladder, side))
    ladder.connect()
    agree(ladder)
    flows = {"left": ladder.left.child.traffic_flow, "right": ladder.right.child.traffic_flow}
    assert flows[side] == HIDDEN, "the other one did not say so"
    del flows[side]
    assert list(flows.values()) == [OPEN]


@pytest.mark.conformance("CF-A14")
@pytest.mark.parametrize("side", ["left", "right"])
def test_what_counts_is_what_was_said_of_the_child_itself(row: Row, side: str) -> None:
    """§1.3.1: it is said of "the Child SA being negotiated": the next one may be otherwise."""
    ladder = row.psk(LEFT, LEFT)
    ladder.connect()
    edited(ladder, declining, CREATE, getattr(ladder, side))
    rekey(ladder, ladder.left.child.spi_in)
    agree(ladder)
    assert getattr(ladder, side).child.traffic_flow == HIDDEN
    other = "right" if side == "left" else "left"
    assert getattr(ladder, other).child.traffic_flow == OPEN

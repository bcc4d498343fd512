# SPDX-License-Identifier: Apache-2.0
"""AH agreed on with strongSwan, and carried by the Linux kernel on its side (RFC 4302)."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.guest import Guest, GuestPair
from support.pair import Case
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

PATIENCE = 10.0


def case(mode: str, words: str) -> Case:
    """Return both ends with one proposal for AH."""
    ours: dict[str, object] = {"ah": [words], "esp": None, "mode": mode}
    child: dict[str, Any] = {"ah_proposals": words, "esp_proposals": None, "mode": mode}
    if mode == "transport":
        ours |= {"local_ts": ["dynamic"], "peer_ts": ["dynamic"]}
        child |= {"local_ts": None, "remote_ts": None}
    swanctl = {"connections": {"lab": {"children": {"net": child}}}}
    return Case(ikeway=ours, swanctl=swanctl)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What ends with the test."""
    with ExitStack() as entered:
        yield entered


@pytest.mark.conformance("CF-A18", "CF-K07")
@pytest.mark.parametrize(
    ("mode", "words"), [("tunnel", "sha256-esn"), ("transport", "sha512-noesn")]
)
def test_strongswan(
    guest: Guest,
    tmp_path_factory: pytest.TempPathFactory,
    role: str,
    stack: ExitStack,
    mode: str,
    words: str,
) -> None:
    """Negotiated in IKE_AUTH, rekeyed in CREATE_CHILD_SA, and the old one deleted (§3.11)."""
    pair = GuestPair(guest, tmp_path_factory.mktemp("t"), role, case(mode, words))
    stack.callback(pair.down)
    pair.up()
    pair.connect()
    outer = (pair.link.ours.outer, pair.link.peer.outer) if mode == "transport" else (None, None)
    pair.carry(*outer)
    (child,) = pair.ikeway.children()
    assert (child.mode, child.suite) == (mode, f"AH {words.removesuffix('-noesn')}")
    pair.strongswan.rekey("child")
    spi = child.spi_in
    wait_until(lambda: spi not in {c.spi_in for c in pair.ikeway.children()}, PATIENCE)
    wait_until(pair.is_up, PATIENCE, "the end of the old child")
    pair.carry(*outer)

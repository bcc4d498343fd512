# SPDX-License-Identifier: Apache-2.0
"""I5: the log stays readable, whoever sends whatever from wherever."""

import sys
from ipaddress import IPv4Address

from ikeway.ike.io import Report
from ikeway.ike.reports import Closed, Dropped, Pressed, RefusedRequest
from ikeway.model.address import Endpoint
from ikeway.runtime.story import LINES_A_SECOND, LINES_AT_ONCE, REMEMBERED_MOST, Quieter, tell


def dropped(source: int, reason: str = "garbage") -> Report:
    return Report(b"", Dropped(reason, Endpoint(IPv4Address(source), 500)))


def test_one_line_a_second_for_each_network_and_kind() -> None:
    quieter = Quieter()
    assert quieter.allows(dropped(0x0A000001), 100.0)
    assert not quieter.allows(dropped(0x0A000002), 100.5)
    assert quieter.allows(dropped(0x0A000001, "something else"), 100.5)
    assert quieter.allows(dropped(0x0A000101), 100.5)
    assert quieter.allows(dropped(0x0A000001), 101.1)


def test_fifty_thousand_sources_get_a_few_lines_together() -> None:
    quieter = Quieter()
    lines = sum(quieter.allows(dropped(n << 8), 100.0 + n / 50_000) for n in range(50_000))
    assert lines <= LINES_AT_ONCE + LINES_A_SECOND
    assert quieter.missing() == 50_000 - lines
    assert quieter.missing() == 0


def test_what_is_remembered_of_sources_has_a_bound() -> None:
    quieter = Quieter()
    for number in range(REMEMBERED_MOST * 3):
        quieter.allows(dropped(number << 8), 100.0 + number)
    assert len(quieter._last) == REMEMBERED_MOST
    assert sys.getsizeof(quieter._last) < 1 << 20


def test_refusals_are_kept_apart_by_what_they_are() -> None:
    quieter = Quieter()
    end = Endpoint(IPv4Address("192.0.2.1"), 500)
    refused = Report(b"", RefusedRequest("NO_PROPOSAL_CHOSEN", "why", end))
    assert quieter.allows(refused, 100.0)
    assert not quieter.allows(refused, 100.0)
    assert quieter.allows(Report(b"", Closed("a", "b", is_failure=True)), 100.0)


def test_an_attack_is_told_in_words() -> None:
    line = tell(Report(b"", Pressed((("a cookie", 12), ("a solved puzzle", 3)), 200)))
    assert line.level == "warning"
    assert line.text == "under pressure, asked 12 for a cookie, 3 for a solved puzzle"
    assert line.facts["half_open"] == 200

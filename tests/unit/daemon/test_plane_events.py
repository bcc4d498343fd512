# SPDX-License-Identifier: Apache-2.0
"""What the log says of what a data plane tells."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from ikeway.dataplane import BreakerTurned, PlaneEvent, StreamResized
from support.configured import PSK
from support.supervised import supervising, until

Line = dict[str, object]


def logged(folder: Path, event: PlaneEvent, word: str) -> Line:
    """Return the line about an event of the data plane."""

    async def run() -> Line:
        with capture_logs() as lines:
            async with supervising(folder, PSK) as one:
                one.plane._events.put_nowait(event)
                await until(lambda: any(word in str(line["event"]) for line in lines), word)
        return dict(next(line for line in lines if word in str(line["event"])))

    return asyncio.run(run())


def test_an_open_breaker_is_a_warning_with_what_was_measured(tmp_path: Path) -> None:
    """RFC 8084 §4, 14: "The measurements that lead to triggering of the
    CB SHOULD also be logged"."""
    event = BreakerTurned(0xC0000001, is_open=True, lost=0.4816, per_second=89.2857)
    assert logged(tmp_path, event, "circuit breaker") == {
        "event": "circuit breaker: 48% of the stream is lost; it falls to 89.29 packets a second",
        "log_level": "warning",
        "spi": "c0000001",
        "lost": 0.482,
        "per_second": 89.3,
    }


def test_a_breaker_that_closes_is_told_of(tmp_path: Path) -> None:
    event = BreakerTurned(0xC0000001, is_open=False, lost=0.0, per_second=892.857)
    line = logged(tmp_path, event, "circuit breaker")
    assert line["log_level"] == "info"
    assert "the path is good; the stream is at 892.9 packets a second" in str(line["event"])


def test_a_stream_of_another_size_is_told_of(tmp_path: Path) -> None:
    line = logged(tmp_path, StreamResized(0xC0000001, 900), "octets")
    assert line["event"] == "the stream's packets have 900 octets now"

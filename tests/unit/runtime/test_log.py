# SPDX-License-Identifier: Apache-2.0
"""Log lines: one a line whatever peers call themselves, for people or for programs."""

import io
import json
from collections.abc import Iterator
from datetime import datetime

import pytest
import structlog

from ikeway.runtime.log import Lines, LogFormat, LogLevel, plain, setup

EVIL = "a\nIKE SA established with root\x1b[2J\u202egood"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def written(form: LogFormat, level: LogLevel = LogLevel.INFO) -> io.StringIO:
    stream = io.StringIO()
    setup(form, level, stream)
    return stream


def test_a_line_of_text_has_time_level_words_and_facts() -> None:
    stream = written(LogFormat.TEXT)
    structlog.get_logger("ikeway").info("ready", listen="0.0.0.0, ::", count=3)
    time, rest = stream.getvalue().split(" ", maxsplit=1)
    datetime.strptime(time, "%H:%M:%S.%f").astimezone()
    assert rest == 'info    ready  listen="0.0.0.0, ::"  count=3\n'


def test_a_line_of_json_has_the_facts_beside_the_words() -> None:
    stream = written(LogFormat.JSON)
    structlog.get_logger("ikeway").warning("dropped", peer=EVIL, level="forged", n=1)
    line = json.loads(stream.getvalue())
    assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    assert line == {"level": "warning", "text": "dropped", "peer": EVIL, "n": 1}


@pytest.mark.parametrize("form", list(LogFormat))
def test_a_peer_cannot_forge_a_line_or_steer_the_terminal(form: LogFormat) -> None:
    stream = written(form)
    structlog.get_logger("ikeway").info(f"IKE SA closed: {EVIL}", peer=EVIL)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_lines_below_the_level_are_not_written() -> None:
    stream = written(LogFormat.TEXT, LogLevel.WARNING)
    log = structlog.get_logger("ikeway")
    log.info("nothing")
    assert stream.getvalue() == ""
    log.error("something")
    assert "something" in stream.getvalue()


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    Lines(stream).info("nobody reads this")


def test_text_of_every_script_stays_as_it_is() -> None:
    assert plain("Grüße 東京 vpn@example.com") == "Grüße 東京 vpn@example.com"
    assert plain("tab\there") == "tab\\there"

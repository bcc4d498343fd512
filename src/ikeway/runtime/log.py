# SPDX-License-Identifier: Apache-2.0
"""The log on standard error: a line of text for people, or an object of JSON for programs."""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, TextIO

Event = MutableMapping[str, Any]


class LogFormat(Enum):
    """How lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(Enum):
    """From which level on lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_COLOURS: Final = {"debug": "2", "warning": "33", "error": "31"}


def setup(form: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Send every structlog line from `level` on to a stream, by default standard error."""
    import structlog  # slow, and commands that only ask do not need it

    target = sys.stderr if stream is None else stream
    render = as_json if form is LogFormat.JSON else as_text(colour=target.isatty())
    structlog.configure(
        processors=[structlog.processors.add_log_level, _dated, render],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.name]
        ),
        logger_factory=lambda *_: Lines(target),
        cache_logger_on_first_use=False,
    )


class Lines:
    """Writes lines. A log that cannot be written, such as a closed pipe, stops nothing (I1)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """Write one line."""
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = line


def as_json(_logger: object, _method: str, event: Event) -> str:
    """Return a line as an object: `at`, `level` and `text`, and the facts beside them."""
    base = {"at": event.pop("at"), "level": event.pop("level"), "text": event.pop("event")}
    return json.dumps(base | {k: v for k, v in event.items() if k not in base}, default=str)


def as_text(*, colour: bool) -> Callable[[object, str, Event], str]:
    """Return a renderer of lines such as `12:30:01.250 info  ready  listen=0.0.0.0`."""

    def render(_logger: object, _method: str, event: Event) -> str:
        at = datetime.fromisoformat(event.pop("at"))
        level, text = event.pop("level"), event.pop("event")
        facts = "".join(f"  {key}={_quoted(value)}" for key, value in event.items())
        line = f"{at:%H:%M:%S}.{at.microsecond // 1000:03} {level:7} {plain(text)}{facts}"
        paint = _COLOURS.get(level) if colour else None
        return f"\x1b[{paint}m{line}\x1b[0m" if paint else line

    return render


def plain(text: object) -> str:
    """Return text without what could steer a terminal or forge a line: peers choose some of it."""
    words = str(text)
    if words.isprintable():
        return words
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in words
    )


def _quoted(value: object) -> str:
    text = plain(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def _dated(_logger: object, _method: str, event: Event) -> Event:
    event["at"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return event

# SPDX-License-Identifier: Apache-2.0
"""Puts what happens in words, for the log and for those who watch."""

import time
from collections.abc import AsyncIterator
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING
from typing import Final

from structlog.typing import FilteringBoundLogger

from ikeway.control.schema import EventLine
from ikeway.daemon.watchers import Watchers
from ikeway.ike.io import Report
from ikeway.ike.reports import Dropped, Pressed
from ikeway.runtime.story import Quieter, level, tell

_LEVELS: Final = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}


class Teller:
    """Tells of reports. Most are of messages, which nobody but a debugger wants to read."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._least = min(filter(log.is_enabled_for, _LEVELS.values()), default=CRITICAL)
        self._quieter = Quieter()
        self._watchers = Watchers()

    def watch(self) -> AsyncIterator[EventLine]:
        """Return what happens from now on."""
        return self._watchers.watch()

    def tell(self, report: Report) -> None:
        """Say what a report means, where anybody wants to know."""
        if _LEVELS[level(report.event)] >= self._least or self._watchers:
            self._say(report)

    def _say(self, report: Report) -> None:
        if not self._quieter.allows(report, time.monotonic()):
            return
        line = tell(report)
        facts = dict(line.facts)
        if isinstance(report.event, Dropped | Pressed) and (missing := self._quieter.missing()):
            facts["held_back"] = missing
        getattr(self._log, line.level)(line.text, **facts)
        if self._watchers:
            at = time.time()
            event = EventLine(
                at=at, level=line.level, event=line.event, text=line.text, facts=facts
            )
            self._watchers.tell(event)

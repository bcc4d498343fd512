# SPDX-License-Identifier: Apache-2.0
"""What operators and tests look in and reach in with, and what the log warns of because of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from ikeway.runtime.faults import Fault
from ikeway.runtime.keylog import KeyLog


@dataclass(frozen=True, slots=True)
class Instruments:
    """None of it is for every day."""

    key_log: KeyLog | None = None
    faults: tuple[Fault, ...] = ()

    def warnings(self) -> Iterator[tuple[str, dict[str, str | int]]]:
        """Return what to warn of, and the facts of it."""
        if self.key_log is not None:
            warning = "THE KEY LOG REVEALS ALL TRAFFIC: whoever reads it reads that, for ever"
            yield warning, {"keylog": str(self.key_log.folder)}
        if self.faults:
            warning = "FAULTS ARE BEING INJECTED: this daemon loses and corrupts what it handles"
            yield warning, {"rules": len(self.faults)}

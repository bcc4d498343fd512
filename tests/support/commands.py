# SPDX-License-Identifier: Apache-2.0
"""Commands as people type them: what they print, where, and with which exit status."""

import sys

import pytest

from ikeway.cli import main as program


class Ran:
    """What a command left behind."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


class Runner:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *words: object) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["ikeway", *map(str, words)])
        try:
            program.main()
            status: object = 0
        except SystemExit as error:
            status = error.code
        out, err = self._capfd.readouterr()
        return Ran(int(str(status or 0)), out, err)

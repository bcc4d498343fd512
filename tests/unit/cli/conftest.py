# SPDX-License-Identifier: Apache-2.0
"""The commands, run in this process."""

import pytest

from support.commands import Runner


@pytest.fixture
def ikeway(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.delenv("IKEWAY_RUN_DIR", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")
    return Runner(monkeypatch, capfd)

# SPDX-License-Identifier: Apache-2.0
"""The pages on states and exchanges say what the modules of the core say (house style §6)."""

import subprocess
import sys

from support.tracked import ROOT


def test_the_pages_are_as_the_modules_draw_them() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "ike_pages.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""

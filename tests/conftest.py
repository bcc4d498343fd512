# SPDX-License-Identifier: Apache-2.0
"""What every test may count on: Hypothesis without deadlines, and a reason for each skip."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline would measure the machine, not the code; CI repeats the same examples on each run.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# A job that a shell has put into the background ignores Ctrl-C, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def lab_folder() -> Path | None:
    """Return the folder with `peer-strongswan` and `labguest`, if this machine has it."""
    named = os.environ.get("IKEWAY_LAB", "")
    folder = (
        Path(named).resolve() if named else Path(__file__).resolve().parents[2] / "shared" / "lab"
    )
    return folder if (folder / "peer-strongswan").is_file() else None


def why_not_system() -> str | None:
    """Return why tests with namespaces cannot run here."""
    if os.geteuid() != 0:
        return "needs root, or a user namespace (make test-system makes one)"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    if shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        return "needs the ip command (iproute2)"
    return None


def why_not_interop() -> str | None:
    """Return why tests with real peers cannot run here."""
    if lab_folder() is None:
        return "needs a real peer: IKEWAY_LAB names the folder with peer-strongswan"
    if not Path("/proc/self/uid_map").read_text().split()[2].startswith("4294967295"):
        return "needs real root: the peers of the lab write to system folders"
    return why_not_system()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason."""
    reasons = {"system": why_not_system(), "interop": why_not_interop()}
    for item in items:
        for marker, reason in reasons.items():
            if reason is not None and item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def lab() -> Path:
    """The folder with `peer-strongswan` and `labguest`; only tests marked `interop` may ask."""
    folder = lab_folder()
    assert folder is not None, "a test that asks for the lab must be marked interop"
    return folder

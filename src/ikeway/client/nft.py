# SPDX-License-Identifier: Apache-2.0
"""The host's packet filter, by way of the `nft` program."""

import json
import shutil
import subprocess
from collections import Counter
from typing import Final

from ikeway.client.firewall import removal, ruleset, table
from ikeway.model.errors import HostError
from ikeway.runtime.network import Guard

_PLACES: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_PATIENCE: Final = 20.0


def enforce(guard: Guard) -> None:
    """Put the rules of these policies in the place of those before.

    Raises:
        HostError: nftables is not installed, or refuses.
    """
    _run(("-f", "-"), ruleset(guard))


def release(interface: str) -> None:
    """Take the rules of an interface away, if there are any.

    Raises:
        HostError: nftables refuses.
    """
    _run(("-f", "-"), removal(interface))


def dropped(interface: str) -> dict[str, int]:
    """Return how many packets went no further, by the name of their policy.

    Raises:
        HostError: nftables refuses.
    """
    listed = json.loads(_run(("-j", "list", "table", *table(interface).split()), ""))
    found: Counter[str] = Counter()
    for entry in listed["nftables"]:
        rule = entry.get("rule", {})
        if "comment" in rule:
            counters = (part["counter"] for part in rule["expr"] if "counter" in part)
            found[rule["comment"]] += sum(counter["packets"] for counter in counters)
    return dict(found)


def _run(arguments: tuple[str, ...], script: str) -> str:
    program = shutil.which("nft") or shutil.which("nft", path=_PLACES)
    if program is None:
        raise HostError(
            "policies need the program nft, which is not installed: install nftables, or take"
            " [policies] out and set protect = false in connections"
        )
    done = subprocess.run(  # noqa: S603 - names of interfaces and of policies have no blanks
        (program, *arguments),
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise HostError(f"nft: {words[0]}")
    return done.stdout

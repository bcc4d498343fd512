# SPDX-License-Identifier: Apache-2.0
"""Postquantum preshared keys, of hosts and of daemons."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ikeway.model.secret import Secret
from ikeway.policy.connection import UsePpk
from ikeway.policy.credentials import Ppk
from support.forge import session_of
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

KEY = Ppk(b"blue", Secret(b"k" * 32))
OTHER = Ppk(b"blue", Secret(b"x" * 32))
GREEN = Ppk(b"green", Secret(b"g" * 32))
OFF, PREFER, REQUIRE = UsePpk.OFF, UsePpk.PREFER, UsePpk.REQUIRE

INSISTENT = [
    ((REQUIRE, (KEY,)), (OFF, ())),
    ((OFF, ()), (REQUIRE, (KEY,))),
    ((REQUIRE, (KEY,)), (PREFER, (GREEN,))),
    ((PREFER, (KEY,)), (REQUIRE, (GREEN,))),
    ((REQUIRE, (KEY,)), (REQUIRE, (OTHER,))),
]
"""What each side wants and has, where nothing can come of it (RFC 8784 §3, table 1)."""


def pair(
    row: Row,
    auth: str,
    left: tuple[UsePpk, tuple[Ppk, ...]],
    right: tuple[UsePpk, tuple[Ppk, ...]],
    ppk_id: str = "blue",
) -> Ladder:
    ladder: Ladder = getattr(row, auth)({"ppk": left[0], "ppk_id": ppk_id}, {"ppk": right[0]})
    for host, (_, keys) in ((ladder.left, left), (ladder.right, right)):
        env = host.endpoint.env
        object.__setattr__(env, "credentials", replace(env.credentials, ppks=keys))
    return ladder


def name_in(host: Host) -> bytes | None:
    used = session_of(host).ppk
    return None if used is None else used.name


PPK: Final = "0123456789abcdef0123456789abcdef"
PEER: Final = f"blue:{PPK}"
"""What the tools that start peers take."""


def of_daemon(folder: Path, way: UsePpk = REQUIRE) -> dict[str, dict[str, Any]]:
    """Return the fields of a case in which ikeway has the key."""
    secret = folder / "ppk"
    secret.write_text(PPK)
    secret.chmod(0o600)
    return {
        "ikeway": {"ppk": way.value, "ppk_id": "blue"},
        "ikeway_top": {"credentials": {"secrets": [{"id": "blue", "ppk": f"file:{secret}"}]}},
    }

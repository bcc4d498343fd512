# SPDX-License-Identifier: Apache-2.0
"""The key log: writes the keys of every SA for a trace, as Wireshark's two tables.

Whoever has it reads all traffic of the SAs in it (RFC 7296 §2.14, §2.17). It exists only where an
operator asked for it on the command line.
"""

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.io import Action, Forget, InstallChild, Report, SetTimer
from ikeway.ike.session import Session
from ikeway.ike.states import Candidates, State
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa
from ikeway.trace.tables import ESP_TABLE, IKE_TABLE, esp_line, ike_line

_FLAGS: Final = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)

Complain = Callable[[str], None]


class KeyLog:
    """Both tables of one folder. One that cannot be written stops no SA: it is complained of."""

    def __init__(self, folder: Path) -> None:
        """Open both tables, for this user only.

        Raises:
            HostError: the folder or a table cannot be made, or belongs to somebody else.
        """
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"key log {folder}: {error.strerror}") from error
        self._ike = _open(folder / IKE_TABLE)
        self._esp = _open(folder / ESP_TABLE)
        self._written: dict[bytes, set[bytes]] = {}

    def close(self) -> None:
        """Close both tables."""
        os.close(self._ike)
        os.close(self._esp)

    def look(self, endpoint: IkeEndpoint, actions: tuple[Action, ...], complain: Complain) -> None:
        """Write the keys of all SAs that are new, after an input led to `actions`."""
        for action in actions:
            match action:
                case InstallChild(_, _, child):
                    self._child_sa(child, complain)
                case Forget(sa):
                    self._written.pop(sa, None)
                case Report(sa) | SetTimer(sa) if (found := endpoint.find(sa)) is not None:
                    for session in _sessions(found.state):
                        self._ike_sa(session, complain)
                case _:
                    pass

    def _child_sa(self, child: ChildSa, complain: Complain) -> None:
        version, suite = child.local.address.version, child.suite
        for spi, keys in ((child.spi_in, child.keys_in), (child.spi_out, child.keys_out)):
            _write(self._esp, partial(esp_line, version, spi, suite, keys), complain)

    def _ike_sa(self, session: Session, complain: Complain) -> None:
        keyring, link = session.keyring, session.link
        mark = link.spi_r + keyring.keys.sk_ei.octets[:8]
        known = self._written.setdefault(session.sa, set())
        if mark in known:
            return
        known.add(mark)
        suite = keyring.suite
        algorithms = (suite.encr, suite.key_bits, suite.integ)
        line = partial(ike_line, (link.spi_i, link.spi_r), algorithms, keyring.keys)
        _write(self._ike, line, complain)


def _sessions(state: State) -> Iterator[Session]:
    """Yield what has keys in a state: several, while several may be the peer (§2.4)."""
    holders = state.branches if isinstance(state, Candidates) else (state,)
    for holder in holders:
        session = getattr(holder, "session", None)
        if isinstance(session, Session):
            yield session


def _write(table: int, line: Callable[[], str], complain: Complain) -> None:
    try:
        os.write(table, f"{line()}\n".encode())
    except (OSError, LookupError) as error:
        complain(f"key log: {error}")


def _open(file: Path) -> int:
    """Open a table to append; never one that another user made, who could read it."""
    try:
        table = os.open(file, _FLAGS, 0o600)
    except OSError as error:
        raise HostError(f"key log {file}: {error.strerror}") from error
    found = os.fstat(table)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
        os.close(table)
        raise HostError(f"key log {file}: it is no file of ours alone")
    os.fchmod(table, 0o600)
    return table

# SPDX-License-Identifier: Apache-2.0
"""The undo journal: what has to be swept away if we end without doing it ourselves.

It is on disk before the first change, and covers all changes that follow: every rule and route of
ours bears the number of the table, and every address is on our own interface. So a gateway with
thousands of clients writes it once.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE: Final = Path("/proc/thread-self/ns/net")


@dataclass(frozen=True, slots=True)
class Undo:
    """All that is ours, and where: after a reboot, or elsewhere, it means nothing."""

    interface: str
    index: int
    table: int
    boot: str
    namespace: str

    @property
    def is_here(self) -> bool:
        """Whether this is still the machine and the namespace that it speaks of."""
        return (self.boot, self.namespace) == _here()


def undo_of(interface: str, index: int, table: int) -> Undo:
    """Return the entry for an interface of this namespace."""
    return Undo(interface, index, table, *_here())


def save(path: Path, undo: Undo) -> None:
    """Write the journal so that a crash leaves the old one or the new one, whole.

    Raises:
        OSError: the folder is not there, full, or not ours.
    """
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(undo), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(path.parent)


def load(path: Path) -> Undo | None:
    """Return what is to be undone; None if there is nothing or nothing that we understand."""
    try:
        return Undo(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def clear(path: Path) -> None:
    """Note that nothing is left to undo."""
    path.unlink(missing_ok=True)


def _here() -> tuple[str, str]:
    return _BOOT.read_text().strip(), str(_NAMESPACE.readlink())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

# SPDX-License-Identifier: Apache-2.0
"""Where the users are kept."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """An SQLite file, and the file of the key that its passwords are sealed with."""

    file: Path
    key: Path

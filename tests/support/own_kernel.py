# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel that runs the tests does ESP by itself."""

from pathlib import Path
from typing import Final

HAS_ESP: Final = any(
    line.startswith("esp4 ") for line in Path("/proc/modules").read_text().splitlines()
)
"""Its module is loaded, which is what `ikeway doctor` would ask for too."""

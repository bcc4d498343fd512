# SPDX-License-Identifier: Apache-2.0
"""Whether the kernel that runs the tests does ESP by itself."""

from pathlib import Path
from typing import Final

_MODULES: Final = Path("/proc/modules")

HAS_ESP: Final = _MODULES.exists() and "\nesp4 " in f"\n{_MODULES.read_text()}"
"""Its module is loaded, as in the guest of tests/interop/test_xfrm.py."""

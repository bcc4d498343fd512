# SPDX-License-Identifier: Apache-2.0
"""The system's random source, for the core's `Random`."""

import os


class SystemRandom:
    """Octets from the kernel's generator."""

    def octets(self, count: int) -> bytes:
        """Return that many fresh octets."""
        return os.urandom(count)

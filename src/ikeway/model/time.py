# SPDX-License-Identifier: Apache-2.0
"""Time as the pure core sees it: numbers handed in, never a clock that is read."""

from typing import TypeAlias

Instant: TypeAlias = float
"""Seconds on a monotonic clock of the caller's; only differences mean something."""

Seconds: TypeAlias = float
"""A length of time."""

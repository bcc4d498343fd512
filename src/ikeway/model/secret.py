# SPDX-License-Identifier: Apache-2.0
"""Octets that must not be printed."""

from dataclasses import dataclass, field

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Secret:
    """Key material. Its text form shows the length only.

    Python cannot promise that memory is erased, so this class does not pretend to: it keeps
    secrets out of logs, errors, journals and tracebacks.
    """

    octets: bytes = field(repr=False)

    @override
    def __repr__(self) -> str:
        return f"Secret({len(self.octets)} octets)"

    def __len__(self) -> int:
        return len(self.octets)

# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a configuration, gathered so that the operator sees all of it at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from ikeway.config.positions import KeyPath, line_of
from ikeway.model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong or doubtful: where it stands, and what was seen and is allowed there."""

    file: Path
    line: int
    key: str
    text: str

    @override
    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: "
        return f"{where}{self.key}: {self.text}" if self.key else where + self.text


class InvalidConfigError(ConfigError):
    """A configuration with at least one error; `findings` holds them in the order of the file."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


@dataclass
class Findings:
    """Errors and warnings of one file."""

    file: Path
    lines: dict[KeyPath, int]
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def error(self, path: KeyPath, text: str) -> None:
        """Note an error at a key."""
        self.errors.append(self._finding(path, text))

    def warn(self, path: KeyPath, text: str) -> None:
        """Note a warning at a key."""
        self.warnings.append(self._finding(path, text))

    @contextmanager
    def at(self, path: KeyPath) -> Iterator[None]:
        """Turn a `ConfigError` into an error at this key, and go on behind the context."""
        try:
            yield
        except ConfigError as error:
            self.error(path, str(error))

    def raise_errors(self) -> None:
        """End here if there was an error.

        Raises:
            InvalidConfigError: there was.
        """
        if self.errors:
            raise InvalidConfigError(tuple(sorted(self.errors, key=lambda item: item.line)))

    def _finding(self, path: KeyPath, text: str) -> Finding:
        return Finding(self.file, line_of(self.lines, path), dotted(path), text)


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it: `connections.office.ike[0]`."""
    words = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in path]
    return "".join(words).removeprefix(".")

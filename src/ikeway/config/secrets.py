# SPDX-License-Identifier: Apache-2.0
"""Secrets and files that the configuration names (RFC 7296 §2.15 for pre-shared keys).

What counts as the secret: of `file:PATH` the octets of the file, less one newline (LF or CR LF) at
its end; of `env:NAME` the variable's octets; of a literal the octets that its `0x` hex or `0s`
base64 stands for, or else its text in UTF-8. No terminator is added and white space is kept.
"""

import os
import stat
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ikeway.config.findings import Findings
from ikeway.config.positions import KeyPath
from ikeway.model.errors import ConfigError
from ikeway.model.secret import Secret

FILE_OCTETS: Final = 1 << 20
SHORT_OCTETS: Final = 16
"""A shorter secret can be guessed by whoever sat in the middle of one handshake."""

ADVICE: Final = 'put it in a file of its own ("file:PATH")'


@dataclass(frozen=True, slots=True)
class Sources:
    """Reads what a configuration refers to; paths are relative to `folder`."""

    folder: Path
    findings: Findings

    def secret(self, text: str, path: KeyPath, advice: str = ADVICE) -> Secret:
        """Return the secret that a setting means; `advice` is for who has written it down here.

        Raises:
            ConfigError: the file or variable is not there, the digits are wrong, or it is empty.
        """
        if text.startswith("file:"):
            octets = _without_newline(self.read(text[5:], path, is_secret=True))
        elif text.startswith("env:"):
            octets = _variable(text[4:])
        else:
            octets = _literal(text)
            self.findings.warn(
                path,
                "the secret itself stands in this file, which is easily copied to where it should"
                f" not be; {advice}",
            )
        if not octets:
            raise ConfigError("the secret is empty")
        return Secret(octets)

    def read(self, name: str, path: KeyPath, *, is_secret: bool = False) -> bytes:
        """Return the octets of a file; warns if it is secret and others may read it.

        Raises:
            ConfigError: it cannot be read, is no file, or is far too long.
        """
        file = self.folder / name
        try:
            # Without O_NONBLOCK a named pipe would hold us up for ever.
            handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            with os.fdopen(handle, "rb") as stream:
                facts = os.fstat(stream.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    raise ConfigError(f"{name!r} ({file}) is not a file")
                octets = stream.read(FILE_OCTETS + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"cannot read {name!r} ({file}): {reason}") from error
        if len(octets) > FILE_OCTETS:
            raise ConfigError(f"{name!r} ({file}) is longer than {FILE_OCTETS} octets")
        if is_secret and facts.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            mode = stat.S_IMODE(facts.st_mode)
            self.findings.warn(path, f"others can use {file} (mode {mode:04o}); chmod 600 {file}")
        return octets


def _without_newline(octets: bytes) -> bytes:
    return octets.removesuffix(b"\n").removesuffix(b"\r") if octets[-1:] == b"\n" else octets


def _variable(name: str) -> bytes:
    octets = os.environb.get(name.encode())
    if octets is None:
        raise ConfigError(f"there is no environment variable {name!r}")
    return octets


def _literal(text: str) -> bytes:
    try:
        if text[:2].lower() == "0x":
            return bytes.fromhex(text[2:])
        if text[:2].lower() == "0s":
            return b64decode(text[2:], validate=True)
    except ValueError as error:
        kind = "hex digits" if text[1] in "xX" else "base64"
        raise ConfigError(f"what follows {text[:2]} is not {kind}") from error
    return text.encode()

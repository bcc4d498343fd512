# SPDX-License-Identifier: Apache-2.0
"""What the commands on certificates share: their options, and how they write and print."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import typer

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.errors import ConfigError, UsageError
from ikeway.model.secret import Secret
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.crypto.certificate import Certificate
    from ikeway.crypto.keypair import PrivateKey
    from ikeway.model.identity import Identity

DEFAULT_CA: Final = Path("/etc/ikeway/ca")
HERE: Final = Path()


Role: TypeAlias = Literal["server", "client"]
FolderOption: TypeAlias = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="The folder of the authority.")
]
KeyOption: TypeAlias = Annotated[
    KeyAlgorithm, typer.Option("--key", help="The kind of key to make.")
]
PasswordOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="SOURCE",
        help="What encrypts the key's file: file:PATH or env:NAME.",
    ),
]
OutOption: TypeAlias = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Where to write the files.")
]
DaysOption: TypeAlias = Annotated[
    int, typer.Option("--days", min=1, max=36500, help="For how long it is valid.")
]


def password(source: str | None) -> Secret | None:
    """Return the password that a source has; a literal one would be seen by everybody.

    Raises:
        UsageError: it is neither a file nor a variable, or is empty.
    """
    import os

    if source is None:
        return None
    kind, _, name = source.partition(":")
    if kind == "env":
        octets = os.environb.get(name.encode())
    elif kind == "file":
        octets = read(Path(name)).rstrip(b"\r\n")
    else:
        raise UsageError("a password is not written on the command line: file:PATH or env:NAME")
    if not octets:
        raise UsageError(f"there is no password in {source}")
    return Secret(octets)


def read(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def certificates(path: Path) -> tuple["Certificate", ...]:
    """Return the certificates in a file.

    Raises:
        ConfigError: it cannot be read, or has none.
    """
    from ikeway.crypto.certificate import load_certificates

    try:
        return load_certificates(read(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def identities(names: Sequence[str]) -> tuple["Identity", ...]:
    """Return the names as they stand in certificates.

    Raises:
        UsageError: one is none.
    """
    from ikeway.model.identity import Identity

    try:
        return tuple(Identity.parse(name) for name in names)
    except ValueError as error:
        raise UsageError(str(error)) from error


def new_key(kind: KeyAlgorithm) -> "PrivateKey":
    """Return a fresh key of that kind."""
    from ikeway.crypto.keypair import generate_key

    return generate_key(kind)


def file_name(name: object) -> str:
    """Return a name as it can stand in the name of a file."""
    return "".join(c if c.isalnum() or c in "-._@" else "_" for c in str(name)).lstrip(".") or "_"


def write_pair(
    folder: Path, chain: Sequence["Certificate"], key: "PrivateKey | None", secret: Secret | None
) -> list[Path]:
    """Write a certificate with its intermediates, and its key if it is a new one.

    Raises:
        UsageError: a key is there already; it is never overwritten.
    """
    from ikeway.crypto.authority import pem
    from ikeway.runtime.ca import write_file

    name = file_name(next(iter(chain[0].sans), chain[0].serial))
    written = [folder / f"{name}.crt"]
    if key is not None:
        keys = folder / f"{name}.key"
        if keys.exists():
            raise UsageError(f"{keys} is there already, and stays; choose another --out")
        write_file(keys, key.pem(secret), is_secret=True)
        written.append(keys)
    write_file(written[0], pem(*chain))
    return written


def show(facts: Mapping[str, object]) -> None:
    """Print facts that are there, one a line."""
    for name, value in facts.items():
        if value in (None, [], False):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        print(f"{name.replace('_', ' '):13} {plain(text)}")


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)

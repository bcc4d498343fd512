# SPDX-License-Identifier: Apache-2.0
"""What the commands on users share: passwords, dates, and a word to the gateway."""

import sys
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from ikeway.cli.options import complain
from ikeway.model.errors import UsageError
from ikeway.model.secret import Secret
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.runtime.user_book import User

NameArgument: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
StdinOption: TypeAlias = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
GenerateOption: TypeAlias = Annotated[
    bool, typer.Option("--generate", help="Make a password, and print it this once.")
]
ClearOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--keep-clear", help="Keep the password itself, too, sealed: eap-md5 needs it, no other."
    ),
]
GroupOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--group", "-g", metavar="GROUP", help="A group of the user; again and again."),
]
ExpiresOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--expires",
        metavar="WHEN",
        help="The last day (2027-01-31), a moment (2027-01-31T18:00), a time from now (30d, 12h)"
        " or never.",
    ),
]
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SHORT: Final = (
    "the password is short: who has recorded a login outside TLS can try all that are like it"
)


def read_password(name: str, *, from_stdin: bool, generates: bool) -> Secret:
    """Return a new password: a fresh one, what standard input has, or what is typed twice.

    Raises:
        UsageError: there is none.
    """
    from ikeway.runtime.user_book import SHORT, check_password, generate

    if from_stdin and generates:
        raise UsageError("--password-stdin and --generate do not go together")
    if generates:
        return generate()
    octets = sys.stdin.buffer.read() if from_stdin else _typed(name)
    password = check_password(Secret(_without_newline(octets)))
    if len(password.octets.decode()) < SHORT:
        complain(f"warning: {_SHORT}")
    return password


def _without_newline(octets: bytes) -> bytes:
    return octets.removesuffix(b"\n").removesuffix(b"\r") if octets[-1:] == b"\n" else octets


def _typed(name: str) -> bytes:
    from getpass import getpass

    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for a password at; use --password-stdin or --generate"
        )
    first = getpass(f"Password of {plain(name)}: ")
    if getpass("The same again: ") != first:
        raise UsageError("the passwords are not the same; nothing was changed")
    return first.encode()


def moment(text: str | None) -> float | None:
    """Return the moment that an operator means, in seconds since 1970; None is never.

    Raises:
        UsageError: it is none.
    """
    if text is None or text == "never":
        return None
    now = datetime.now().astimezone()
    count, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS and count.isascii() and count.isdigit():
            return (now + timedelta(**{_UNITS[unit]: int(count)})).timestamp()
        found = datetime.fromisoformat(text)
        if len(text) == len("2027-01-31"):
            found = datetime.combine(found, time.max)
        return found.astimezone().timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text!r} is no time; write a day (2027-01-31), a moment (2027-01-31T18:00), a time"
            " from now (30d, 12h) or never"
        ) from error


def tell_gateway(run_dir: Path) -> list[str] | None:
    """Have the gateway look who has to go; return the IKE SAs that end, None where it is not there.

    It looks by itself as well, every few seconds.
    """
    from ikeway.control.client import ControlClient, NoDaemonError
    from ikeway.model.errors import IkewayError

    try:
        return ControlClient(run_dir).users_changed()
    except NoDaemonError:
        return None
    except IkewayError as error:
        complain(f"the gateway was not told, and looks by itself within seconds: {error}")
        return None


def state(user: "User") -> str:
    """Return whether a user may come in, in a word."""
    from time import time as seconds

    if not user.is_enabled:
        return "disabled"
    is_over = user.expires_at is not None and user.expires_at <= seconds()
    return "expired" if is_over else "enabled"


def facts(user: "User") -> dict[str, object]:
    """Return what there is to know of a user, for programs. No hash is."""
    return {
        "name": user.name,
        "state": state(user),
        "groups": list(user.groups),
        "expires_at": user.expires_at,
        "created_at": user.created_at,
        "password_at": user.password_at,
        "keeps_clear": user.has_clear,
    }


def day(at: float | None) -> str:
    """Return a moment as people write it, in their own time."""
    if at is None:
        return "never"
    return datetime.fromtimestamp(at).astimezone().isoformat(" ", "minutes")

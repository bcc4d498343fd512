# SPDX-License-Identifier: Apache-2.0
"""`[store]`: where users are kept. Commands read it alone, also where the rest is wrong."""

from pathlib import Path
from typing import Any, Final

from ikeway.config.terms import Table, Text
from ikeway.model.errors import ConfigError
from ikeway.policy.store import StoreSettings

_SQLITE: Final = "sqlite:"


class StoreTable(Table):
    """Where users are kept. Leases and sessions are in memory in this release."""

    url: Text = "sqlite:///var/lib/ikeway/ikeway.db"
    """An SQLite file that `ikeway user` makes: `sqlite:///PATH`, or `sqlite:FILE` beside this
    one."""

    key: Text | None = None
    """The file with the key that passwords are sealed with, made if it is not there; by default
    beside the database, with `.key` at its end."""


def build_store(table: StoreTable, folder: Path) -> StoreSettings:
    """Return where users are kept; paths are relative to the configuration's folder.

    Raises:
        ConfigError: it is no SQLite file.
    """
    file = folder / _file(table.url)
    key = file.with_suffix(".key") if table.key is None else folder / table.key
    return StoreSettings(file, key)


def _file(url: str) -> Path:
    if not url.startswith(_SQLITE):
        scheme = url.split(":", maxsplit=1)[0]
        raise ConfigError(
            f"{scheme!r} is not in this release, it waits for the part on fleets; write"
            " sqlite:///PATH"
        )
    path = url.removeprefix(_SQLITE)
    if path.startswith("//"):
        # As in every URL, three slashes are no host and an absolute path; four are as good.
        host, slash, rest = path[2:].partition("/")
        if host or not slash:
            raise ConfigError(f"{url!r} names a host; write sqlite:///PATH with three slashes")
        path = "/" + rest.lstrip("/")
    if not path.strip("/") or path.endswith("/") or set("?#\0") & set(path):
        raise ConfigError(f"{url!r} names no file; write sqlite:///PATH")
    return Path(path)


def names_of(content: dict[str, Any]) -> set[str]:
    """Return the users that a configuration itself has, without case."""
    credentials = content.get("credentials")
    secrets = credentials.get("secrets") if isinstance(credentials, dict) else None
    found = secrets if isinstance(secrets, list) else []
    return {
        str(one["id"]).casefold()
        for one in found
        if isinstance(one, dict) and "id" in one and {"password", "usim"} & one.keys()
    }

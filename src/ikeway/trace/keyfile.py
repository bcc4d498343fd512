# SPDX-License-Identifier: Apache-2.0
"""Finds keys in a file or a folder: Wireshark's tables, our own key log, tcpdump's secrets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ikeway.model.errors import ConfigError, HostError
from ikeway.trace import tables, tcpdump_keys
from ikeway.trace.keys import EspSaKeys, IkeSaKeys, KeyStore

OCTETS_MOST: Final = 64 << 20


def load_keys(path: Path) -> KeyStore:
    """Return the keys of a table, or of both tables in a folder.

    Raises:
        HostError: the file cannot be read.
        ConfigError: a line is none of a key log, or there is no key at all.
    """
    store = KeyStore()
    for file in _files(path):
        store.add(tcpdump_keys.merge(list(_rows(file))))
    if not store:
        raise ConfigError(f"{path}: there are no keys in it")
    return store


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [path / name for name in (tables.IKE_TABLE, tables.ESP_TABLE)]
    found = [file for file in found if file.exists()]
    if not found:
        raise ConfigError(f"{path}: neither {tables.IKE_TABLE} nor {tables.ESP_TABLE} is there")
    return found


def _rows(file: Path) -> Iterator[IkeSaKeys | EspSaKeys]:
    for number, line in enumerate(_text(file).splitlines(), 1):
        try:
            row = tcpdump_keys.parse_line(line) or tables.parse_line(line)
        except (ValueError, LookupError) as error:
            raise ConfigError(f"{file}:{number}: {error}") from error
        if row is not None:
            yield row


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            octets = opened.read(OCTETS_MOST + 1)
    except OSError as error:
        raise HostError(f"keys {file}: {error.strerror}") from error
    if len(octets) > OCTETS_MOST:
        raise HostError(f"keys {file}: larger than {OCTETS_MOST >> 20} MiB")
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: octet {error.start} is no text: this is no key log") from error

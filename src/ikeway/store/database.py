# SPDX-License-Identifier: Apache-2.0
"""The database: opened by several processes at once, and brought to the schema of this release."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ikeway.model.errors import HostError
from ikeway.store.schema import VERSION

PATIENCE_MS: Final = 10_000
"""How long to wait for another process that writes."""
_AGAIN_SECONDS: Final = 0.01


class Database:
    """An SQLite file. Whoever writes has it alone; whoever reads waits for nobody (WAL)."""

    def __init__(self, file: Path) -> None:
        """Make the file if it is not there, readable for its owner only.

        Raises:
            HostError: it cannot be used, or is of a later release.
        """
        self.file = file
        _make(file)
        self._engine = create_engine(URL.create("sqlite", database=str(file)))
        event.listen(self._engine, "connect", _prepare)
        with self._said():
            self._migrate()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read with.

        Raises:
            HostError: the database fails.
        """
        with self._said(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection whose changes count together, or not at all.

        Raises:
            HostError: the database fails.
        """
        with self._said(), _alone(self._engine) as connection:
            yield connection

    def close(self) -> None:
        """Let the file go."""
        self._engine.dispose()

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            if _version(connection) == VERSION:
                return
        with _alone(self._engine) as connection:
            version = _version(connection)
            if version is not None and version > VERSION:
                raise HostError(
                    f"{self.file} is of a later release of ikeway (schema {version}, this one has"
                    f" {VERSION}); use that, or restore a copy from before the upgrade"
                )
            if version != VERSION:
                _upgrade(connection)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise HostError(f"database {self.file}: {error.orig}") from error
        except SQLAlchemyError as error:
            raise HostError(f"database {self.file}: {error}") from error


def _make(file: Path) -> None:
    """Make the file, if it is not there, for its owner only.

    One that is there is not opened: to close it again would drop the locks that SQLite has on it
    for the whole process, and another process would then take the log of changes away.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise HostError(f"database {file}: {error.strerror}") from error


def _prepare(connection: Any, _record: object) -> None:
    """Set up a connection; transactions begin where we say, not where the driver thinks."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Have changes go to a log (WAL) from now on.

    Of several who begin with a new file at once, SQLite refuses all but one at once: its
    busy_timeout does not hold for this.
    """
    end = time.monotonic() + PATIENCE_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        else:
            return
        time.sleep(_AGAIN_SECONDS)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _version(connection: Connection) -> str | None:
    known = connection.execute(
        text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
    )
    if known.first() is None:
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "ikeway.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, VERSION)

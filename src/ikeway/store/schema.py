# SPDX-License-Identifier: Apache-2.0
"""The tables. A change of them is a file in `migrations/versions` and a new `VERSION` here."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

VERSION: Final = "0001"
"""The last migration that this release knows."""

METADATA: Final = MetaData()

USERS: Final = Table(
    "users",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("key", String, nullable=False, unique=True),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("password_at", Float, nullable=False),
    Column("proofs_from", Float, nullable=False),
    Column("argon2", String, nullable=False),
    Column("nt_hash", LargeBinary, nullable=False),
    Column("clear", LargeBinary),
)
"""`key` is the name without case. What was proven before `proofs_from` counts no more."""

MEMBERSHIPS: Final = Table(
    "memberships",
    METADATA,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("group", String, primary_key=True),
)

DEPARTURES: Final = Table(
    "departures",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("at", Float, nullable=False),
    sqlite_autoincrement=True,
)
"""Users whose IKE SAs have to end: a number never comes again, so gateways know what is new."""

SEALS: Final = Table(
    "seals",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key_id", LargeBinary, nullable=False),
)
"""Which key the passwords are sealed with, so that a wrong one is noticed before it is used."""

# SPDX-License-Identifier: Apache-2.0
"""The first schema: users, their groups, and whose IKE SAs have to end."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("password_at", sa.Float, nullable=False),
        sa.Column("proofs_from", sa.Float, nullable=False),
        sa.Column("argon2", sa.String, nullable=False),
        sa.Column("nt_hash", sa.LargeBinary, nullable=False),
        sa.Column("clear", sa.LargeBinary),
    )
    op.create_table(
        "memberships",
        sa.Column(
            "user_id", sa.Integer, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("group", sa.String, primary_key=True),
    )
    op.create_table(
        "departures",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "seals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key_id", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("seals", "departures", "memberships", "users"):
        op.drop_table(name)

# SPDX-License-Identifier: Apache-2.0
"""What alembic runs: the steps, in the transaction of whoever called it."""

from alembic import context

from ikeway.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,
)
context.run_migrations()

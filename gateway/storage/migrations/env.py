"""Run by alembic for each migration, on the connection that `storage.migrate` hands over."""

from __future__ import annotations

from alembic import context

from gateway.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

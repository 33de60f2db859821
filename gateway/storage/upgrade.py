"""Numbered migrations, one after the other. Apart from `migrate`, because Alembic is 8 MB and seldom needed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from gateway.storage.database import StorageError

log = structlog.get_logger(__name__)

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def upgrade(connection: sa.Connection, name: str, current: str | None) -> None:
    """Bring a database from its schema (None: it is empty) to the newest. Raises `StorageError`."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise StorageError(
            f"The database {name} was written by a newer version of siptg (schema {current}; this one knows {newest})."
            " Update siptg, or bring back an older copy of the database."
        )
    command.upgrade(config, "head")
    log.info("database upgraded", database=name, from_revision=current, to_revision=newest)

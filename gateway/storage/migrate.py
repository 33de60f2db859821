"""Brings a database to the schema that this program knows, by numbered migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.storage.database import Database, StorageError

log = structlog.get_logger(__name__)

#: Any number that nobody else locks in this database: the letters of "siptg".
_LOCK: Final = 0x7369707467


async def migrate(database: Database) -> None:
    """Upgrade to the newest schema, in one transaction. Raises `StorageError`.

    Several programs may start at once: the first upgrades, the others wait and find it done.
    """
    async with database.write() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        elif (fault := (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar()) != "ok":
            raise StorageError(f"The database {database.name} is damaged ({fault}). Bring back a copy of it.")
        await connection.run_sync(_upgrade, database.name)


def _upgrade(connection: sa.Connection, name: str) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    current = MigrationContext.configure(connection).get_current_revision()
    if current == newest:
        return
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise StorageError(
            f"The database {name} was written by a newer version of siptg (schema {current}; this one knows {newest})."
            " Update siptg, or bring back an older copy of the database."
        )
    command.upgrade(config, "head")
    log.info("database upgraded", database=name, from_revision=current, to_revision=newest)

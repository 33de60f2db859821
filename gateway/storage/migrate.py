"""Brings a database to the schema that this program knows, by numbered migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway.storage.database import Database, StorageError

#: The schema that this program knows: the number of the last migration.
NEWEST: Final = max(path.name for path in (Path(__file__).parent / "migrations/versions").glob("[0-9]*.py"))[:4]

#: Where Alembic notes which schema a database has.
_version: Final = sa.table("alembic_version", sa.column("version_num", sa.String))

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
    current = (
        connection.scalar(sa.select(_version.c.version_num))
        if sa.inspect(connection).has_table(_version.name)
        else None
    )
    if current != NEWEST:
        from gateway.storage.upgrade import upgrade  # noqa: PLC0415 - brings Alembic along, once in a version's life

        upgrade(connection, name, current)

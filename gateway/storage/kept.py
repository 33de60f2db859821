"""Small things kept by name: what has no table of its own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from gateway.storage.database import Database, insert_into, upsert
from gateway.storage.schema import settings


class KeptSettings:
    """Values are whatever JSON can say."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> Any:
        """The value, or None."""
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(settings.c.value).where(settings.c.name == name))).scalar()

    async def set(self, name: str, value: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, settings, {"name": name, "value": value}))

    async def set_once(self, name: str, value: Any) -> Any:
        """Set it unless it is set; answers what is set now, whoever was first."""
        async with self._database.write() as connection:
            insert = insert_into(connection, settings).values(name=name, value=value)
            await connection.execute(insert.on_conflict_do_nothing())
            return (await connection.execute(sa.select(settings.c.value).where(settings.c.name == name))).scalar()

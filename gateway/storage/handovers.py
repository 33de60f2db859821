"""Session accounts that were offered to another administrator, who has not answered yet (C6)."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.storage.database import Database, upsert
from gateway.storage.model import Handover
from gateway.storage.schema import handovers


class HandoverRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Handover]:
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(handovers).order_by(handovers.c.offered_at))).mappings()
            return [Handover(**row) for row in rows]

    async def save(self, handover: Handover) -> None:
        """An account has one at a time: a new one replaces the old."""
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, handovers, handover._asdict()))

    async def delete(self, account_id: int) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.delete(handovers).where(handovers.c.account_id == account_id))

"""What administrators were granted, and how much of it they used (C7)."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from gateway.storage.database import Database, insert_into, upsert
from gateway.storage.model import Subscription
from gateway.storage.schema import subscription_usage, subscriptions


class SubscriptionRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Subscription]:
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(subscriptions).order_by(subscriptions.c.administrator_id))
            return [Subscription(**row) for row in rows.mappings()]

    async def save(self, subscription: Subscription) -> None:
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, subscriptions, dataclasses.asdict(subscription)))

    async def delete(self, administrator_id: int) -> None:
        theirs = subscriptions.c.administrator_id == administrator_id
        async with self._database.write() as connection:
            await connection.execute(sa.delete(subscriptions).where(theirs))

    async def usage(self, month: str) -> dict[int, float]:
        """Seconds of conversation in a month ("2026-11"), by administrator."""
        columns = subscription_usage.c
        query = sa.select(columns.administrator_id, columns.seconds).where(columns.month == month)
        async with self._database.read() as connection:
            return {row.administrator_id: row.seconds for row in await connection.execute(query)}

    async def add_usage(self, administrator_id: int, month: str, seconds: float) -> None:
        values = {"administrator_id": administrator_id, "month": month, "seconds": seconds}
        async with self._database.write() as connection:
            insert = insert_into(connection, subscription_usage).values(values)
            added = {"seconds": subscription_usage.c.seconds + insert.excluded.seconds}
            keys = ["administrator_id", "month"]
            await connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=added))

"""What the Telegram side keeps over restarts: sessions, peers, numbers, flood waits, pending calls.

Rows are plain tuples here, whose order is that of the shapes in `telegram.ports`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from gateway.storage.database import Database, StorageError, upsert
from gateway.storage.schema import (
    accounts,
    telegram_flood_waits,
    telegram_numbers,
    telegram_peers,
    telegram_pending_calls,
)
from gateway.storage.seal import Seal

#: The name that sessions are sealed under.
SESSION: Final = "accounts.session"

#: SQLite takes 32766 parameters a statement, PostgreSQL's protocol 65535.
_ROWS_A_STATEMENT: Final = 1000

PeerRow = tuple[int, int, str, str, str]
NumberRow = tuple[int | None, dt.datetime]
PendingRow = tuple[int, int, dt.datetime]


class TelegramRepository:
    """Every method raises `StorageError` when the database fails."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def load_session(self, account_id: int) -> bytes | None:
        """The secret last saved, or None. Raises `WrongKeyError` too."""
        query = sa.select(accounts.c.session).where(accounts.c.id == account_id)
        async with self._database.read() as connection:
            sealed = (await connection.execute(query)).scalar()
        return None if sealed is None else self._seal.open(sealed, SESSION)

    async def save_session(self, account_id: int, secret: bytes) -> None:
        """Replace the secret of an account that is logged in.

        A late save after a log-out must not bring the login back, so it is refused.
        """
        logged_in = (accounts.c.id == account_id) & accounts.c.session.is_not(None)
        sealed = self._seal.seal(secret, SESSION)
        async with self._database.write() as connection:
            saved = await connection.execute(sa.update(accounts).where(logged_in).values(session=sealed))
            if not saved.rowcount:
                raise StorageError(f"Account {account_id} is not logged in any more; its session is not kept.")

    async def forget_session(self, account_id: int) -> None:
        """Drop the secret, and all that only this login knew."""
        async with self._database.write() as connection:
            await connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(session=None))
            for table in (telegram_peers, telegram_numbers, telegram_pending_calls, telegram_flood_waits):
                await connection.execute(sa.delete(table).where(table.c.account_id == account_id))

    async def load_peers(self, account_id: int) -> Sequence[PeerRow]:
        columns = telegram_peers.c
        query = sa.select(columns.id, columns.access_hash, columns.username, columns.phone, columns.name)
        async with self._database.read() as connection:
            rows = await connection.execute(query.where(columns.account_id == account_id))
            return [(row.id, row.access_hash, row.username, row.phone, row.name) for row in rows]

    async def save_peers(self, account_id: int, peers: Sequence[PeerRow]) -> None:
        """Add peers, or replace them by id; of one id twice, the last counts."""
        newest = {row[0]: row for row in peers}
        names = ("id", "access_hash", "username", "phone", "name")
        values = [{"account_id": account_id, **dict(zip(names, row, strict=True))} for row in newest.values()]
        async with self._database.write() as connection:
            for start in range(0, len(values), _ROWS_A_STATEMENT):
                await connection.execute(upsert(connection, telegram_peers, values[start : start + _ROWS_A_STATEMENT]))

    async def load_floods(self, account_id: int) -> Mapping[str, dt.datetime]:
        """Those that are not over yet."""
        columns = telegram_flood_waits.c
        live = (columns.account_id == account_id) & (columns.until > dt.datetime.now(dt.UTC))
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(columns.method, columns.until).where(live))
            return {row.method: row.until for row in rows}

    async def save_flood(self, account_id: int, method: str, until: dt.datetime) -> None:
        values = {"account_id": account_id, "method": method, "until": until}
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, telegram_flood_waits, values))

    async def load_number(self, account_id: int, number: str) -> NumberRow | None:
        columns = telegram_numbers.c
        query = sa.select(columns.user_id, columns.found_at)
        asked = (columns.account_id == account_id) & (columns.number == number)
        async with self._database.read() as connection:
            row = (await connection.execute(query.where(asked))).one_or_none()
        return None if row is None else (row.user_id, row.found_at)

    async def save_number(self, account_id: int, number: str, known: NumberRow) -> None:
        user_id, found_at = known
        values = {"account_id": account_id, "number": number, "user_id": user_id, "found_at": found_at}
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, telegram_numbers, values))

    async def save_pending(self, account_id: int, call: PendingRow) -> None:
        call_id, access_hash, began_at = call
        values = {"account_id": account_id, "id": call_id, "access_hash": access_hash, "began_at": began_at}
        async with self._database.write() as connection:
            await connection.execute(upsert(connection, telegram_pending_calls, values))

    async def drop_pending(self, account_id: int, call_ids: Iterable[int]) -> None:
        columns = telegram_pending_calls.c
        ended = (columns.account_id == account_id) & columns.id.in_(list(call_ids))
        async with self._database.write() as connection:
            await connection.execute(sa.delete(telegram_pending_calls).where(ended))

    async def load_pending(self, account_id: int) -> Sequence[PendingRow]:
        columns = telegram_pending_calls.c
        query = sa.select(columns.id, columns.access_hash, columns.began_at).order_by(columns.began_at)
        async with self._database.read() as connection:
            rows = await connection.execute(query.where(columns.account_id == account_id))
            return [(row.id, row.access_hash, row.began_at) for row in rows]

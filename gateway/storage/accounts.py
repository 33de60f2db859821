"""Session accounts, without their Telegram sessions: those are in `storage.telegram`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from gateway.call.model import Account
from gateway.storage.database import Database, StorageError
from gateway.storage.model import StoredAccount
from gateway.storage.schema import accounts
from gateway.storage.seal import Seal
from gateway.storage.telegram import SESSION

_FIELDS = tuple(field.name for field in dataclasses.fields(Account))
_COLUMNS = tuple(accounts.c[name] for name in _FIELDS)


class AccountRepository:
    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def all(self) -> list[StoredAccount]:
        """Every account, the oldest first."""
        beside = (accounts.c.kept_by, accounts.c.chat, accounts.c.shares_subscription)
        query = sa.select(*_COLUMNS, accounts.c.session.is_not(None).label("logged_in"), *beside)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(accounts.c.id))).mappings().all()
        return [
            StoredAccount(
                Account(**{name: row[name] for name in _FIELDS}),
                row["logged_in"],
                row["kept_by"],
                row["chat"] or {},
                row["shares_subscription"],
            )
            for row in rows
        ]

    async def keep(self, login: Account, session: bytes) -> Account:
        """Keep an account that has just logged in, with its session, in one step.

        A Telegram user has one account here: a new login of a known one renews session, phone and names, and leaves
        all the rest, its lines too, as it was. `login.id` is not looked at.
        """
        sealed = self._seal.seal(session, SESSION)
        fresh = {"phone": login.phone, "username": login.username, "name": login.name, "session": sealed}
        async with self._database.write() as connection:
            known = accounts.c.user_id == login.user_id
            renewed = await connection.execute(sa.update(accounts).where(known).values(fresh))
            if not renewed.rowcount:
                values = {name: getattr(login, name) for name in _FIELDS if name != "id"}
                await connection.execute(sa.insert(accounts).values(values | fresh))
            row = (await connection.execute(sa.select(*_COLUMNS).where(known))).mappings().one()
        return Account(**row)

    async def save(self, account: Account) -> None:
        """Replace an account's settings. Raises `StorageError` if it is gone."""
        values: dict[str, Any] = {name: getattr(account, name) for name in _FIELDS if name != "id"}
        async with self._database.write() as connection:
            saved = await connection.execute(sa.update(accounts).where(accounts.c.id == account.id).values(values))
            if not saved.rowcount:
                raise StorageError(f"There is no account {account.id} any more.")

    async def save_chat(self, account_id: int, chat: Mapping[str, Any]) -> None:
        await self._set(account_id, chat=dict(chat))

    async def save_sharing(self, account_id: int, shares_subscription: bool) -> None:
        await self._set(account_id, shares_subscription=shares_subscription)

    async def _set(self, account_id: int, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(values))

    async def delete(self, account_id: int) -> None:
        """Delete an account and all that Telegram told it. Its lines must be gone before."""
        async with self._database.write() as connection:
            await connection.execute(sa.delete(accounts).where(accounts.c.id == account_id))

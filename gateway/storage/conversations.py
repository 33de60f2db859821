"""Where each person's conversation with the bot stands. What he was asked and answered may be secret: sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from gateway.storage.database import Database, upsert
from gateway.storage.schema import bot_conversations, bot_secrets
from gateway.storage.seal import Seal

DATA: Final = "bot_conversations.data"


class ConversationRepository:
    """A conversation is known by the bot's id and the chat's."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def state(self, bot_id: int, chat_id: int) -> str | None:
        state: str | None = await self._column(bot_conversations.c.state, bot_id, chat_id)
        return state

    async def save_state(self, bot_id: int, chat_id: int, state: str | None) -> None:
        await self._save(bot_id, chat_id, state=state)

    async def data(self, bot_id: int, chat_id: int) -> dict[str, Any]:
        """What was kept by `save_data`. Raises `WrongKeyError` too."""
        sealed = await self._column(bot_conversations.c.data, bot_id, chat_id)
        if sealed is None:
            return {}
        data: dict[str, Any] = json.loads(self._seal.open(sealed, DATA))
        return data

    async def save_data(self, bot_id: int, chat_id: int, data: Mapping[str, Any]) -> None:
        """Keep what JSON can say, in place of what was kept before."""
        sealed = self._seal.seal(json.dumps(data).encode(), DATA) if data else None
        await self._save(bot_id, chat_id, data=sealed)

    async def language(self, bot_id: int, chat_id: int) -> str | None:
        """The one that the person chose; None if he chose none."""
        language: str | None = await self._column(bot_conversations.c.language, bot_id, chat_id)
        return language

    async def save_language(self, bot_id: int, chat_id: int, language: str) -> None:
        await self._save(bot_id, chat_id, language=language)

    async def secrets(self, bot_id: int) -> list[tuple[int, int]]:
        """The chat and id of each message that is to be deleted."""
        wanted = bot_secrets.c.bot_id == bot_id
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(bot_secrets.c.chat_id, bot_secrets.c.message_id).where(wanted))
            return [(row.chat_id, row.message_id) for row in rows]

    async def keep_secret(self, bot_id: int, chat_id: int, message_id: int) -> None:
        """A message that is to be deleted, whatever becomes of us until then."""
        async with self._database.write() as connection:
            values = {"bot_id": bot_id, "chat_id": chat_id, "message_id": message_id}
            await connection.execute(sa.insert(bot_secrets).values(values))

    async def forget_secret(self, bot_id: int, chat_id: int, message_id: int) -> None:
        """It is deleted."""
        columns = bot_secrets.c
        this = (columns.bot_id == bot_id) & (columns.chat_id == chat_id) & (columns.message_id == message_id)
        async with self._database.write() as connection:
            await connection.execute(sa.delete(bot_secrets).where(this))

    async def _column(self, column: sa.Column[Any], bot_id: int, chat_id: int) -> Any:
        where = (bot_conversations.c.bot_id == bot_id, bot_conversations.c.chat_id == chat_id)
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(column).where(*where))).scalar()

    async def _save(self, bot_id: int, chat_id: int, **values: Any) -> None:
        async with self._database.write() as connection:
            row = {"bot_id": bot_id, "chat_id": chat_id, **values}
            await connection.execute(upsert(connection, bot_conversations, row))

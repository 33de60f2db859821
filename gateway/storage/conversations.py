"""Where each person's conversation with the bot stands. What he was asked and answered may be secret: sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from gateway.storage.database import Database, upsert
from gateway.storage.schema import bot_conversations
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

    async def _column(self, column: sa.Column[Any], bot_id: int, chat_id: int) -> Any:
        where = (bot_conversations.c.bot_id == bot_id, bot_conversations.c.chat_id == chat_id)
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(column).where(*where))).scalar()

    async def _save(self, bot_id: int, chat_id: int, **values: Any) -> None:
        async with self._database.write() as connection:
            row = {"bot_id": bot_id, "chat_id": chat_id, **values}
            await connection.execute(upsert(connection, bot_conversations, row))

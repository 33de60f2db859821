"""aiogram's state of conversations, kept in our database: what was asked is still asked after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from aiogram.fsm.state import State
from aiogram.fsm.storage.base import BaseStorage, StorageKey

_NOT_PRIVATE: Final = "the bot has conversations in private chats only"


class Conversations(Protocol):
    """What is kept of each chat; each raises `GatewayError` when the database fails."""

    async def state(self, bot_id: int, chat_id: int) -> str | None: ...

    async def save_state(self, bot_id: int, chat_id: int, state: str | None) -> None: ...

    async def data(self, bot_id: int, chat_id: int) -> dict[str, Any]: ...

    async def save_data(self, bot_id: int, chat_id: int, data: Mapping[str, Any]) -> None: ...

    async def language(self, bot_id: int, chat_id: int) -> str | None: ...

    async def save_language(self, bot_id: int, chat_id: int, language: str) -> None: ...

    async def secrets(self, bot_id: int) -> list[tuple[int, int]]: ...

    async def keep_secret(self, bot_id: int, chat_id: int, message_id: int) -> None: ...

    async def forget_secret(self, bot_id: int, chat_id: int, message_id: int) -> None: ...


class Memory(BaseStorage):
    """States by bot and private chat."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def set_state(self, key: StorageKey, state: str | State | None = None) -> None:
        assert key.chat_id == key.user_id, _NOT_PRIVATE
        text = state.state if isinstance(state, State) else state
        await self._conversations.save_state(key.bot_id, key.chat_id, text)

    async def get_state(self, key: StorageKey) -> str | None:
        return await self._conversations.state(key.bot_id, key.chat_id)

    async def set_data(self, key: StorageKey, data: Mapping[str, Any]) -> None:
        assert key.chat_id == key.user_id, _NOT_PRIVATE
        await self._conversations.save_data(key.bot_id, key.chat_id, data)

    async def get_data(self, key: StorageKey) -> dict[str, Any]:
        return await self._conversations.data(key.bot_id, key.chat_id)

    async def close(self) -> None:
        """The store is closed by who opened it."""

"""What a bot says of itself, and what its owner chose for it at BotFather."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from gateway.sandbox.world import World

SCHEMA = "CREATE TABLE IF NOT EXISTS profiles (bot INTEGER PRIMARY KEY, profile TEXT NOT NULL)"


class Profile(BaseModel):
    """A bot's settings.

    Attributes:
        inline: As after /setinline; with `inline_feedback` as after /setinlinefeedback, too.
        commands: By scope and language, as the JSON of the Bot API's BotCommand.
        texts: "name", "description" and "short_description", each by language ("" for all others).
        menu_button: By chat (0 for all others), as the JSON of the Bot API's MenuButton.
        allowed_updates: The kinds that getUpdates delivers; None: the usual ones.
    """

    model_config = ConfigDict(extra="forbid")

    inline: bool = False
    inline_feedback: bool = False
    inline_placeholder: str = "Search…"
    commands: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    texts: dict[str, dict[str, str]] = Field(default_factory=dict)
    menu_button: dict[int, dict[str, Any]] = Field(default_factory=dict)
    allowed_updates: list[str] | None = None

    def commands_for(self, user: int, language: str) -> list[dict[str, Any]]:
        """In the narrowest scope that has any. Source: https://core.telegram.org/bots/api#determining-list-of-commands."""
        scopes = (f"chat {user}", "all_private_chats", "default")
        found = (self.commands.get(f"{scope} {code}".rstrip()) for scope in scopes for code in (language, ""))
        return next((commands for commands in found if commands), [])

    def text(self, name: str, language: str) -> str:
        texts = self.texts.get(name, {})
        return texts.get(language) or texts.get("") or ""


class Profiles:
    def __init__(self, world: World) -> None:
        self._world = world
        world.sql(SCHEMA)

    def of(self, bot: int) -> Profile:
        found = self._world.sql("SELECT profile FROM profiles WHERE bot = ?", bot)
        return Profile.model_validate_json(found[0][0]) if found else Profile()

    def change(self, bot: int, **fields: Any) -> None:
        profile = self.of(bot).model_copy(update=fields)
        self._world.sql("INSERT OR REPLACE INTO profiles VALUES (?, ?)", bot, profile.model_dump_json())

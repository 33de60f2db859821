"""The conversation with the administrator's bot: a session account is connected from a phone, and a line made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from gateway.sandbox.person import Chat, Person, Transcript
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User

BOT: Final = "siptg_bot"
#: Answers come in a fraction of a second, an overloaded machine apart.
PATIENCE_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part, before the gateway is there.

    Attributes:
        bot: Its token and address belong into the gateway's settings, and who administers: `settings`.
        administrator: Who holds the conversation.
    """

    bot: User
    administrator: User
    api_url: str

    @property
    def settings(self) -> dict[str, Any]:
        """Slices of the gateway's."""
        return {
            "bot": {"token": self.bot.bot_token, "api_url": self.api_url},
            "control": {"administrators": (self.administrator.id,)},
        }


def cast(sandbox: Sandbox, administrator_phone: str = "+15550190") -> Cast:
    """Make the bot and its administrator in the sandbox."""
    bot = sandbox.create_bot(BOT, "SIP gateway")
    administrator = sandbox.create_user(administrator_phone, "Maya", username="maya")
    return Cast(bot, administrator, sandbox.bot_api_url)


async def conversation(sandbox: Sandbox, players: Cast, number: str, extension: str) -> Transcript:
    """Connect the account with this number, apply the recommended settings, and make a line to a PBX.

    Args:
        number: Of a user of the sandbox, who is not connected yet.
        extension: The number on the PBX that shall ring.

    Raises:
        NothingHappenedError: The bot did not do what it should have.
    """
    transcript = Transcript()
    async with _chat(sandbox, players.administrator, transcript) as chat:
        await chat.send("/start")
        await chat.press("Connect a session")
        await chat.press("On this gateway")
        await chat.send(number)
        await chat.see("Tap it in below")
        for digit in sandbox.login_code(number):
            await chat.press(digit)
        await chat.see("Recommended settings")
        await chat.press("Apply all")
        await chat.press("Back")
        await chat.press("Lines: 0")
        await chat.press("New line")
        card = await chat.press("PBX → gateway")
        await chat.press("Login and password")
        await chat.see("Type this into the PBX")
        await chat.press("Delete it now")
        await chat.press("Number: –", on=card)
        await chat.send(extension)
        await chat.see("Saved")
    return _brief(transcript)


@asynccontextmanager
async def _chat(sandbox: Sandbox, user: User, transcript: Transcript) -> AsyncIterator[Chat]:
    async with Person(sandbox.client(user), transcript=transcript, patience_s=PATIENCE_S) as person:
        yield await person.chat(BOT)


def _brief(transcript: Transcript) -> Transcript:
    """Without the screens that repeat themselves while digits are tapped in, and without the line's password."""
    entries: list[tuple[str, str]] = []
    for who, what in transcript.entries:
        tapped = re.fullmatch(r"presses \[(\d)\]", what)
        if tapped and entries and (before := re.fullmatch(r"taps ([\d ]+)", entries[-1][1])):
            entries[-1] = (who, f"taps {before[1]} {tapped[1]}")
        elif tapped:
            entries.append((who, f"taps {tapped[1]}"))
        elif not (entries and entries[-1][1].startswith("taps ") and "_" in what.split("[", 1)[0]):
            entries.append((who, re.sub(r"(?m)^Password: \S+", "Password: ••••••••", what)))
    return Transcript(entries)

"""How a session account behaves in its chats (T1-T3): data and its grammar. What acts on it lives in `chat`. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from gateway.provisioning.grammar import GrammarError, switch

#: Telegram's limits. Source: https://core.telegram.org/method/messages.getInlineBotResults,
#: https://core.telegram.org/api/config (message_length_max).
QUERY_MAX: Final = 256
TEXT_MAX: Final = 4096

QUERY_FIELDS: Final = ("{text}", "{userid}", "{username}", "{phone}", "{name}")

#: Source: https://core.telegram.org/method/account.checkUsername; some inline bots of Telegram's own have four letters.
_USERNAME: Final = re.compile(r"@?([A-Za-z][A-Za-z0-9_]{2,31})")
_FIELD: Final = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """All off at first: an account says nothing in anybody's chat that its administrator did not ask for.

    Attributes:
        keypad_in: A keypad in the chat during calls from Telegram to SIP.
        keypad_out: The same during calls from SIP to Telegram, with who is calling.
        redial, lines: Buttons in the chat after a call.
        messages: Whether text messages are processed at all; the switches below need it.
        callback: After a message the user is called, and connected as the line's rules say.
        inline: If no line suits, `inline_bot` is asked with `inline_query`, and its first result posted.
        inline_bot: Its username, without the @.
        autoreply: Every message is answered with `autoreply_text`.
    """

    keypad_in: bool = False
    keypad_out: bool = False
    redial: bool = False
    lines: bool = False
    messages: bool = False
    callback: bool = False
    inline: bool = False
    inline_bot: str = ""
    inline_query: str = "{text}"
    autoreply: bool = False
    autoreply_text: str = ""

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """As some version of this program wrote it: what it does not know stays out."""
        return cls(**{field.name: kept[field.name] for field in dataclasses.fields(cls) if field.name in kept})

    def changed(self, fields: Mapping[str, str]) -> Self:
        """With fields set from texts, as a person gave them (`CHAT_FIELDS`). Raises `GrammarError`."""
        values: dict[str, Any] = {}
        for name, text in fields.items():
            if name not in CHAT_FIELDS:
                raise GrammarError(f"There is no chat setting “{name[:32]}”.")
            values[name] = CHAT_FIELDS[name](text)
        after = dataclasses.replace(self, **values)
        if after.inline and not after.inline_bot:
            raise GrammarError("inline_bot: say first which inline bot is to be asked, such as “@vkmusic_bot”.")
        if after.autoreply and not after.autoreply_text:
            raise GrammarError("autoreply_text: say first what is to be answered, such as “Please call us.”.")
        return after


def inline_bot(text: str) -> str:
    """The bot's username; empty is none."""
    if not text.strip():
        return ""
    if found := _USERNAME.fullmatch(text.strip()):
        return found[1]
    raise GrammarError("An inline bot is a username, such as “@gif”.")


def inline_query(text: str) -> str:
    """What the bot is asked: fields and any text between them."""
    text = text.strip()
    literal = _FIELD.sub("", text)
    fields = _FIELD.findall(text)
    is_plain = text.isprintable() and not set(literal) & set("{}") and all(one in QUERY_FIELDS for one in fields)
    if is_plain and 1 <= len(text) <= QUERY_MAX:
        return text
    known = " ".join(QUERY_FIELDS)
    raise GrammarError(f"A query has up to {QUERY_MAX} characters and the fields {known}, such as “{{text}}”.")


def autoreply_text(text: str) -> str:
    """What every message is answered with; empty is nothing."""
    text = text.strip()
    if len(text) <= TEXT_MAX and all(character.isprintable() or character == "\n" for character in text):
        return text
    raise GrammarError(f"A reply has up to {TEXT_MAX} characters, such as “We are open from 9 to 18. Please call us.”.")


#: The grammar of each setting that a person may give.
CHAT_FIELDS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        **dict.fromkeys(("keypad_in", "keypad_out", "redial", "lines", "messages", "callback"), switch),
        "inline": switch,
        "inline_bot": inline_bot,
        "inline_query": inline_query,
        "autoreply": switch,
        "autoreply_text": autoreply_text,
    }
)

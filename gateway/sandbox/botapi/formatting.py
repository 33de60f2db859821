"""Formatted text of the Bot API, and entities as JSON.

Source: https://core.telegram.org/bots/api#formatting-options, …#messageentity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.botapi.html import html
from gateway.sandbox.botapi.markdown import markdown
from gateway.sandbox.botapi.refusal import bad
from gateway.sandbox.botapi.richtext import RichText, utf16
from gateway.sandbox.mtproto import TL

#: The Bot API's names of entities without parameters.
NAMES: Final[Mapping[type, str]] = {
    types.MessageEntityBold: "bold",
    types.MessageEntityItalic: "italic",
    types.MessageEntityUnderline: "underline",
    types.MessageEntityStrike: "strikethrough",
    types.MessageEntitySpoiler: "spoiler",
    types.MessageEntityCode: "code",
    types.MessageEntityMention: "mention",
    types.MessageEntityHashtag: "hashtag",
    types.MessageEntityCashtag: "cashtag",
    types.MessageEntityBotCommand: "bot_command",
    types.MessageEntityUrl: "url",
    types.MessageEntityEmail: "email",
    types.MessageEntityPhone: "phone_number",
}
COMMAND: Final = re.compile(r"(?<![\w/])/[A-Za-z0-9_]{1,64}(?:@\w+)?")


def formatted(given: Mapping[str, Any], text: str = "text", entities: str = "entities") -> tuple[str, list[TL]]:
    """The text and the entities among a method's arguments. Raises `ApiError`.

    Args:
        text, entities: The names of the two arguments; `parse_mode` is a third.
    """
    raw = str(given.get(text) or "").replace("\r", "")
    match str(given.get("parse_mode") or "").lower():
        case "":
            return RichText(raw, [_entity(item) for item in given.get(entities) or []]).finished()
        case "html":
            return html(raw).finished()
        case "markdownv2":
            return markdown(raw).finished()
    raise bad("unsupported parse_mode")


def _entity(given: Mapping[str, Any]) -> TL:
    place = (int(given["offset"]), int(given["length"]))
    match given.get("type"):
        case "text_link":
            return types.MessageEntityTextUrl(*place, given["url"])
        case "text_mention":
            return types.MessageEntityMentionName(*place, int(given["user"]["id"]))
        case "pre":
            return types.MessageEntityPre(*place, given.get("language") or "")
        case "custom_emoji":
            return types.MessageEntityCustomEmoji(*place, int(given["custom_emoji_id"]))
        case "blockquote" | "expandable_blockquote" as name:
            return types.MessageEntityBlockquote(*place, collapsed=(name != "blockquote") or None)
        case name:
            kind = next((kind for kind, known in NAMES.items() if known == name), None)
            if kind is None:
                raise bad(f"can't parse MessageEntity: unsupported type {name!r}")
            return kind(*place)


def entity_json(entity: TL, user: Callable[[int], dict[str, Any]]) -> dict[str, Any] | None:
    """The Bot API's MessageEntity; None for kinds that it has no name for."""
    place = {"offset": entity.offset, "length": entity.length}
    match entity:
        case types.MessageEntityTextUrl():
            return place | {"type": "text_link", "url": entity.url}
        case types.MessageEntityMentionName():
            return place | {"type": "text_mention", "user": user(entity.user_id)}
        case types.MessageEntityPre():
            return place | {"type": "pre"} | ({"language": entity.language} if entity.language else {})
        case types.MessageEntityCustomEmoji():
            return place | {"type": "custom_emoji", "custom_emoji_id": str(entity.document_id)}
        case types.MessageEntityBlockquote():
            return place | {"type": "expandable_blockquote" if entity.collapsed else "blockquote"}
    name = NAMES.get(type(entity))
    return place | {"type": name} if name else None


def commands_in(text: str) -> list[TL]:
    """What Telegram's server itself makes of a person's text."""
    return [
        types.MessageEntityBotCommand(utf16(text[: found.start()]), utf16(found[0])) for found in COMMAND.finditer(text)
    ]

"""Text with entities, as it grows while marks are read. Offsets and lengths are in UTF-16 units, as Telegram's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from telethon.tl import types

from gateway.sandbox.botapi.refusal import unparsed
from gateway.sandbox.mtproto import TL

#: An entity from its offset, its length, its argument (a URL, a language, …) and the text that it covers.
Make = Callable[[int, int, str, str], TL]

#: All but tab and line feed become spaces.
CONTROLS: Final = {code: " " for code in range(32) if code not in (9, 10)}
PERSON: Final = re.compile(r"tg://user/?\?id=(\d+)")


def utf16(text: str) -> int:
    """The length in the units in which Telegram counts."""
    return len(text) + sum(character > "\uffff" for character in text)


def plain(kind: type) -> Make:
    return lambda offset, length, _argument, _text: kind(offset, length)


def link(offset: int, length: int, url: str, text: str) -> TL:
    person = PERSON.fullmatch(url)
    if person:
        return types.MessageEntityMentionName(offset, length, int(person[1]))
    return types.MessageEntityTextUrl(offset, length, url or text)


def listing(offset: int, length: int, language: str, _text: str) -> TL:
    return types.MessageEntityPre(offset, length, language)


def quotation(offset: int, length: int, expandable: str, _text: str) -> TL:
    return types.MessageEntityBlockquote(offset, length, collapsed=bool(expandable) or None)


def emoji(offset: int, length: int, number: str, _text: str) -> TL:
    if not number.isascii() or not number.isdigit():
        raise unparsed("Invalid custom emoji identifier specified")
    return types.MessageEntityCustomEmoji(offset, length, int(number))


@dataclass(slots=True)
class Mark:
    """The beginning of an entity that has not ended yet.

    Attributes:
        sign: What ends it.
        name: What errors call it.
        byte: Where it began in the text as it was given.
        index, offset: Where it began in the text without marks.
    """

    make: Make
    sign: str
    name: str
    byte: int
    index: int
    offset: int
    argument: str


@dataclass(slots=True)
class RichText:
    text: str = ""
    entities: list[TL] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.text += text

    def begin(self, make: Make, sign: str, name: str, byte: int, argument: str = "") -> None:
        self.marks.append(Mark(make, sign, name, byte, len(self.text), utf16(self.text), argument))

    def end(self, argument: str = "") -> None:
        """End what began last."""
        mark = self.marks.pop()
        inside = self.text[mark.index :]
        if inside:
            self.entities.append(mark.make(mark.offset, utf16(inside), argument or mark.argument, inside))

    def finished(self) -> tuple[str, list[TL]]:
        """The text without control characters, and without the space around it: Telegram doesn't keep these."""
        cleaned = self.text.translate(CONTROLS)
        leading = utf16(cleaned) - utf16(cleaned.lstrip())
        text = cleaned.strip()
        end = utf16(text)
        kept = []
        for entity in sorted(self.entities, key=lambda entity: (entity.offset, -entity.length)):
            first = max(entity.offset - leading, 0)
            entity.length = min(entity.offset - leading + entity.length, end) - first
            entity.offset = first
            if entity.length > 0:
                kept.append(entity)
        return text, kept

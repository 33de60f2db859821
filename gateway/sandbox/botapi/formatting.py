"""Formatted text of the Bot API: HTML and MarkdownV2 to entities, and entities to JSON.

As strict as the real one: text that it would refuse is refused here.

Source: https://core.telegram.org/bots/api#formatting-options.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.botapi.refusal import bad
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
#: What a person's text is searched for.
COMMAND: Final = re.compile(r"(?<![\w/])/[A-Za-z0-9_]{1,64}(?:@\w+)?")

HTML_TAGS: Final[Mapping[str, type]] = {
    "b": types.MessageEntityBold,
    "strong": types.MessageEntityBold,
    "i": types.MessageEntityItalic,
    "em": types.MessageEntityItalic,
    "u": types.MessageEntityUnderline,
    "ins": types.MessageEntityUnderline,
    "s": types.MessageEntityStrike,
    "strike": types.MessageEntityStrike,
    "del": types.MessageEntityStrike,
    "span": types.MessageEntitySpoiler,
    "tg-spoiler": types.MessageEntitySpoiler,
    "code": types.MessageEntityCode,
    "pre": types.MessageEntityPre,
    "a": types.MessageEntityTextUrl,
    "blockquote": types.MessageEntityBlockquote,
    "tg-emoji": types.MessageEntityCustomEmoji,
}
HTML_ENTITY: Final = re.compile(r"&(?:(lt|gt|amp|quot);?|#(\d{1,7});?|#[xX]([0-9a-fA-F]{1,6});?)")
HTML_ATTRIBUTE: Final = re.compile(r"""\s*([^\s=>/"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9.-]+)(?=[\s>])))?""")
MARKDOWN_RESERVED: Final = frozenset("_*[]()~`>#+-=|{}.!")
#: Longer ones first.
MARKDOWN_MARKS: Final = (
    ("```", types.MessageEntityPre, "Pre"),
    ("`", types.MessageEntityCode, "Code"),
    ("__", types.MessageEntityUnderline, "Underline"),
    ("_", types.MessageEntityItalic, "Italic"),
    ("*", types.MessageEntityBold, "Bold"),
    ("~", types.MessageEntityStrike, "Strikethrough"),
    ("||", types.MessageEntitySpoiler, "Spoiler"),
)


def utf16(text: str) -> int:
    """The length in the units in which Telegram counts."""
    return len(text) + sum(character > "\uffff" for character in text)


@dataclass(slots=True)
class _Open:
    """An entity that is not closed yet: by what it will be, its mark or tag, and where it began."""

    kind: type
    mark: str
    name: str
    offset: int
    byte: int
    argument: str = ""


@dataclass(slots=True)
class _Text:
    """Text without marks, as it grows."""

    text: str = ""
    length: int = 0
    entities: list[TL] = field(default_factory=list)
    open: list[_Open] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.text += text
        self.length += utf16(text)

    def begin(self, kind: type, mark: str, name: str, byte: int, argument: str = "") -> None:
        self.open.append(_Open(kind, mark, name, self.length, byte, argument))

    def end(self, argument: str = "") -> None:
        last = self.open.pop()
        length = self.length - last.offset
        if length:
            self._close(last, length, argument or last.argument)

    def _close(self, last: _Open, length: int, argument: str) -> None:
        if last.kind is types.MessageEntityTextUrl:
            url = argument or self.text[-length:]
            person = re.fullmatch(r"tg://user/?\?id=(\d+)", url)
            if person:
                self.entities.append(types.MessageEntityMentionName(last.offset, length, int(person[1])))
            else:
                self.entities.append(types.MessageEntityTextUrl(last.offset, length, url))
        elif last.kind is types.MessageEntityPre:
            whole = [before for before in self.entities[-1:] if isinstance(before, types.MessageEntityPre)]
            if not any((before.offset, before.length) == (last.offset, length) for before in whole):
                self.entities.append(types.MessageEntityPre(last.offset, length, argument))
        elif last.kind is types.MessageEntityCode and argument and self.open and self.open[-1].mark == "pre":
            # <pre><code class="language-…"> is one entity.
            self.entities.append(types.MessageEntityPre(last.offset, length, argument))
        elif last.kind is types.MessageEntityBlockquote:
            self.entities.append(types.MessageEntityBlockquote(last.offset, length, collapsed=bool(argument) or None))
        elif last.kind is types.MessageEntityCustomEmoji:
            self.entities.append(types.MessageEntityCustomEmoji(last.offset, length, int(argument)))
        else:
            self.entities.append(last.kind(last.offset, length))

    def finish(self) -> tuple[str, list[TL]]:
        """The text without space around it, which Telegram doesn't keep."""
        leading = utf16(self.text) - utf16(self.text.lstrip())
        text = self.text.strip()
        end = utf16(text)
        kept = []
        for entity in sorted(self.entities, key=lambda item: (item.offset, -item.length)):
            first = max(entity.offset - leading, 0)
            entity.length = min(entity.offset - leading + entity.length, end) - first
            entity.offset = first
            if entity.length > 0:
                kept.append(entity)
        return text, kept


def formatted(given: Mapping[str, Any], text: str = "text", entities: str = "entities") -> tuple[str, list[TL]]:
    """The text and the entities among a method's arguments. Raises `ApiError`.

    Args:
        text, entities: The names of the two arguments; `parse_mode` is a third.
    """
    raw = str(given.get(text) or "").replace("\r", "")
    mode = str(given.get("parse_mode") or "").lower()
    if not mode:
        plain = _Text(raw, utf16(raw), [_entity(item) for item in given.get(entities) or []])
        return plain.finish()
    parse: Callable[[str], _Text] | None = {"html": _html, "markdownv2": _markdown}.get(mode)
    if parse is None:
        raise bad("unsupported parse_mode")
    return parse(raw).finish()


def _wrong(reason: str) -> Exception:
    return bad(f"can't parse entities: {reason}")


# HTML


def _html(raw: str) -> _Text:
    out = _Text()
    at = 0
    while at < len(raw):
        if raw[at] == "<":
            at = _html_tag(raw, at, out)
        elif raw[at] == "&":
            character, at = _html_entity(raw, at)
            out.add(character)
        else:
            end = next((n for n in range(at, len(raw)) if raw[n] in "<&"), len(raw))
            out.add(raw[at:end])
            at = end
    if out.open:
        raise _wrong(f'Can\'t find end tag corresponding to start tag "{out.open[-1].mark}"')
    return out


def _html_entity(raw: str, at: int) -> tuple[str, int]:
    found = HTML_ENTITY.match(raw, at)
    if found is None:
        return "&", at + 1
    name, decimal, hexadecimal = found.groups()
    if name:
        return {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}[name], found.end()
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return (chr(code), found.end()) if 0 < code < 0x110000 else ("&", at + 1)


def _html_tag(raw: str, at: int, out: _Text) -> int:
    """Take the tag that begins at `at`; answers where it ends."""
    byte = len(raw[:at].encode())
    named = re.compile(r"(/?)([^\s>]*)").match(raw, at + 1)
    assert named is not None, "both parts may be empty"
    tag, end = named[2].lower(), named.end()
    if named[1]:
        if not out.open:
            raise _wrong(f"Unexpected end tag at byte offset {byte}")
        close = re.compile(r"\s*>").match(raw, end)
        if close is None:
            raise _wrong(f"Unclosed end tag at byte offset {byte}")
        expected = out.open[-1].mark
        if tag not in ("", expected):
            raise _wrong(f'Unmatched end tag at byte offset {byte}, expected "</{expected}>", found "</{tag}>"')
        out.end()
        return close.end()
    if end == len(raw):
        raise _wrong(f"Unclosed start tag at byte offset {byte}")
    if tag not in HTML_TAGS:
        raise _wrong(f'Unsupported start tag "{tag}" at byte offset {byte}')
    attributes, end = _html_attributes(raw, end, tag, byte)
    if tag == "span" and attributes.get("class") != "tg-spoiler":
        raise _wrong(f'Tag "span" must have class "tg-spoiler" at byte offset {byte}')
    out.begin(HTML_TAGS[tag], tag, tag, byte, _html_argument(tag, attributes))
    return end


def _html_attributes(raw: str, at: int, tag: str, byte: int) -> tuple[dict[str, str], int]:
    attributes: dict[str, str] = {}
    while True:
        close = re.compile(r"\s*>").match(raw, at)
        if close:
            return attributes, close.end()
        found = HTML_ATTRIBUTE.match(raw, at)
        if found is None or found.end() == at:
            reason = "Unclosed start tag" if not raw[at:].strip() else "Empty attribute name in the tag"
            raise _wrong(f'{reason} "{tag}" at byte offset {byte}')
        value = next((group for group in found.groups()[1:] if group is not None), "")
        attributes[found[1]] = HTML_ENTITY.sub(lambda entity: _html_entity(entity[0], 0)[0], value)
        at = found.end()


def _html_argument(tag: str, attributes: Mapping[str, str]) -> str:
    match tag:
        case "a":
            return attributes.get("href", "")
        case "code":
            language = attributes.get("class", "")
            return language.removeprefix("language-") if language.startswith("language-") else ""
        case "blockquote":
            return "expandable" if "expandable" in attributes else ""
        case "tg-emoji":
            return attributes.get("emoji-id", "")
    return ""


# MarkdownV2


def _markdown(raw: str) -> _Text:
    out = _Text()
    at = 0
    while at < len(raw):
        if raw[at] == "\\" and at + 1 < len(raw) and 0 < ord(raw[at + 1]) < 127:
            out.add(raw[at + 1])
            at += 2
        else:
            at = _markdown_step(raw, at, out)
    if out.open and out.open[-1].kind is types.MessageEntityBlockquote:
        out.end()
    if out.open:
        raise _markdown_unclosed(out)
    return out


def _markdown_unclosed(out: _Text) -> Exception:
    last = out.open[-1]
    return _wrong(f"Can't find end of {last.name} entity at byte offset {last.byte}")


def _markdown_step(raw: str, at: int, out: _Text) -> int:
    """Take what is at `at`, a mark or a character; answers where the next one is."""
    last = out.open[-1] if out.open else None
    if last and last.mark in ("`", "```"):
        if raw.startswith(last.mark, at):
            out.end()
            return at + len(last.mark)
        out.add(raw[at])
        return at + 1
    if raw[at] == "\n":
        return _markdown_line_end(raw, at, out)
    if raw[at] == "]" and last and last.mark == "]":
        return _markdown_link(raw, at, out)
    for mark, kind, name in MARKDOWN_MARKS:
        if raw.startswith(mark, at):
            return _markdown_mark(raw, at, out, mark, kind, name)
    byte = len(raw[:at].encode())
    if raw[at] == "[" or raw.startswith("![", at):
        kind = types.MessageEntityTextUrl if raw[at] == "[" else types.MessageEntityCustomEmoji
        out.begin(kind, "]", "TextUrl" if raw[at] == "[" else "CustomEmoji", byte)
        return at + (1 if raw[at] == "[" else 2)
    at_line_start = at == 0 or raw[at - 1] == "\n"
    if raw[at] == ">" and at_line_start:
        if not any(opened.kind is types.MessageEntityBlockquote for opened in out.open):
            out.begin(types.MessageEntityBlockquote, ">", "BlockQuote", byte)
        return at + 1
    if raw[at] in MARKDOWN_RESERVED:
        raise _wrong(f"Character '{raw[at]}' is reserved and must be escaped with the preceding '\\'")
    out.add(raw[at])
    return at + 1


def _markdown_mark(raw: str, at: int, out: _Text, mark: str, kind: type, name: str) -> int:
    after = at + len(mark)
    if out.open and out.open[-1].mark == mark:
        out.end()
        return after
    byte = len(raw[:at].encode())
    if mark != "```":
        out.begin(kind, mark, name, byte)
        return after
    language = re.compile(r"([^\s`]*)(?=\s)").match(raw, after)
    if language and language[1]:
        out.begin(kind, mark, "PreCode", byte, language[1])
        after = language.end()
    else:
        out.begin(kind, mark, name, byte)
    return after + 1 if raw.startswith("\n", after) else after


def _markdown_line_end(raw: str, at: int, out: _Text) -> int:
    """A quotation ends with the last line that begins with its mark."""
    quoted = [opened for opened in out.open if opened.kind is types.MessageEntityBlockquote]
    if quoted and not raw.startswith(">", at + 1):
        expandable = out.open[-1].mark == "||" and raw[at - 2 : at] == "||"
        if expandable:
            out.open.pop()
        if out.open[-1] is not quoted[0]:
            raise _markdown_unclosed(out)
        out.end("expandable" if expandable else "")
    out.add("\n")
    return at + 1


def _markdown_link(raw: str, at: int, out: _Text) -> int:
    url = ""
    after = at + 1
    if raw.startswith("(", after):
        found = re.compile(r"\(((?:\\.|[^)\\])*)\)", re.DOTALL).match(raw, after)
        if found is None:
            raise _wrong(f"Can't find end of a URL at byte offset {len(raw[:after].encode())}")
        url, after = re.sub(r"\\(.)", r"\1", found[1]), found.end()
    if out.open[-1].kind is types.MessageEntityCustomEmoji:
        emoji = re.fullmatch(r"tg://emoji/?\?id=(\d+)", url)
        if emoji is None:
            raise _wrong("Invalid tg://emoji or tg://time URL specified")
        url = emoji[1]
    out.end(url)
    return after


# Entities as JSON


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

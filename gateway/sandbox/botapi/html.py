"""HTML as the Bot API takes it, and as strict. Source: https://core.telegram.org/bots/api#html-style."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from telethon.tl import types

from gateway.sandbox.botapi.refusal import bad, unparsed
from gateway.sandbox.botapi.richtext import Make, RichText, emoji, link, listing, plain, quotation

_BOLD, _ITALIC = plain(types.MessageEntityBold), plain(types.MessageEntityItalic)
_UNDERLINE, _STRIKE = plain(types.MessageEntityUnderline), plain(types.MessageEntityStrike)
_SPOILER, _CODE = plain(types.MessageEntitySpoiler), plain(types.MessageEntityCode)

TAGS: Final[Mapping[str, Make]] = {
    "b": _BOLD,
    "strong": _BOLD,
    "i": _ITALIC,
    "em": _ITALIC,
    "u": _UNDERLINE,
    "ins": _UNDERLINE,
    "s": _STRIKE,
    "strike": _STRIKE,
    "del": _STRIKE,
    "span": _SPOILER,
    "tg-spoiler": _SPOILER,
    "code": _CODE,
    "pre": listing,
    "a": link,
    "blockquote": quotation,
    "tg-emoji": emoji,
}
TAG: Final = re.compile(r"(/?)([^\s>]*)")
CLOSE: Final = re.compile(r"\s*>")
#: Its name, and its value in one of three ways, or none.
ATTRIBUTE: Final = re.compile(r"""\s*([^\s=>/"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9.-]+)(?=[\s>])))?""")
REFERENCE: Final = re.compile(r"&(?:(lt|gt|amp|quot);?|#(\d{1,7});?|#[xX]([0-9a-fA-F]{1,6});?)")
NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


def html(raw: str) -> RichText:
    """Raises `ApiError`."""
    out = RichText()
    at = 0
    while at < len(raw):
        if raw[at] == "<":
            at = _tag(raw, at, out)
        else:
            end = raw.find("<", at)
            end = len(raw) if end < 0 else end
            out.add(_decoded(raw[at:end]))
            at = end
    if out.marks:
        raise unparsed(f'Can\'t find end tag corresponding to start tag "{out.marks[-1].sign}"')
    return out


def _decoded(raw: str) -> str:
    return REFERENCE.sub(_character, raw)


def _character(found: re.Match[str]) -> str:
    name, decimal, hexadecimal = found.groups()
    if name:
        return NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if 0xD800 <= code < 0xE000:
        raise bad(
            "text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code "
            "units"
        )
    return chr(code) if 0 < code < 0x110000 else found[0]


def _tag(raw: str, at: int, out: RichText) -> int:
    """Take the tag that begins at `at`; answers where it ends."""
    byte = len(raw[:at].encode())
    found = TAG.match(raw, at + 1)
    assert found is not None, "both parts may be empty"
    tag = found[2].lower()
    if found[1]:
        return _end_tag(raw, found.end(), tag, byte, out)
    if found.end() == len(raw):
        raise unparsed(f"Unclosed start tag at byte offset {byte}")
    if tag not in TAGS:
        raise unparsed(f'Unsupported start tag "{tag}" at byte offset {byte}')
    attributes, end = _attributes(raw, found.end(), tag, byte)
    if tag == "span" and attributes.get("class") != "tg-spoiler":
        raise unparsed(f'Tag "span" must have class "tg-spoiler" at byte offset {byte}')
    out.begin(TAGS[tag], tag, tag, byte, _argument(tag, attributes))
    return end


def _end_tag(raw: str, at: int, tag: str, byte: int, out: RichText) -> int:
    if not out.marks:
        raise unparsed(f"Unexpected end tag at byte offset {byte}")
    close = CLOSE.match(raw, at)
    if close is None:
        raise unparsed(f"Unclosed end tag at byte offset {byte}")
    expected = out.marks[-1].sign
    if tag not in ("", expected):
        raise unparsed(f'Unmatched end tag at byte offset {byte}, expected "</{expected}>", found "</{tag}>"')
    if expected == "code" and len(out.marks) > 1 and out.marks[-2].sign == "pre":
        # <pre><code class="language-…"> is one entity.
        code = out.marks.pop()
        out.marks[-1].argument = code.argument
    else:
        out.end()
    return close.end()


def _attributes(raw: str, at: int, tag: str, byte: int) -> tuple[dict[str, str], int]:
    attributes: dict[str, str] = {}
    while True:
        close = CLOSE.match(raw, at)
        if close:
            return attributes, close.end()
        found = ATTRIBUTE.match(raw, at)
        if found is None:
            reason = "Empty attribute name in the tag" if raw[at:].strip() else "Unclosed start tag"
            raise unparsed(f'{reason} "{tag}" at byte offset {byte}')
        value = next((group for group in found.groups()[1:] if group is not None), "")
        attributes[found[1]] = _decoded(value)
        at = found.end()


def _argument(tag: str, attributes: Mapping[str, str]) -> str:
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

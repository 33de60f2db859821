"""MarkdownV2 as the Bot API takes it, and as strict. Source: https://core.telegram.org/bots/api#markdownv2-style."""

from __future__ import annotations

import re
from typing import Final

from telethon.tl import types

from gateway.sandbox.botapi.refusal import ApiError, unparsed
from gateway.sandbox.botapi.richtext import RichText, emoji, link, listing, plain, quotation

RESERVED: Final = frozenset("_*[]()~`>#+-=|{}.!")
#: What begins and ends with the same sign; the longer ones first.
SIGNS: Final = (
    ("```", listing, "Pre"),
    ("`", plain(types.MessageEntityCode), "Code"),
    ("__", plain(types.MessageEntityUnderline), "Underline"),
    ("_", plain(types.MessageEntityItalic), "Italic"),
    ("*", plain(types.MessageEntityBold), "Bold"),
    ("~", plain(types.MessageEntityStrike), "Strikethrough"),
    ("||", plain(types.MessageEntitySpoiler), "Spoiler"),
)
LANGUAGE: Final = re.compile(r"([^\s`]+)(?=\s)")
TARGET: Final = re.compile(r"\(((?:\\.|[^)\\])*)\)", re.DOTALL)
EMOJI: Final = re.compile(r"tg://emoji/?\?id=(\d+)")


def markdown(raw: str) -> RichText:
    """Raises `ApiError`."""
    out = RichText()
    at = 0
    while at < len(raw):
        if raw[at] == "\\" and at + 1 < len(raw) and 0 < ord(raw[at + 1]) < 127:
            out.add(raw[at + 1])
            at += 2
        else:
            at = _step(raw, at, out)
    if out.marks and out.marks[-1].sign == ">":
        out.end()
    if out.marks:
        raise _unended(out)
    return out


def _unended(out: RichText) -> ApiError:
    mark = out.marks[-1]
    return unparsed(f"Can't find end of {mark.name} entity at byte offset {mark.byte}")


def _step(raw: str, at: int, out: RichText) -> int:
    """Take what is at `at`, a sign or a character; answers where the next one is."""
    sign = out.marks[-1].sign if out.marks else ""
    if sign in ("`", "```"):
        if raw.startswith(sign, at):
            out.end()
            return at + len(sign)
    elif raw[at] == "\n":
        _end_line(raw, at, out)
    elif raw[at] == "]" and sign == "]":
        return _end_link(raw, at, out)
    elif raw[at] in RESERVED:
        return _sign(raw, at, out)
    out.add(raw[at])
    return at + 1


def _sign(raw: str, at: int, out: RichText) -> int:
    byte = len(raw[:at].encode())
    for sign, make, name in SIGNS:
        if raw.startswith(sign, at):
            after = at + len(sign)
            if out.marks and out.marks[-1].sign == sign:
                out.end()
            elif sign == "```":
                return _begin_listing(raw, after, byte, out)
            else:
                out.begin(make, sign, name, byte)
            return after
    if raw.startswith("![", at):
        out.begin(emoji, "]", "CustomEmoji", byte)
        return at + 2
    if raw[at] == "[":
        out.begin(link, "]", "TextUrl", byte)
        return at + 1
    if raw[at] == ">" and (at == 0 or raw[at - 1] == "\n"):
        if not any(mark.sign == ">" for mark in out.marks):
            out.begin(quotation, ">", "BlockQuote", byte)
        return at + 1
    raise unparsed(f"Character '{raw[at]}' is reserved and must be escaped with the preceding '\\'")


def _begin_listing(raw: str, at: int, byte: int, out: RichText) -> int:
    language = LANGUAGE.match(raw, at)
    out.begin(listing, "```", "PreCode" if language else "Pre", byte, language[1] if language else "")
    after = language.end() if language else at
    return after + 1 if raw.startswith("\n", after) else after


def _end_line(raw: str, at: int, out: RichText) -> None:
    """A quotation ends with the last line that begins with its sign; with "||" it is an expandable one."""
    if raw.startswith(">", at + 1) or not any(mark.sign == ">" for mark in out.marks):
        return
    expandable = out.marks[-1].sign == "||" and raw[at - 2 : at] == "||"
    if expandable:
        out.marks.pop()
    if out.marks[-1].sign != ">":
        raise _unended(out)
    out.end("expandable" if expandable else "")


def _end_link(raw: str, at: int, out: RichText) -> int:
    url, after = "", at + 1
    if raw.startswith("(", after):
        target = TARGET.match(raw, after)
        if target is None:
            raise unparsed(f"Can't find end of a URL at byte offset {len(raw[:after].encode())}")
        url, after = re.sub(r"\\(.)", r"\1", target[1]), target.end()
    if out.marks[-1].make is emoji:
        found = EMOJI.fullmatch(url)
        if found is None:
            raise unparsed("Invalid tg://emoji or tg://time URL specified")
        url = found[1]
    out.end(url)
    return after

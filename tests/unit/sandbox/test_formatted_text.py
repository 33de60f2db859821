"""HTML and MarkdownV2 as Telegram's Bot API reads them."""

from __future__ import annotations

import html as standard
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox.botapi.formatting import formatted
from gateway.sandbox.botapi.html import html
from gateway.sandbox.botapi.markdown import RESERVED, markdown
from gateway.sandbox.botapi.refusal import ApiError
from gateway.sandbox.botapi.richtext import RichText, utf16

MARKS = st.text(alphabet="<>/&;=\"' \n\\_*[]()~`>#+-=|{}.!abipre😀")


def shown(parse: Callable[[str], RichText], raw: str) -> tuple[str, list[tuple[str, str]]]:
    """The text, and what of it each entity covers."""
    text, entities = parse(raw).finished()
    units = text.encode("utf-16-le")
    return text, [
        (
            type(entity).__name__.removeprefix("MessageEntity"),
            units[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le"),
        )
        for entity in entities
    ]


@pytest.mark.parametrize(
    ("raw", "text", "entities"),
    [
        ("<b>a😀</b>b", "a😀b", [("Bold", "a😀")]),
        ("😀<i>x <b>y</b></i>", "😀x y", [("Italic", "x y"), ("Bold", "y")]),
        ("  <code>1 &lt; 2 &amp; &#x41;</code>\n", "1 < 2 & A", [("Code", "1 < 2 & A")]),
        ('<pre><code class="language-py">x</code></pre>', "x", [("Pre", "x")]),
        ('<a href="tg://user?id=7">Ann</a>', "Ann", [("MentionName", "Ann")]),
        ("<a>https://example.org</a>", "https://example.org", [("TextUrl", "https://example.org")]),
        ("<blockquote expandable>q</blockquote>", "q", [("Blockquote", "q")]),
        ("<b></b>&nbsp;", "&nbsp;", []),
    ],
)
def test_html_becomes_entities(raw: str, text: str, entities: list[tuple[str, str]]) -> None:
    assert shown(html, raw) == (text, entities)


@pytest.mark.parametrize(
    ("raw", "text", "entities"),
    [
        ("*b* _i_ __u__ ~s~", "b i u s", [("Bold", "b"), ("Italic", "i"), ("Underline", "u"), ("Strike", "s")]),
        ("||x|| `a.b*`", "x a.b*", [("Spoiler", "x"), ("Code", "a.b*")]),
        ("```py\nx = 1```", "x = 1", [("Pre", "x = 1")]),
        (r"1\.5 \* 2", "1.5 * 2", []),
        (r"[l\.](https://x.org/\)a)", "l.", [("TextUrl", "l.")]),
        (">one\n>two\nthree", "one\ntwo\nthree", [("Blockquote", "one\ntwo")]),
    ],
)
def test_markdown_becomes_entities(raw: str, text: str, entities: list[tuple[str, str]]) -> None:
    assert shown(markdown, raw) == (text, entities)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ApiError, match="invalid Unicode characters after decoding HTML entities"):
        html("&#xD800;")


@pytest.mark.parametrize("raw", ["1.5", "*b", "[l](x", "a|b", "x > y", "!", "_a*b_"])
def test_what_is_not_markdown_is_refused(raw: str) -> None:
    with pytest.raises(ApiError, match="Bad Request: can't parse entities: "):
        markdown(raw)


@given(MARKS)
def test_any_text_is_read_or_refused(raw: str) -> None:
    for parse in (html, markdown):
        try:
            text, entities = parse(raw).finished()
        except ApiError:
            continue
        assert all(0 <= entity.offset < entity.offset + entity.length <= utf16(text) for entity in entities)


@given(st.text())
def test_escaped_text_comes_back_as_it_was(raw: str) -> None:
    wanted = re.sub(r"[\x00-\x08\x0b-\x1f]", " ", raw.replace("\r", "")).strip()
    assert formatted({"text": standard.escape(raw, quote=False), "parse_mode": "HTML"}) == (wanted, [])
    escaped = re.sub(f"([{re.escape(''.join(RESERVED))}\\\\])", r"\\\1", raw)
    assert formatted({"text": escaped, "parse_mode": "MarkdownV2"}) == (wanted, [])

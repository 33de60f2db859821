"""What the bot says, in the languages it speaks: Fluent catalogues in `locales/`.

Here, and nowhere else, what came from people becomes safe to show: `words(…)` answers Telegram's HTML with every
argument escaped, `words.label(…)` plain text for buttons and pop-ups.

Source: https://projectfluent.org, https://core.telegram.org/bots/api#html-style
"""

from __future__ import annotations

import enum
import functools
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fluent.runtime import FluentBundle, FluentResource

#: Each names itself.
LANGUAGES: Final = {"en": "English", "ru": "Русский"}
DEFAULT: Final = "en"

_CATALOGUES: Final = Path(__file__).parent / "locales"
#: Grammars begin their sentences with the field's name in the program's words.
_FIELD: Final = re.compile(r"\A[a-z_]+: ")
#: Fluent puts in no text of more than 2500 characters, lest a catalogue be a bomb; longer ones are put in afterwards.
_LONG: Final = 500
_PLACE: Final = re.compile("\ue000([a-z_]+)\ue001")


class Html(str):
    """A piece of Telegram's HTML in which everything that came from people is escaped."""

    __slots__ = ()


class Words:
    """One language."""

    def __init__(self, language: str) -> None:
        self.language = language
        # Without the marks that isolate directions: they would be copied along with numbers and passwords.
        self._bundle = FluentBundle([language], use_isolating=False)
        self._bundle.add_resource(FluentResource((_CATALOGUES / f"{language}.ftl").read_text(encoding="utf-8")))
        self._phrases = phrases_of(language)

    def __call__(self, key: str, **values: Any) -> Html:
        """Raises `KeyError` for a key or a value that is missing."""
        return Html(self._format(key, {name: _escaped(value) for name, value in values.items()}))

    def label(self, key: str, **values: Any) -> str:
        """For where there is no HTML: buttons, pop-ups, names of commands."""
        return self._format(key, values)

    def word(self, member: enum.StrEnum) -> str:
        """What a member of an enumeration is called: `LineHealth.UP` is at `line-health-up`."""
        return self._format(key_of(member), {})

    def said(self, text: str) -> str:
        """What a room below has said in English, for a person: in this language where it is known how."""
        text = _FIELD.sub("", text, count=1)
        for pattern, phrase in self._phrases:
            if (found := pattern.fullmatch(text)) is not None:
                return _filled(phrase, [self.said(value) for value in found.groups()])
        return text

    def _format(self, key: str, values: dict[str, Any]) -> str:
        pattern = self._bundle.get_message(key).value
        if pattern is None:
            raise KeyError(key)
        long = {name: value for name, value in values.items() if isinstance(value, str) and len(value) > _LONG}
        places = {name: f"\ue000{name}\ue001" for name in long}
        text, errors = self._bundle.format_pattern(pattern, values | places)
        if errors:
            raise KeyError(f"{key}: {errors[0]}")
        return _PLACE.sub(lambda place: long.get(place[1], place[0]), str(text)) if long else str(text)


@functools.cache
def words_of(language: str) -> Words:
    return Words(language)


def phrases_of(language: str) -> list[tuple[re.Pattern[str], str]]:
    """English sentences, as patterns of what they are filled with, and what they are in a language."""
    path = _CATALOGUES / f"{language}.phrases"
    if not path.exists():
        return []
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("# ")]
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return [(re.compile(re.escape(english).replace(r"\{\}", "(.+?)"), re.DOTALL), phrase) for english, phrase in pairs]


def _filled(phrase: str, values: Sequence[str]) -> str:
    return re.sub(r"\{(\d)\}", lambda place: values[int(place[1]) - 1], phrase)


def spoken_by(language_code: str | None) -> str:
    """The language for somebody whose Telegram is set to this one."""
    code = (language_code or "").partition("-")[0].lower()
    return code if code in LANGUAGES else DEFAULT


def key_of(member: enum.StrEnum) -> str:
    family = "".join(f"-{c.lower()}" if c.isupper() else c for c in type(member).__name__).removeprefix("-")
    return f"{family}-{member.value.replace('_', '-')}"


def raw(text: str) -> Html:
    """A text as it is, with nothing in it that could be markup."""
    return Html(html.escape(text, quote=False))


def joined(*parts: str, by: str = "\n\n") -> Html:
    """Pieces of HTML, the empty ones left out; what is not `Html` yet is escaped."""
    return Html(by.join(_escaped(part) for part in parts if part))


def _escaped(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Html):
        return raw(value)
    return value

"""What pages say, in the languages that they speak: Fluent catalogues in `locales/`. Plain text: pages escape it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from fluent.runtime import FluentBundle, FluentResource

LANGUAGES: Final = ("en", "ru")

_CATALOGUES: Final = Path(__file__).parent / "locales"


class Words:
    """One language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._bundle = FluentBundle([language], use_isolating=False)
        self._bundle.add_resource(FluentResource((_CATALOGUES / f"{language}.ftl").read_text(encoding="utf-8")))

    def __call__(self, key: str, **values: Any) -> str:
        """Raises `KeyError` for a key or a value that is missing."""
        pattern = self._bundle.get_message(key).value
        assert pattern is not None
        text, errors = self._bundle.format_pattern(pattern, values)
        if errors:
            raise KeyError(f"{key}: {errors[0]}")
        return str(text)


@functools.cache
def words_of(language: str) -> Words:
    """Of a language that is spoken here; else English."""
    return Words(language if language in LANGUAGES else LANGUAGES[0])


def spoken_by(accepted: str) -> Words:
    """For a browser, by its Accept-Language: the first that is spoken here."""
    for part in accepted.split(","):
        language = part.partition(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return words_of(language)
    return words_of(LANGUAGES[0])

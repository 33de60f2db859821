from __future__ import annotations

import re
from pathlib import Path

import pytest
from fluent.syntax import FluentParser, ast

import gateway.web
from gateway.web.words import LANGUAGES, spoken_by, words_of

ROOM = Path(gateway.web.__file__).parent


def keys(language: str) -> set[str]:
    tree = FluentParser().parse((ROOM / "locales" / f"{language}.ftl").read_text())
    return {entry.id.name for entry in tree.body if isinstance(entry, ast.Message)}


def test_every_language_says_the_same_things_and_nothing_that_nobody_asks_for() -> None:
    assert {frozenset(keys(language)) for language in LANGUAGES} == {frozenset(keys("en"))}
    source = (ROOM / "pages.py").read_text()
    asked = set(re.findall(r"words\([\"']([a-z-]+)[\"']", source)) | {"title"}
    made = {f"{state}{end}" for state in ("connected", "refused", "spent", "expired", "busy") for end in ("", "-title")}
    made |= {"refusal-wrong-password", "refusal-offline"}
    assert keys("en") == asked | made


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("ru-RU,ru;q=0.9,en;q=0.8", "ru"), ("de, en;q=0.7, ru;q=0.3", "en"), ("de", "en"), ("", "en"), ("*", "en")],
)
def test_a_browser_is_spoken_to_in_its_first_language_that_is_spoken_here(accepted: str, language: str) -> None:
    assert spoken_by(accepted).language == language


@pytest.mark.parametrize(
    ("tries", "said"), [(1, "Осталась 1 попытка."), (3, "Осталось 3 попытки."), (5, "Осталось 5 попыток.")]
)
def test_russian_counts_as_russians_do(tries: int, said: str) -> None:
    assert words_of("ru")("tries", tries=tries) == said

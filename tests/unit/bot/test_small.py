"""Small things that screens are made of."""

from __future__ import annotations

import pytest

from gateway.bot.calls import clock
from gateway.bot.data import LinesOf
from gateway.bot.paging import page_of, pager
from gateway.bot.screen import PAGE, cut
from gateway.bot.wizard import CODE_MAX, _press
from gateway.bot.wizard_screens import duration
from gateway.bot.words import words_of


@pytest.mark.parametrize(("asked", "got"), [(-5, 0), (0, 0), (1, 1), (2, 2), (3, 2), (10**30, 2)])
def test_a_page_that_is_not_there_is_the_nearest_one(asked: int, got: int) -> None:
    page = page_of(range(2 * PAGE + 1), asked)
    assert (page.number, page.last) == (got, 2)
    assert page.entries[0] == got * PAGE


def test_pages_turn_in_a_circle_and_one_page_has_no_buttons() -> None:
    assert pager(page_of([1], 0), lambda number: LinesOf(session=1, page=number)) == []
    before, here, after = pager(page_of(range(2 * PAGE + 1), 0), lambda number: LinesOf(session=1, page=number))
    assert LinesOf.unpack(before.data).page == 2
    assert here.text == "1 / 3"
    assert LinesOf.unpack(after.data).page == 1


@pytest.mark.parametrize(
    ("typed", "key", "after"),
    [
        ("", "1", "1"),
        ("12", "0", "120"),
        ("12", "back", "1"),
        ("", "back", None),
        ("", "done", None),
        ("12", "done", "12"),
        ("1" * CODE_MAX, "1", None),
        ("1", "x", None),
        ("1", "12", None),
        ("1", "²", None),
        ("1", "٣", None),
    ],
)
def test_a_keypad_takes_digits_and_nothing_else(typed: str, key: str, after: str | None) -> None:
    assert _press(key, typed) == after


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (1, "1 second"),
        (90, "90 seconds"),
        (121, "3 minutes"),
        (7200, "2 hours"),
        (86_400, "24 hours"),
    ],
)
def test_a_wait_is_told_in_words_and_never_too_short(seconds: float, words: str) -> None:
    assert duration(words_of("en"), seconds) == words


def test_texts_are_cut_and_times_are_clocks() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
    assert (clock(0), clock(65.4), clock(3600)) == ("0:00", "1:05", "60:00")

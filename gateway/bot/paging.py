"""Lists that are longer than a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiogram.filters.callback_data import CallbackData

from gateway.bot.screen import PAGE, Button, button

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """`number` counts from 0."""

    entries: Sequence[_T]
    number: int
    last: int


def page_of(entries: Sequence[_T], number: int) -> Page[_T]:
    """The page of this number, or the nearest that there is."""
    last = max(0, (len(entries) - 1) // PAGE)
    number = min(max(number, 0), last)
    return Page(entries[number * PAGE : (number + 1) * PAGE], number, last)


def pager(page: Page[_T], to: Callable[[int], CallbackData]) -> list[Button]:
    """Buttons to the pages before and after; none where one page is all."""
    if page.last == 0:
        return []
    before, after = (page.number - 1) % (page.last + 1), (page.number + 1) % (page.last + 1)
    return [
        button("◀️", to(before)),
        button(f"{page.number + 1} / {page.last + 1}", to(page.number)),
        button("▶️", to(after)),
    ]

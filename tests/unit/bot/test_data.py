"""What buttons send fits into Telegram's 64 bytes, and nothing that is forged gets further than its grammar."""

from __future__ import annotations

import inspect

import pytest
from aiogram.filters.callback_data import CallbackData
from hypothesis import given
from hypothesis import strategies as st

from gateway.bot import data
from gateway.bot.line_fields import _DEFAULTS
from gateway.bot.lines import CHOICES
from gateway.bot.screen import LABEL_MAX, Button, Screen, button
from gateway.bot.words import Html
from gateway.call.model import LineKind
from gateway.control.door import RecipeKind, Recommended

DATA: list[type[CallbackData]] = [
    kind
    for _, kind in inspect.getmembers(data, inspect.isclass)
    if issubclass(kind, CallbackData) and kind is not CallbackData
]
#: Far more than there will ever be.
ID = 10**12


def test_each_kind_of_data_has_a_prefix_of_its_own() -> None:
    prefixes = [kind.__prefix__ for kind in DATA]
    assert len(prefixes) == len(set(prefixes))


@pytest.mark.parametrize(
    "packed",
    [
        *(data.SessionDo(id=ID, act=act) for act in data.SessionAct),
        *(data.LineDo(id=ID, act=act) for act in data.LineAct),
        *(data.Recommend(id=ID, setting=setting) for setting in Recommended),
        *(data.NewLine(session=ID, kind=kind) for kind in LineKind),
        *(data.RecipeFor(id=ID, kind=kind) for kind in RecipeKind),
        *(data.LineSet(id=ID, field=field, value=",".join(every)) for field, every in CHOICES.items()),
        *(data.LineSet(id=ID, field=field, value=value) for field, value in _DEFAULTS.items()),
        data.LineSet(id=ID, field="number_rules", value=".*="),
        data.LineAsk(id=ID, field="number_rules"),
        data.ChatSet(id=ID, field="autoreply_text", value="off"),
        data.CallTo(id="0123456789abcdef"),
        data.LinesOf(session=ID, page=ID),
        data.CallsOf(session=ID, page=ID),
    ],
    ids=lambda packed: packed.pack(),
)
def test_data_fits_and_comes_back_as_it_was(packed: CallbackData) -> None:
    assert len(packed.pack().encode()) <= 64
    assert type(packed).unpack(packed.pack()) == packed


@given(st.text(max_size=64))
def test_forged_data_is_read_or_refused(text: str) -> None:
    for kind in DATA:
        for forged in (text, f"{kind.__prefix__}:{text}"):
            try:
                kind.unpack(forged)
            except (ValueError, TypeError):
                continue


@given(st.text())
def test_a_label_is_one_line_whatever_a_thing_is_called(name: str) -> None:
    label = button(name, data.LineTo(id=1)).text
    assert len(label) <= LABEL_MAX
    assert "\n" not in label


def test_empty_rows_are_left_out() -> None:
    screen = Screen(Html("text"), [[], [Button("a", "b")], []])
    assert len(screen.keyboard.inline_keyboard) == 1

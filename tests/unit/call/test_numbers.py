"""Numbers: callers shown, dialled strings understood, texts turned into numbers."""

from __future__ import annotations

import dataclasses
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call.model import Line, LineKind, TelegramUser
from gateway.call.numbers import apply_rules, caller_of, dialled_peer, printable, split_rule
from gateway.errors import CallError, HangupCause

LINE = Line(1, 1, "office", LineKind.TRUNK)
ANNA = TelegramUser(777000111, "anna_m", "4915112345678", "Анна", "Müller")


def line_with(**changes: object) -> Line:
    return dataclasses.replace(LINE, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("user", "number"),
    [
        (ANNA, "4915112345678"),
        (dataclasses.replace(ANNA, phone=""), "anna_m"),
        (dataclasses.replace(ANNA, phone="", username=""), "0777000111"),
    ],
)
def test_first_caller_id_template_whose_values_exist_wins(user: TelegramUser, number: str) -> None:
    assert caller_of(user, LINE).number == number


def test_name_is_transliterated_by_default_and_kept_when_asked() -> None:
    assert caller_of(ANNA, LINE).name == "Anna Muller"
    assert caller_of(ANNA, line_with(caller_names=("{name}",))).name == "Анна Müller"


def test_headers_name_the_user_and_leave_out_what_is_not_known() -> None:
    headers = caller_of(dataclasses.replace(ANNA, last_name=""), LINE).headers
    assert headers == {
        "X-TG-ID": "777000111",
        "X-TG-Username": "anna_m",
        "X-TG-Phone": "4915112345678",
        "X-TG-FirstName": "Анна",
    }


def test_line_that_is_known_by_a_header_sends_it_too() -> None:
    assert caller_of(ANNA, line_with(header="X-Line: office")).headers["X-Line"] == "office"


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_name_carries_a_control_or_direction_character_into_a_header(first: str, last: str) -> None:
    party = caller_of(TelegramUser(1, first_name=first, last_name=last), line_with(caller_names=("{name}",)))
    for value in (party.number, party.name, *party.headers.values()):
        assert not any(unicodedata.category(character)[0] == "C" for character in value)
        assert len(value) <= 64


def test_name_of_a_kilobyte_is_cut() -> None:
    assert len(printable("я" * 1024)) == 64


@pytest.mark.parametrize(
    ("dialled", "peer"),
    [
        ("4915112345678", "+4915112345678"),
        ("+4915112345678", "+4915112345678"),
        ("004915112345678", "+4915112345678"),
        ("0777000111", "id:777000111"),
        ("anna_m", "@anna_m"),
        ("@anna_m", "@anna_m"),
        ("tg#anna_m", "@anna_m"),
    ],
)
def test_dialled_string_is_understood(dialled: str, peer: str) -> None:
    assert dialled_peer(dialled, LINE) == peer


@pytest.mark.parametrize("dialled", ["", "12", "@a", "a b", "anna;m", "+49x", "1" * 30, "٣٤٥٦٧٨"])
def test_what_is_no_number_is_refused_as_such(dialled: str) -> None:
    with pytest.raises(CallError) as refused:
        dialled_peer(dialled, LINE)
    assert refused.value.ending.cause is HangupCause.INVALID_NUMBER


@pytest.mark.parametrize(
    "templates",
    [("{phone}", "{username}", "0{userid}"), ("tg-{userid}",), ("7*{phone}", "8*{userid}"), ("user_{username}",)],
)
@given(
    user=st.builds(
        TelegramUser,
        id=st.integers(1, 2**53),
        username=st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{4,20}\Z") | st.just(""),
        phone=st.from_regex(r"\A[1-9][0-9]{6,14}\Z") | st.just(""),
    )
)
def test_calling_back_what_was_shown_reaches_the_same_person(templates: tuple[str, ...], user: TelegramUser) -> None:
    line = line_with(caller_ids=templates)
    shown = caller_of(user, line).number
    if shown:
        assert dialled_peer(shown, line) in (f"id:{user.id}", f"@{user.username}", f"+{user.phone}")


@pytest.mark.parametrize(
    ("rules", "text", "number"),
    [
        (".*=", "anything", ""),
        (r"\D+=", "call 8 (495) 123-45-67", "84951234567"),
        (r"\D=" + "\n" + r"^8=7", "8 495", "7495"),
        (r"^\d+$", "123", "123"),
        (r"^\d+$", "abc", None),
        (r"(\d+)-(\d+)=\2\1", "12-34", "3412"),
        (r"(?=4)4=5", "44", "55"),
        (r"(?<=1)2=3", "12 22", "13 22"),
        ("a=b=c", "a", "b=c"),
        ("", "text", "text"),
    ],
)
def test_number_rules_turn_a_text_into_a_number(rules: str, text: str, number: str | None) -> None:
    assert apply_rules(rules, text) == number


def test_equals_of_a_lookaround_belongs_to_the_regex() -> None:
    assert split_rule("(?=a)b=c") == ("(?=a)b", "c")
    assert split_rule("(?<=a)b") == ("(?<=a)b", None)


@pytest.mark.parametrize("rules", ["(=x", "a=\\9", "*=x"])
def test_wrong_rule_is_said_to_be_wrong(rules: str) -> None:
    with pytest.raises(CallError, match="number rule"):
        apply_rules(rules, "aaa")


def test_runaway_rule_is_stopped_by_time() -> None:
    began = time.monotonic()
    with pytest.raises(CallError, match="takes too long"):
        apply_rules(r"^(a|a)*$=x", "a" * 40 + "!")
    assert time.monotonic() - began < 2

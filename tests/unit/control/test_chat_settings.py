"""How an account behaves in its chats: the grammar of what an administrator sets."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.door import CHAT_FIELDS, ChatSettings, GrammarError


def test_an_account_says_nothing_that_nobody_asked_for() -> None:
    assert not any(value for value in dataclasses.asdict(ChatSettings()).values() if isinstance(value, bool))


def test_settings_are_changed_by_texts_all_of_them_or_none() -> None:
    before = ChatSettings()
    after = before.changed(
        {"keypad_in": "on", "inline_bot": "@Music_Bot", "inline": "yes", "inline_query": " {text} x"}
    )
    assert (after.keypad_in, after.inline_bot, after.inline, after.inline_query) == (
        True,
        "Music_Bot",
        True,
        "{text} x",
    )
    with pytest.raises(GrammarError):
        after.changed({"redial": "on", "lines": "perhaps"})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"unheard_of": "on"}, "no chat setting “unheard_of”"),
        ({"inline": "on"}, "inline_bot: .*such as"),
        ({"autoreply": "on"}, "autoreply_text: .*such as"),
        ({"inline_bot": "two words"}, "such as “@gif”"),
        ({"inline_query": ""}, "such as"),
        ({"inline_query": "{password}"}, "{phone}"),
        ({"inline_query": "{text"}, "such as"),
        ({"inline_query": "x" * 257}, "up to 256"),
        ({"inline_query": "a\nb"}, "such as"),
        ({"autoreply_text": "x" * 4097}, "up to 4096"),
        ({"autoreply_text": "bell\a"}, "such as"),
    ],
)
def test_what_won_t_do_is_refused_with_an_example(fields: dict[str, str], told: str) -> None:
    with pytest.raises(GrammarError, match=told):
        ChatSettings().changed(fields)


def test_what_another_version_kept_is_read_as_far_as_it_is_known() -> None:
    assert ChatSettings.read({"redial": True, "hologram": True}) == ChatSettings(redial=True)
    assert ChatSettings.read({}) == ChatSettings()


@given(st.sampled_from(sorted(CHAT_FIELDS)), st.text(max_size=300))
def test_whatever_is_taken_is_read_back_as_it_is(name: str, text: str) -> None:
    try:
        after = ChatSettings().changed({name: text})
    except GrammarError:
        return
    assert ChatSettings.read(dataclasses.asdict(after)) == after

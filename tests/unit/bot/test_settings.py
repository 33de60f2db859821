"""Whom the bot serves."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.bot.settings import BotSettings
from gateway.settings import Settings


def test_nobody_is_admitted_who_was_not_named() -> None:
    assert not BotSettings().admits(1)


@pytest.mark.parametrize("given", ["1,22", "1, 22", " 1 ,22,", (1, 22), [1, 22]])
def test_administrators_are_listed(given: object) -> None:
    settings = BotSettings.model_validate({"administrators": given})
    assert settings.admits(1)
    assert settings.admits(22)
    assert not settings.admits(2)


@pytest.mark.parametrize(("text", "admitted"), [("5", {5}), ("5,6", {5, 6}), ("[5, 6]", {5, 6}), ("anyone", {1, 5, 6})])
def test_administrators_come_from_the_environment(
    text: str, admitted: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIPTG_BOT__ADMINISTRATORS", text)
    settings = Settings().bot
    assert {user for user in (1, 5, 6) if settings.admits(user)} == admitted


@pytest.mark.parametrize("given", ["everybody", "1;2", "@ann", "1.5"])
def test_what_is_no_list_of_ids_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        BotSettings.model_validate({"administrators": given})


@pytest.mark.parametrize("token", ["abc", "123", "123:", ":abc", "12x:abc"])
def test_what_is_no_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValidationError) as refused:
        BotSettings.model_validate({"token": token})
    assert "BotFather" in str(refused.value)

"""Who may be an administrator."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.control.settings import ControlSettings
from gateway.settings import Settings


def test_nobody_is_admitted_who_was_not_named() -> None:
    assert not ControlSettings().admits(1)


@pytest.mark.parametrize("given", ["1,22", "1, 22", " 1 ,22,", (1, 22), [1, 22]])
def test_administrators_are_listed(given: object) -> None:
    settings = ControlSettings.model_validate({"administrators": given})
    assert settings.admits(1)
    assert settings.admits(22)
    assert not settings.admits(2)


@pytest.mark.parametrize(("text", "admitted"), [("5", {5}), ("5,6", {5, 6}), ("[5, 6]", {5, 6}), ("anyone", {1, 5, 6})])
def test_administrators_come_from_the_environment(
    text: str, admitted: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIPTG_CONTROL__ADMINISTRATORS", text)
    settings = Settings().control
    assert {user for user in (1, 5, 6) if settings.admits(user)} == admitted


@pytest.mark.parametrize("given", ["everybody", "1;2", "@ann", "1.5"])
def test_what_is_no_list_of_ids_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        ControlSettings.model_validate({"administrators": given})

"""The bot's settings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.bot.settings import BotSettings


@pytest.mark.parametrize("token", ["abc", "123", "123:", ":abc", "12x:abc"])
def test_what_is_no_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValidationError) as refused:
        BotSettings.model_validate({"token": token})
    assert "BotFather" in str(refused.value)

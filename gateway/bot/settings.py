"""Settings of the administrator's bot."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class BotSettings(BaseModel):
    """The `bot` slice of the settings. Without a token there is no bot.

    Attributes:
        api_url: Of another Bot API server, such as the sandbox's or one's own; empty is Telegram's.
        poll_s: How long a request for news waits at Telegram.
        forget_login_s: A login that is left half-way is given up after this; Telegram's codes live for minutes.
        secret_shown_s: How long a message with a password stays in the chat.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr = SecretStr("")
    api_url: str = ""
    poll_s: int = Field(default=30, ge=0)
    forget_login_s: float = Field(default=600.0, gt=0)
    secret_shown_s: float = Field(default=60.0, gt=0)

    @field_validator("token")
    @classmethod
    def _formed(cls, token: SecretStr) -> SecretStr:
        number, colon, secret = token.get_secret_value().partition(":")
        if token.get_secret_value() and not (number.isascii() and number.isdecimal() and colon and secret):
            raise ValueError("a token of @BotFather looks like 123456789:AAE…")
        return token

"""Settings, read once: the environment, and a file named by `SIPTG_ENV_FILE` (".env" by default)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.bot.settings import BotSettings
from gateway.call.session import ANSWER_S, CONNECT_S, CallLimits
from gateway.control.settings import ControlSettings
from gateway.errors import SettingsError
from gateway.media.settings import MediaSettings
from gateway.sip.settings import AsteriskSettings
from gateway.storage.settings import StorageSettings
from gateway.telegram.settings import TelegramSettings
from gateway.web.settings import WebSettings

PREFIX = "SIPTG_"


class CallSettings(BaseModel):
    """Calls, whoever makes them.

    Attributes:
        limit: Simultaneous calls of the whole gateway; each account has a limit of its own as well.
        drain_s: How long a stopping gateway lets running calls go on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer_s: float = Field(default=ANSWER_S, gt=0)
    connect_s: float = Field(default=CONNECT_S, gt=0)
    talk_s: float | None = Field(default=None, gt=0)
    limit: int | None = Field(default=None, gt=0)
    drain_s: float = Field(default=30.0, ge=0)

    @property
    def limits(self) -> CallLimits:
        return CallLimits(self.answer_s, self.connect_s, self.talk_s)


class LogSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    style: Literal["console", "json"] = "console"


def default_state() -> Path:
    """Where a service (run by root or by systemd) and a person's own process keep their files."""
    if folder := os.environ.get("STATE_DIRECTORY"):  # set by systemd's StateDirectory=
        return Path(folder)
    if os.geteuid() == 0:
        return Path("/var/lib/siptg")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "siptg"


class Settings(BaseSettings):
    """All of it. `SIPTG_TELEGRAM__API_ID=1` sets `telegram.api_id`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    state: Path = Field(default_factory=default_state)
    telegram: TelegramSettings = TelegramSettings()
    asterisk: AsteriskSettings = AsteriskSettings()
    media: MediaSettings = MediaSettings()
    storage: StorageSettings = StorageSettings()
    call: CallSettings = CallSettings()
    control: ControlSettings = ControlSettings()
    bot: BotSettings = BotSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()


def load() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: A setting is wrong or not known; every one of them is named.
    """
    file = Path(os.environ.get(f"{PREFIX}ENV_FILE", ".env"))
    if not file.is_file() and f"{PREFIX}ENV_FILE" in os.environ:
        raise SettingsError(f"{PREFIX}ENV_FILE names {file}, and there is no such file.")
    try:
        settings = Settings(_env_file=file if file.is_file() else None)
    except ValidationError as wrong:
        raise SettingsError("\n".join(_sentences(wrong))) from None
    if unknown := sorted(_unknown(os.environ)):
        raise SettingsError(f"Not a setting: {', '.join(unknown)}. `siptg check` lists them all.")
    return settings


def _sentences(wrong: ValidationError) -> Iterable[str]:
    for error in wrong.errors():
        name = PREFIX + "__".join(str(part) for part in error["loc"]).upper()
        what = "is not a setting" if error["type"] == "extra_forbidden" else error["msg"]
        yield f"{name}: {what}."


def _unknown(names: Iterable[str]) -> Iterable[str]:
    """The environment's variables with our prefix that mean nothing: most likely misspelt."""
    known = {f"{PREFIX}{field}".upper() for field in Settings.model_fields} | {f"{PREFIX}ENV_FILE"}
    for name in names:
        if name.upper().startswith(PREFIX) and name.upper().split("__")[0] not in known:
            yield name

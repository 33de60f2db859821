"""Settings of the Telegram side."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from gateway.errors import SettingsError

#: The data centre at which new logins begin, by Telethon's default. Source: https://core.telegram.org/api/datacenter.
DATA_CENTRE: Final = ("149.154.167.51", 443)


class TelegramSettings(BaseModel):
    """How Telegram is reached. With `server` unset it is the real network.

    Attributes:
        server: "host:port" of another network's data centre, such as the sandbox's; needs `key_file`.
        key_file: That network's public RSA key, PEM (PKCS #1).
        dc: The number that data centre goes by.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_id: int = Field(default=0, ge=0)
    api_hash: SecretStr = SecretStr("")

    server: str = ""
    key_file: Path | None = None
    dc: int = Field(default=2, ge=1)

    # What the user sees under Settings → Devices.
    device_model: str = "SIP gateway"
    system_version: str = "siptg"
    app_version: str = "0.1"

    #: A request without an answer for this long counts as lost; Telegram's own calls to it take well below a second.
    request_timeout_s: float = Field(default=10.0, gt=0)
    connect_timeout_s: float = Field(default=10.0, gt=0)
    #: Between attempts to come online; doubles from the first to the last.
    reconnect_min_s: float = Field(default=0.5, gt=0)
    reconnect_max_s: float = Field(default=60.0, gt=0)
    #: Telegram tells nobody that a session was revoked, and a dead connection says nothing: so it is asked.
    poll_s: float = Field(default=30.0, gt=0)
    #: A session is saved this long after it changed, so that a burst of updates is one write.
    save_after_s: float = Field(default=2.0, ge=0)
    #: A request whose connection broke waits this long for the next one.
    reconnect_wait_s: float = Field(default=8.0, gt=0)
    #: From acceptance to a key on both ends; Telegram's call_connect_timeout_ms.
    establish_timeout_s: float = Field(default=30.0, gt=0)
    #: Names and numbers move to other people: after this they are asked for again.
    known_for_s: float = Field(default=86_400.0, gt=0)
    #: Somebody may join Telegram at any time.
    unknown_for_s: float = Field(default=600.0, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> TelegramSettings:
        if self.server:
            self.address  # noqa: B018 - says what is wrong with it
            if self.key_file is None:
                raise ValueError("telegram.server needs telegram.key_file, the public key of that network")
        return self

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of `server`, or None for the real network."""
        if not self.server:
            return None
        host, colon, port = self.server.rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"telegram.server must be host:port, not {self.server!r}")
        return host.strip("[]"), int(port)

    def require_api(self) -> None:
        """Raises `SettingsError` when the API id and hash are missing."""
        if not self.api_id or not self.api_hash.get_secret_value():
            raise SettingsError(
                "SIPTG_TELEGRAM__API_ID and SIPTG_TELEGRAM__API_HASH are not set: get them at https://my.telegram.org"
            )

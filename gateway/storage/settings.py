"""Where the gateway keeps what it must not forget."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr


class StorageSettings(BaseModel):
    """The `storage` slice of the settings.

    Attributes:
        url: A database of one's own, `postgresql://user:password@host/name`. Empty: a SQLite file in the state
            folder, because one machine needs no server.
        key: What secrets are encrypted with: 32 bytes in base64. Empty: a file in the state folder, made at the
            first start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr = SecretStr("")
    key: SecretStr = SecretStr("")

    def database_url(self, state: Path) -> str:
        """The URL as SQLAlchemy wants it, with the driver in it."""
        url = self.url.get_secret_value() or f"sqlite:///{state / 'siptg.db'}"
        for plain, driven in (
            ("postgresql://", "postgresql+asyncpg://"),
            ("postgres://", "postgresql+asyncpg://"),
            ("sqlite://", "sqlite+aiosqlite://"),
        ):
            if url.startswith(plain):
                return driven + url.removeprefix(plain)
        return url

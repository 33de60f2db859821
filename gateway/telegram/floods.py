"""Telegram's flood waits of one account: per method, kept over restarts, answered at once (K6)."""

from __future__ import annotations

import datetime as dt
import math

import structlog

from gateway.errors import GatewayError
from gateway.telegram.ports import FloodStore

log = structlog.get_logger(__name__)


class FloodWaits:
    """Which methods Telegram told an account not to ask again yet."""

    def __init__(self, account_id: int, store: FloodStore) -> None:
        self._account_id = account_id
        self._store = store
        self._until: dict[str, dt.datetime] = {}

    async def load(self) -> None:
        self._until = dict(await self._store.load_floods(self._account_id))

    def until(self, method: str) -> dt.datetime | None:
        """When the method may be asked again; None when it may be now."""
        until = self._until.get(method)
        if until is not None and until <= dt.datetime.now(dt.UTC):
            del self._until[method]
            return None
        return until

    def left_s(self, method: str) -> int:
        """Whole seconds until the method may be asked again, rounded up."""
        until = self.until(method)
        return math.ceil((until - dt.datetime.now(dt.UTC)).total_seconds()) if until else 0

    async def keep(self, method: str, seconds: int) -> None:
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        self._until[method] = until
        log.warning("flood wait began", account=self._account_id, method=method, seconds=seconds)
        try:
            await self._store.save_flood(self._account_id, method, until)
        except GatewayError as failed:
            log.error("flood wait was not saved", account=self._account_id, error=str(failed))

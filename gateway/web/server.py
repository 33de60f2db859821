"""What the gateway serves over HTTP."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import structlog
from aiohttp import web

from gateway.control.vitals import Vitals
from gateway.errors import SettingsError
from gateway.web.metrics import Metrics
from gateway.web.settings import WebSettings

log = structlog.get_logger(__name__)

#: Source: https://prometheus.io/docs/instrumenting/exposition_formats/#basic-info.
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
#: What is being answered when we stop may take so long to end.
LEAVE_S: Final = 2.0


class Web:
    """Opened with `async with`; it answers for as long as the block lasts.

    Attributes:
        metrics: Wants to be told of the moves of calls.
        metrics_port: Where it is served; None if it is not.
    """

    def __init__(self, settings: WebSettings, vitals: Vitals) -> None:
        self._settings = settings
        self._vitals = vitals
        self._closing = AsyncExitStack()
        self.metrics = Metrics(vitals.signs)
        self.metrics_port: int | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            if self._settings.metrics_port is not None:
                app = web.Application()
                app.add_routes([web.get("/health", self._health), web.get("/metrics", self._metrics)])
                self.metrics_port = await self._serve(opening, app, self._settings.metrics_port, "METRICS_PORT")
            self._closing = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    async def _serve(self, opening: AsyncExitStack, app: web.Application, port: int, setting: str) -> int:
        # No log of requests: their paths may be secrets.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=LEAVE_S)
        await runner.setup()
        opening.push_async_callback(runner.cleanup)
        host = self._settings.host
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise SettingsError(
                f"Port {port} of {host} can't be listened at ({error.strerror or error}); choose another one with "
                f"SIPTG_WEB__{setting}."
            ) from error
        bound: int = runner.addresses[0][1]
        log.info("web is served", host=host, port=bound, paths=[route.canonical for route in app.router.resources()])
        return bound

    async def _health(self, _request: web.Request) -> web.Response:
        health = await self._vitals.health()
        status = ("degraded" if health.troubles else "ok") if health.well else "failing"
        return web.json_response(
            {
                "status": status,
                "troubles": health.troubles,
                "accounts": {"online": health.accounts_online, "of": health.accounts},
            },
            status=200 if health.well else 503,
        )

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.metrics.text(), headers={"Content-Type": _PROMETHEUS})

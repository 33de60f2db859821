"""/health and /metrics: what an operator's watch looks at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from gateway.control.vitals import Vitals
from gateway.web.listening import listening
from gateway.web.metrics import Metrics

#: Source: https://prometheus.io/docs/instrumenting/exposition_formats/#basic-info.
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def watching(host: str, port: int, vitals: Vitals, metrics: Metrics) -> AsyncIterator[int]:
    """Serve both for as long as the block lasts; gives the port. Raises `SettingsError`."""

    async def show_health(_request: web.Request) -> web.Response:
        health = await vitals.health()
        status = ("degraded" if health.troubles else "ok") if health.well else "failing"
        accounts = {"online": health.accounts_online, "of": health.accounts}
        told = {"status": status, "troubles": health.troubles, "accounts": accounts}
        return web.json_response(told, status=200 if health.well else 503)

    async def show_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": _PROMETHEUS})

    app = web.Application()
    app.add_routes([web.get("/health", show_health), web.get("/metrics", show_metrics)])
    async with listening(app, host, port, "METRICS_PORT") as bound:
        yield bound

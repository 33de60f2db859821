"""The Bot API's HTTP server."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import AsyncExitStack
from typing import Any, Final, Self

import structlog
from aiohttp import web
from aiohttp.multipart import BodyPartReader

from gateway.sandbox.botapi import methods
from gateway.sandbox.botapi.call import METHODS, Call, Handler, Upload
from gateway.sandbox.botapi.queue import Queue
from gateway.sandbox.botapi.refusal import ApiError, worded
from gateway.sandbox.botapi.shown import file_named
from gateway.sandbox.faults import Fault, FaultKind, Faults
from gateway.sandbox.rpc import Telegram
from gateway.sandbox.rpcerror import RememberedError, RpcError
from gateway.sandbox.world import User

log = structlog.get_logger(__name__)

#: Source: https://core.telegram.org/bots/api#sending-files.
MAX_BODY_BYTES: Final = 50 * 2**20

assert methods.__all__, "the methods register themselves on import"


class _CutError(Exception):
    """The connection is to be cut, as a failing network would."""


class BotApi:
    """The Bot API on loopback.

    Attributes:
        url: For `TelegramAPIServer.from_base(url)` and its like.
    """

    def __init__(self, telegram: Telegram, faults: Faults, host: str, port: int) -> None:
        self._telegram = telegram
        self._faults = faults
        self._host = host
        self._port = port
        self._queue = Queue(telegram)
        self._house = AsyncExitStack()
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        for verb in ("GET", "POST"):
            app.router.add_route(verb, "/bot{token}/{method}", self._called)
        app.router.add_get("/file/bot{token}/{folder}/{name}", self._download)
        app.on_shutdown.append(self._end_polls)
        # A bot that has left must not take the updates of the one that comes after it.
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1, access_log=None)
        async with AsyncExitStack() as house:
            await runner.setup()
            house.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            self._house = house.pop_all()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._house.__aexit__(*error)

    async def _end_polls(self, _app: web.Application) -> None:
        self._queue.close()

    # Requests

    async def _called(self, request: web.Request) -> web.Response:
        try:
            bot = self._bot(request)
            name, handler = self._method(request)
            fault = self._faults.strikes(f"bot.{name}", bot.id)
            await self._before(fault)
            call = Call(self._telegram, self._queue, bot, *await _body(request))
            result = await handler(call) if inspect.iscoroutinefunction(handler) else self._execute(call, handler)
            if fault and fault.kind is FaultKind.DROP_AFTER:
                raise _CutError
            return web.json_response({"ok": True, "result": result})
        except _CutError:
            if request.transport:
                request.transport.abort()
            return web.Response()
        except ApiError as refused:
            return web.json_response(refused.body, status=refused.code)
        except RpcError as refused:
            answer = worded(refused)
            return web.json_response(answer.body, status=answer.code)
        except Exception as failure:
            log.exception("bot's request failed by a fault of ours", method=request.match_info["method"])
            self._telegram.cloud.failures.append(failure)
            return web.json_response(ApiError("Internal Server Error", code=500).body, status=500)

    def _bot(self, request: web.Request) -> User:
        bot = self._telegram.world.find_user("bot_token", request.match_info["token"])
        if bot is None:
            raise ApiError("Unauthorized")
        return bot

    def _method(self, request: web.Request) -> tuple[str, Handler]:
        known = METHODS.get(request.match_info["method"].lower())
        if known is None:
            log.warning("method not in the sandbox's Bot API", method=request.match_info["method"])
            raise ApiError("Not Found: method not found")
        return known

    async def _before(self, fault: Fault | None) -> None:
        """Let a fault happen, if there is one."""
        match fault and fault.kind:
            case FaultKind.ERROR:
                assert fault is not None
                raise RpcError(fault.code, fault.name)
            case FaultKind.DROP:
                raise _CutError
            case FaultKind.HANG:
                await asyncio.Event().wait()
            case FaultKind.DELAY:
                assert fault is not None
                await asyncio.sleep(fault.delay_s)

    def _execute(self, call: Call, handler: Handler) -> Any:
        """All of it or nothing, and whoever is told of it is told afterwards."""
        try:
            with self._telegram.cloud.change():
                result = handler(call)
        except RememberedError as refused:
            with self._telegram.cloud.change():
                refused.note()
            raise
        self._telegram.cloud.flush()
        return result

    async def _download(self, request: web.Request) -> web.Response:
        try:
            self._bot(request)
            kept = self._telegram.files.find(*file_named(request.match_info["name"].partition(".")[0]))
        except (ApiError, RpcError):
            return web.json_response(ApiError("Not Found").body, status=404)
        return web.Response(body=kept.data, content_type=kept.mime)


async def _body(request: web.Request) -> tuple[dict[str, Any], dict[str, Upload]]:
    """The arguments, and the files beside them, in whichever of the four ways they came."""
    arguments: dict[str, Any] = dict(request.query)
    uploads: dict[str, Upload] = {}
    if request.content_type == "application/json":
        arguments |= await request.json()
    elif request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader), "a form is not nested"
            name = part.name or ""
            if part.filename is None:
                arguments[name] = await part.text()
            else:
                mime = part.headers.get("Content-Type", "application/octet-stream")
                uploads[name] = Upload(part.filename, mime, bytes(await part.read()))
    else:
        arguments |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    return arguments, uploads

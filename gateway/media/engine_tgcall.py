"""Our own engine behind the engine door: it needs no lock, encodes at the phone's rate, and knows its path."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any, Final, NoReturn

import structlog

from gateway.errors import CallError, GatewayError, HangupCause
from gateway.media import tgcall
from gateway.media.codec import Pcm
from gateway.media.engine import Engine, EngineCall, EngineEar, EngineStatistics, Note
from gateway.media.model import EngineServer, EngineSetup


@contextlib.asynccontextmanager
async def open_engine(note: Note, dtx: bool) -> AsyncIterator[Engine]:
    """Raises `GatewayError` when a library that it needs is missing."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, functools.partial(_hand_over, note)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            native = await stack.enter_async_context(tgcall.CallEngine())
        except tgcall.EngineError as error:
            raise GatewayError(str(error)) from error
        group = await stack.enter_async_context(asyncio.TaskGroup())
        yield _Engine(native, group, dtx)


def _hand_over(note: Note, _logger: object, level: str, event: MutableMapping[str, Any]) -> NoReturn:
    note(level, str(event.pop("event")), event)
    raise structlog.DropEvent


class _Engine:
    name = "tgcall"
    one_at_a_time = False

    def __init__(self, native: tgcall.CallEngine, group: asyncio.TaskGroup, dtx: bool) -> None:
        self.native = native
        self.dtx = dtx
        self.group = group
        self.beginning = asyncio.Lock()
        self.versions = tuple(tgcall.library_versions())

    def call(self, rate_hz: int, setup: EngineSetup, ear: EngineEar) -> EngineCall:
        return _Call(self, rate_hz, setup, ear)


class _Call:
    #: A user who hangs up closes his media first, and the word of it comes through Telegram a moment later.
    _DISCARD_S: Final = 5.0

    def __init__(self, engine: _Engine, rate_hz: int, setup: EngineSetup, ear: EngineEar) -> None:
        self._engine = engine
        self._rate_hz = rate_hz
        self._setup = setup
        self._ear = ear
        self._native: tgcall.Call | None = None
        self.feed: Callable[[Pcm], None] = _feed_nobody
        self._early: list[bytes] = []
        self._watch: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        setup = self._setup
        try:
            async with self._engine.beginning:  # one a pass of the loop, so that nobody's audio is late for many
                await asyncio.sleep(0)
            self._native = native = self._engine.native.call(
                key=setup.key,
                outgoing=setup.outgoing,
                versions=setup.versions,
                servers=[_native_server(server) for server in setup.servers],
                p2p_allowed=setup.p2p_allowed,
                rate_hz=self._rate_hz,
                custom_parameters=setup.custom_parameters,
                send_signal=self._ear.on_signal,
                on_audio=self._ear.on_audio,
                dtx=self._engine.dtx,
            )
            self.feed = native.feed
            for blob in self._early:
                native.hear_signal(blob)
            await native.connected()
        except tgcall.UnsupportedError as error:
            raise CallError(HangupCause.INCOMPATIBLE_PEER, str(error)) from error
        except tgcall.EngineError as error:
            raise CallError(HangupCause.MEDIA_LOST, str(error)) from error
        except OSError as error:
            raise CallError(HangupCause.MEDIA_LOST, f"this host has no network for calls: {error}") from error
        self._watch = self._engine.group.create_task(self._tell_failure(native), name="watch of an engine's call")

    async def _tell_failure(self, native: tgcall.Call) -> None:
        failure = await native.failed()
        if failure is tgcall.Failure.PEER_CLOSED:
            await asyncio.sleep(self._DISCARD_S)
        if failure is not None:
            self._ear.on_lost(failure.value)

    def hear_signal(self, blob: bytes) -> None:
        if self._native is None:
            self._early.append(blob)
        else:
            self._native.hear_signal(blob)

    def statistics(self) -> EngineStatistics:
        if self._native is None:
            return EngineStatistics()
        known = self._native.stats()
        return EngineStatistics(
            version=known.version,
            path=known.path.value if known.path else "",
            rtt_ms=known.rtt_ms,
            jitter_ms=known.jitter_ms,
            loss_sent=known.loss_sent,
            loss_received=known.loss_received,
            packets=known.packets_received,
            first_ms=known.first_heard_ms,
            lost=known.lost,
            late=known.late,
            concealed_ms=known.concealed_ms,
            dropped_ms=known.dropped_ms,
        )

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._native is not None:
            await self._native.close()


def _feed_nobody(_pcm: Pcm) -> None:
    """There is no call yet that would say it."""


def _native_server(server: EngineServer) -> tgcall.Server:
    return tgcall.Server(
        id=server.id,
        ipv4=server.ipv4,
        ipv6=server.ipv6,
        port=server.port,
        username=server.username,
        password=server.password,
        peer_tag=server.peer_tag,
        turn=server.turn,
        stun=server.stun,
        tcp=server.tcp,
    )

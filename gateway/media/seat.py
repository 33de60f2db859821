"""A call's seat on a worker: what the node asks about the call's audio, and is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from gateway.errors import CallError, Ending, HangupCause
from gateway.media import wire
from gateway.media.model import AudioFormat, EngineSetup, MediaReport, RtpAddress
from gateway.media.settings import MediaSettings


class Worker(Protocol):
    """What a call needs of the worker it sits on."""

    def tell(self, message: wire.Message) -> None: ...

    def left(self, call_id: str) -> None:
        """The call is over, and was reported."""

    def kill(self, why: str) -> None: ...


class MediaCall:
    """The audio of one call, on some worker. Implements `gateway.call.ports.Media`."""

    def __init__(self, call_id: str, worker: Worker, settings: MediaSettings) -> None:
        loop = asyncio.get_running_loop()
        self._call_id = call_id
        self._worker = worker
        self._settings = settings
        self._format: AudioFormat | None = None
        self._chosen: asyncio.Future[AudioFormat] = loop.create_future()
        self._lost: asyncio.Future[Ending] = loop.create_future()
        self._report: asyncio.Future[MediaReport] = loop.create_future()
        self._answers: dict[str, asyncio.Future[wire.Message]] = {}
        self._send_signal: Callable[[bytes], None] | None = None
        self._early: list[bytes] = []  # signals that came before `connect`
        self._over: Ending | None = None

    @property
    def call_id(self) -> str:
        return self._call_id

    @property
    def format(self) -> AudioFormat | None:
        return self._format

    @property
    def setting_up(self) -> bool:
        return "connected" in self._answers

    def choose(self, audio_format: AudioFormat) -> None:
        if self._format is not None:
            raise CallError(HangupCause.ANSWERED_ELSEWHERE, "another leg of the call has chosen the codec already")
        self._format = audio_format
        if not self._chosen.done():
            self._chosen.set_result(audio_format)

    async def open_rtp(self) -> RtpAddress:
        audio_format = await asyncio.shield(self._chosen)
        answer = self._ask("open", "opened", format=audio_format)
        try:
            async with asyncio.timeout(self._settings.answer_s):
                opened = await answer
        except TimeoutError:
            raise CallError(HangupCause.MEDIA_LOST, "the media worker does not answer") from None
        return RtpAddress(opened["host"], opened["port"])

    def aim_rtp(self, asterisk: RtpAddress) -> None:
        self._tell("aim", host=asterisk.host, port=asterisk.port)

    async def connect(self, setup: EngineSetup, send_signal: Callable[[bytes], None]) -> None:
        audio_format = await asyncio.shield(self._chosen)
        self._send_signal = send_signal
        answer = self._ask("connect", "connected", format=audio_format, setup=wire.pack_setup(setup))
        for blob in self._early:
            self.hear_signal(blob)
        self._early.clear()
        try:
            async with asyncio.timeout(self._settings.connect_s):
                await answer
        except TimeoutError:
            raise CallError(HangupCause.MEDIA_LOST, "no media connection to the Telegram user") from None

    def hear_signal(self, blob: bytes) -> None:
        if self._send_signal is None:
            self._early.append(blob)
        else:
            self._tell("signal", blob=wire.pack_bytes(blob))

    async def lost(self) -> Ending:
        return await asyncio.shield(self._lost)

    async def look(self) -> MediaReport:
        """What the audio is like so far; one that is not `counted` when the worker can't tell."""
        answer = self._answers.get("looked") or self._ask("look", "looked")
        try:
            async with asyncio.timeout(self._settings.answer_s):
                return wire.unpack_report((await asyncio.shield(answer))["report"])
        except (CallError, TimeoutError):
            return MediaReport(counted=False)

    async def close(self) -> MediaReport:
        if self._over is None:
            self._tell("close")
            self._stop(Ending(HangupCause.NORMAL, "the call is over"))
        try:
            async with asyncio.timeout(self._settings.answer_s):
                return await asyncio.shield(self._report)
        except TimeoutError:
            self._worker.kill("it did not close a call")
            return MediaReport(counted=False)

    def hear(self, message: wire.Message) -> None:
        """An event of this call's, from the worker."""
        match message["event"]:
            case "signal":
                if self._send_signal is not None and self._over is None:
                    self._send_signal(wire.unpack_bytes(message["blob"]))
            case "lost":
                self._lose(Ending(HangupCause(message["cause"]), message["detail"]))
            case "closed":
                self._worker.left(self._call_id)
                self._report.set_result(wire.unpack_report(message["report"]))
            case event:
                answer = self._answers.pop(event, None)
                if answer is None or answer.done():
                    return
                if "cause" in message:
                    answer.set_exception(CallError(HangupCause(message["cause"]), message["detail"]))
                else:
                    answer.set_result(message)

    def worker_ended(self, ending: Ending) -> None:
        """Nothing more will come."""
        self._lose(ending)
        self._stop(ending)
        if not self._report.done():
            self._report.set_result(MediaReport(counted=False))

    def _lose(self, ending: Ending) -> None:
        if not self._lost.done() and self._over is None:
            self._lost.set_result(ending)

    def _stop(self, ending: Ending) -> None:
        """Whoever still waits for something is told that it won't come."""
        if self._over is None:
            self._over = ending
        waiters: list[asyncio.Future[Any]] = [self._chosen, *self._answers.values()]
        for waiting in waiters:
            if not waiting.done():
                waiting.set_exception(CallError.of(ending))
                waiting.exception()  # perhaps nobody waits
        self._answers.clear()

    def _ask(self, do: str, event: str, **fields: Any) -> asyncio.Future[wire.Message]:
        answer: asyncio.Future[wire.Message] = asyncio.get_running_loop().create_future()
        if self._over is not None:
            answer.set_exception(CallError.of(self._over))
        else:
            self._answers[event] = answer
            self._tell(do, **fields)
        return answer

    def _tell(self, do: str, **fields: Any) -> None:
        if self._over is None:
            self._worker.tell({"do": do, "call": self._call_id, **fields})

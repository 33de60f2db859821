"""The node's side of the audio path: a pool of worker processes, and each call's seat on one of them.

Between node and worker there are only commands and events. A worker that dies ends its own calls, and is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import structlog

from gateway.errors import CallError, Ending, GatewayError, HangupCause
from gateway.media import wire
from gateway.media.model import AudioFormat, EngineSetup, MediaReport, RtpAddress
from gateway.media.settings import MediaSettings

log = structlog.get_logger(__name__)

#: A worker starts in 0.3 s. One that takes so long hangs.
START_S: Final = 15.0
#: Before the next try, when a worker ended before it was ready.
PAUSE_S: Final = 1.0

#: One thread each for numpy, which works on 160 samples, and few malloc arenas: an idle worker is 10 MB smaller.
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


_LEVELS: Final = logging.getLevelNamesMapping()


class MediaPool:
    """Worker processes, and who sits where. `async with` starts the first, and ends all.

    Attributes:
        deaths: How many have died unasked, since the start.
    """

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self._group = asyncio.TaskGroup()
        self._workers: list[_Worker] = []
        self._closing = False
        self._engine: wire.Message = {}
        self.deaths = 0

    @property
    def engine(self) -> str:
        """The name of the engine that the workers found."""
        return str(self._engine["engine"])

    @property
    def versions(self) -> tuple[str, ...]:
        """The `library_versions` that the engine speaks, as PhoneCallProtocol wants them."""
        return tuple(self._engine["versions"])

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    @property
    def ready(self) -> int:
        """How many workers can take a call now."""
        return sum(worker.was_ready for worker in self._workers)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        try:
            self._engine = await self._add_worker().ready
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for worker in self._workers:
            worker.hang_up()
        if kind is None or not issubclass(kind, asyncio.CancelledError):
            kind = error = trace = None  # the body's own error goes on as it is, not as part of a group
        await self._group.__aexit__(kind, error, trace)

    def place(self, call_id: str) -> MediaCall:
        """Seat a call on the worker with the fewest calls, of those that are not busy setting one up, if there are any.

        Raises:
            CallError: There is none.
        """
        if self._closing:
            raise CallError(HangupCause.SHUTDOWN, "the gateway is being stopped")
        if not self._workers:
            raise CallError(HangupCause.CONGESTION, "no media worker runs")
        worker = min(self._workers, key=lambda worker: (worker.setting_up, len(worker.calls)))
        call = MediaCall(call_id, worker, self._settings)
        worker.calls[call_id] = call
        if len(self._workers) < self._settings.most_workers and all(worker.calls for worker in self._workers):
            self._add_worker()  # so that one is ready when the next call comes
        return call

    def _add_worker(self) -> _Worker:
        worker = _Worker(self._settings)
        self._workers.append(worker)
        self._group.create_task(self._keep(worker), name="media worker")
        return worker

    async def _keep(self, worker: _Worker) -> None:
        """Keep a worker for as long as it lives, and put another in its place then."""
        try:
            try:
                await worker.run()
            finally:
                self._workers.remove(worker)
            self.deaths += not self._closing
            if not self._closing and not worker.was_ready:
                await asyncio.sleep(PAUSE_S)
            if not self._closing:
                self._add_worker()
        finally:
            await worker.reap()


class _Worker:
    """One worker process, from its start to its end. Used once."""

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._early: list[bytes] = []  # said before there is a process to hear it
        self._over = False
        self._heard = False
        self.calls: dict[str, MediaCall] = {}
        self.ready: asyncio.Future[wire.Message] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def was_ready(self) -> bool:
        return self.ready.done() and self.ready.exception() is None

    @property
    def setting_up(self) -> bool:
        """Whether the next call would have to wait for another one's set-up."""
        one_at_a_time = not self.was_ready or self.ready.result()["one_at_a_time"]
        return one_at_a_time and any(call.setting_up for call in self.calls.values())

    def tell(self, message: wire.Message) -> None:
        line = wire.encode(message)
        if self._writer is None:
            self._early.append(line)
        elif not self._over:
            self._writer.write(line)

    def hang_up(self) -> None:
        """Close our end: it exits at once."""
        self._over = True
        if self._writer is not None:
            self._writer.close()

    def kill(self, why: str) -> None:
        if self._process is not None and self._process.returncode is None:
            log.error("media worker killed", pid=self.pid, why=why)
            self._process.kill()

    async def run(self) -> None:
        """Start the process, hear it until its end closes, end its calls."""
        try:
            await self._run()
        except Exception:  # at the task's outermost edge: the next worker is not to blame
            log.exception("media worker failed", pid=self.pid)
        finally:
            self._end()

    async def _run(self) -> None:
        settings = self._settings.model_dump_json(include={"engine", "host", "rtp_ports", "first_audio_s"})
        ours, its = socket.socketpair()
        try:
            reader, self._writer = await asyncio.open_connection(sock=ours, limit=wire.LINE_BYTES)
            self._writer.writelines(self._early)
            if self._over:
                return
            command = (sys.executable, "-m", "gateway.media.worker", settings)
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=its.fileno(), env=os.environ | _ENVIRONMENT
            )
        finally:
            its.close()
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch(), name=f"watch of media worker {self.pid}")
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    self._hear(wire.decode(line))
            watch.cancel()

    async def _watch(self) -> None:
        """Kill it when it no longer answers: native code can lock up, and its calls are silent then."""
        await asyncio.wait([self.ready], timeout=START_S)
        if not self.ready.done():
            self.kill("it did not start")
        silent = 0
        # Once may be this process's own stall: what was answered meanwhile is yet to be read.
        while silent < 2:
            self._heard = False
            self.tell({"do": "ping"})
            await asyncio.sleep(self._settings.answer_s)
            silent = 0 if self._heard else silent + 1
        self.kill("it did not answer")

    def _hear(self, message: wire.Message) -> None:
        self._heard = True
        match message["event"]:
            case "ready":
                log.info("media worker started", pid=self.pid, engine=message["engine"])
                if message["passed_over"]:
                    log.warning("media engine passed over", reason=message["passed_over"])
                self.ready.set_result(message)
            case "refused":
                self.ready.set_exception(GatewayError(message["detail"]))
            case "fault":
                log.error("media worker had a fault", pid=self.pid, trace=message["trace"])
            case "log":
                level = _LEVELS.get(message["level"].upper(), logging.INFO)
                log.log(level, message["text"], pid=self.pid, **message["fields"])
            case "pong":
                pass
            case _:
                if call := self.calls.get(message["call"]):
                    call.hear(message)

    def _end(self) -> None:
        if not self.ready.done():
            self.ready.set_exception(GatewayError("the media worker ended before it was ready"))
        self.ready.exception()  # only the first worker's is waited for
        ending = Ending(HangupCause.SHUTDOWN, "the gateway is being stopped")
        if not self._over:
            ending = Ending(HangupCause.MEDIA_LOST, "the media worker died")
            log.warning("media worker died", pid=self.pid, calls=len(self.calls))
        self.hang_up()
        for call in list(self.calls.values()):
            call.worker_ended(ending)
        self.calls.clear()

    async def reap(self) -> None:
        """See the process off."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(self._settings.answer_s):
                status = await self._process.wait()
        except TimeoutError:
            self.kill("it did not exit")
            status = await self._process.wait()
        log.info("media worker ended", pid=self.pid, status=status)


class MediaCall:
    """The audio of one call, on some worker. Implements `gateway.call.ports.Media`."""

    def __init__(self, call_id: str, worker: _Worker, settings: MediaSettings) -> None:
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

    async def close(self) -> MediaReport:
        if self._over is None:
            self._tell("close")
            self._stop(Ending(HangupCause.NORMAL, "the call is over"))
        try:
            async with asyncio.timeout(self._settings.answer_s):
                return await asyncio.shield(self._report)
        except TimeoutError:
            self._worker.kill("it did not close a call")
            return MediaReport()

    def hear(self, message: wire.Message) -> None:
        """An event of this call's, from the worker."""
        match message["event"]:
            case "signal":
                if self._send_signal is not None and self._over is None:
                    self._send_signal(wire.unpack_bytes(message["blob"]))
            case "lost":
                self._lose(Ending(HangupCause(message["cause"]), message["detail"]))
            case "closed":
                self._worker.calls.pop(self._call_id, None)
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
            self._report.set_result(MediaReport())

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

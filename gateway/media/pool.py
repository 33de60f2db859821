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
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.errors import CallError, Ending, GatewayError, HangupCause
from gateway.media import wire
from gateway.media.model import MediaReport
from gateway.media.seat import MediaCall
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
        self._tidying: asyncio.Task[None] | None = None
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
        self._tidying = self._group.create_task(self._tidy(), name="surplus media workers")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._tidying is not None:
            self._tidying.cancel()
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

    async def look(self, call_id: str) -> MediaReport:
        """What a call's audio is like so far; a report that is not `counted` when nobody can tell."""
        call = next((worker.calls[call_id] for worker in self._workers if call_id in worker.calls), None)
        return await call.look() if call is not None else MediaReport(counted=False)

    def _add_worker(self) -> _Worker:
        worker = _Worker(self._settings)
        self._workers.append(worker)
        self._group.create_task(self._keep(worker), name="media worker")
        return worker

    async def _tidy(self) -> None:
        """Let workers go that a peak has left. One that is idle stays, for whoever calls next."""
        while True:
            await asyncio.sleep(self._settings.retire_s)
            for worker in [worker for worker in self._workers if not worker.calls][1:]:
                if worker.idle_s >= self._settings.retire_s:
                    worker.retired = True
                    self._workers.remove(worker)
                    worker.hang_up()

    async def _keep(self, worker: _Worker) -> None:
        """Keep a worker for as long as it lives, and put another in its place then, unless it was let go."""
        try:
            try:
                await worker.run()
            finally:
                if not worker.retired:
                    self._workers.remove(worker)
            if worker.retired:
                return
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
        self._idle_since = asyncio.get_running_loop().time()
        self.retired = False
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

    @property
    def idle_s(self) -> float:
        """For how long it has had no call."""
        return 0.0 if self.calls else asyncio.get_running_loop().time() - self._idle_since

    def left(self, call_id: str) -> None:
        self.calls.pop(call_id, None)
        self._idle_since = asyncio.get_running_loop().time()

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
        settings = self._settings.model_dump_json(include={"engine", "host", "rtp_ports", "first_audio_s", "dtx"})
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

"""The media worker process: RTP on one side, the Telegram engine on the other. `python -m gateway.media.worker`.

Its standard input is one end of a socket pair, over which the node commands it. It exits as soon as the node's end
closes. It writes no log: what is worth telling goes to the node, which knows the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import itertools
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final

import numpy as np

from gateway.errors import CallError, Ending, GatewayError, HangupCause
from gateway.media import rtp, wire
from gateway.media.codec import Pcm, codec_for
from gateway.media.engine import FRAME_MS, EngineCall, Engines
from gateway.media.loop import EngineLoop
from gateway.media.model import AudioFormat, EngineSetup, MediaReport, RtpAddress
from gateway.media.playout import Cadence, Playout

#: More than an Ethernet frame: no datagram of ours is cut short unseen.
DATAGRAM_BYTES: Final = 2048
#: How long a closed call's port is kept and emptied, so that no new call inherits its audio.
DRAIN_S: Final = 1.0
#: Of a process's life. More would tell nothing new.
MOST_FAULTS: Final = 50
#: Audio in a late process is late for everyone on it.
NICENESS: Final = -11

Tell = Callable[[wire.Message], None]


class WorkerCall:
    """One call: a UDP socket, an engine's call, and between them a core for each direction."""

    def __init__(
        self, call_id: str, audio_format: AudioFormat, engines: Engines, first_audio_s: float, tell: Tell
    ) -> None:
        self._id = call_id
        self._format = audio_format
        self._engines = engines
        self._first_audio_s = first_audio_s
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._codec = codec_for(audio_format)
        self._silence = np.zeros(audio_format.rate_hz * FRAME_MS // 1000, np.int16)
        self._report = MediaReport(engine=engines.best.name)
        self._socket: socket.socket | None = None
        self._buffer = memoryview(bytearray(DATAGRAM_BYTES))
        self._asterisk: tuple[str, int] | None = None
        self._writer = rtp.RtpWriter(
            audio_format.payload_type, random.getrandbits(32), random.getrandbits(16), random.getrandbits(32)
        )
        self._telegram: EngineCall | None = None
        self._early: list[bytes] = []
        self._playout: Playout | None = None  # to Telegram, once that half is open
        self._cadence: Cadence | None = None  # to Asterisk, once both are
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def open_rtp(self, bound: socket.socket) -> None:
        self._socket = bound
        self._loop.add_reader(bound, self._on_datagram)

    def aim(self, asterisk: RtpAddress) -> None:
        self._asterisk = (asterisk.host, asterisk.port)
        self._flow()

    async def connect(self, setup: EngineSetup) -> None:
        engine = await self._engines.for_call(setup)
        self._report.engine = engine.name
        self._report.spare_for = setup.spare_for if engine is not self._engines.best else ""
        self._telegram = engine.call(self._format.rate_hz, setup, self)
        for blob in self._early:
            self._telegram.hear_signal(blob)
        await self._telegram.connect()
        self._playout = Playout(self._format, self._codec, self._report.to_telegram, time.monotonic())
        self._fill()
        self._flow()

    def hear_signal(self, blob: bytes) -> None:
        if self._telegram is None:
            self._early.append(blob)  # the spare engine is still being opened
        else:
            self._telegram.hear_signal(blob)

    def _flow(self) -> None:
        """Once both halves are open, audio goes both ways, be it silence, and Asterisk's is waited for."""
        if self._cadence is None and self._playout is not None and self._asterisk is not None:
            self._cadence = Cadence(FRAME_MS, self._report.to_sip, time.monotonic())
            self._fill()
            self._at(self._loop.time() + self._first_audio_s, self._miss_audio)

    # From Asterisk to Telegram.

    def _on_datagram(self) -> None:
        assert self._socket is not None
        try:
            size, source = self._socket.recvfrom_into(self._buffer)
        except OSError:  # nothing there after all, or the ICMP answer to something that was sent
            return
        packet = rtp.parse(self._buffer[:size])
        if packet is None or (self._asterisk is not None and source[:2] != self._asterisk):
            self._report.to_telegram.ignored += 1
            return
        if self._asterisk is None:
            self._asterisk = source[:2]
            self._flow()
        if self._playout is None or self._telegram is None:
            return
        pcm = self._playout.arrive(packet, time.monotonic())
        if pcm.size:
            self._telegram.feed(pcm)

    def _miss_audio(self) -> None:
        if not self._report.to_telegram.packets:
            self.on_lost(f"no audio came from Asterisk within {self._first_audio_s:g} s")

    # From Telegram to Asterisk. The engine is given these.

    def on_audio(self, pcm: Pcm) -> None:
        if self._cadence is not None and self._cadence.arrive(time.monotonic()):
            self._send(pcm)

    def on_signal(self, blob: bytes) -> None:
        self._tell({"event": "signal", "call": self._id, "blob": wire.pack_bytes(blob)})

    def on_lost(self, why: str) -> None:
        self._tell({"event": "lost", "call": self._id, "cause": HangupCause.MEDIA_LOST, "detail": why})

    def _send(self, pcm: Pcm) -> None:
        if self._socket is None or self._asterisk is None:
            return
        packet = self._writer.write(self._codec.encode(pcm))
        try:  # noqa: SIM105  # `suppress` costs as much as the rest of this
            self._socket.sendto(packet, self._asterisk)
        except OSError:
            pass  # a full buffer, or nobody there: a late packet helps nobody

    # Silence, both ways.

    def _fill(self) -> None:
        """Pass on what is due although nothing came. One timer for both ways: it rings for nothing while both talk."""
        if self._playout is None or self._telegram is None:
            return
        now = time.monotonic()
        pcm = self._playout.tick(now)
        if pcm.size:
            self._telegram.feed(pcm)
        due = self._playout.due
        if self._cadence is not None:
            for _ in range(self._cadence.tick(now)):
                self._send(self._silence)
            due = min(due, self._cadence.due)
        self._at(due, self._fill)

    def _at(self, when: float, then: Callable[[], None]) -> None:
        if timer := self._timers.get(then):
            timer.cancel()
        # The loop's clock counts milliseconds: without one more, it would ring early, and in vain.
        self._timers[then] = self._loop.call_at(when + 0.001, then)

    def report(self) -> MediaReport:
        """What the audio is like so far."""
        report = copy.deepcopy(self._report)
        if self._telegram is not None:
            self._telegram.statistics().add_to(report)
        return report

    def stop(self) -> MediaReport:
        """Stop the audio at once. What is left to do is `close`."""
        for timer in self._timers.values():
            timer.cancel()
        self._playout = self._cadence = None
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
        if self._telegram is not None:
            self._telegram.statistics().add_to(self._report)
        return self._report

    async def close(self) -> None:
        """Let go of the engine's call, and of the port when no more audio for it is under way."""
        try:
            if self._telegram is not None:
                await self._telegram.close()
            if self._socket is not None:
                await asyncio.sleep(DRAIN_S)
        finally:
            if self._socket is not None:
                self._socket.close()


class Worker:
    """Does what the node says, call by call."""

    def __init__(self, engines: Engines, settings: wire.Message, tell: Tell, group: asyncio.TaskGroup) -> None:
        self._engines = engines
        self._host: str = settings["host"]
        self._ports: list[int] | None = settings["rtp_ports"]
        self._first_audio_s: float = settings["first_audio_s"]
        self._tell = tell
        self._group = group
        self._calls: dict[str, WorkerCall] = {}
        self._connecting: dict[str, asyncio.Task[None]] = {}

    def obey(self, message: wire.Message) -> None:
        """Do one command. What takes long goes on in a task; every `open`, `connect` and `close` is answered."""
        call_id = message.get("call", "")
        match message["do"]:
            case "ping":
                self._tell({"event": "pong"})
            case "open":
                self._open(call_id, AudioFormat(message["format"]))
            case "connect":
                connecting = self._connect(call_id, AudioFormat(message["format"]), wire.unpack_setup(message["setup"]))
                self._connecting[call_id] = self._start("connect", call_id, connecting)
            case "close":
                self._start("close", call_id, self._close(call_id))
            case "look":
                if call := self._calls.get(call_id):
                    report = wire.pack_report(call.report())
                    self._tell({"event": "looked", "call": call_id, "report": report})
            case "aim":
                if call := self._calls.get(call_id):
                    call.aim(RtpAddress(message["host"], message["port"]))
            case "signal":
                if call := self._calls.get(call_id):
                    call.hear_signal(wire.unpack_bytes(message["blob"]))

    def _call(self, call_id: str, audio_format: AudioFormat) -> WorkerCall:
        call = self._calls.get(call_id)
        if call is None:
            call = WorkerCall(call_id, audio_format, self._engines, self._first_audio_s, self._tell)
            self._calls[call_id] = call
        return call

    def _open(self, call_id: str, audio_format: AudioFormat) -> None:
        try:
            bound = bind(self._host, self._ports)
        except CallError as error:
            self._fail("opened", call_id, error.ending)
            return
        self._call(call_id, audio_format).open_rtp(bound)
        host, port = bound.getsockname()[:2]
        self._tell({"event": "opened", "call": call_id, "host": host, "port": port})

    async def _connect(self, call_id: str, audio_format: AudioFormat, setup: EngineSetup) -> None:
        try:
            await self._call(call_id, audio_format).connect(setup)
        except CallError as error:
            self._fail("connected", call_id, error.ending)
        else:
            self._tell({"event": "connected", "call": call_id})
        finally:
            self._connecting.pop(call_id, None)

    async def _close(self, call_id: str) -> None:
        call = self._calls.pop(call_id, None)
        report = call.stop() if call else MediaReport(engine=self._engines.best.name)
        self._tell({"event": "closed", "call": call_id, "report": wire.pack_report(report)})
        if connecting := self._connecting.get(call_id):
            connecting.cancel()
            await asyncio.wait([connecting])
        if call:
            await call.close()

    def _fail(self, event: str, call_id: str, ending: Ending) -> None:
        self._tell({"event": event, "call": call_id, "cause": ending.cause, "detail": ending.detail})

    def _start(self, what: str, call_id: str, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(self._guarded(doing, call_id), name=f"{what} {call_id}")

    async def _guarded(self, doing: Coroutine[Any, Any, None], call_id: str) -> None:
        """A fault ends the call that it happened to, and no other."""
        try:
            await doing
        except Exception:  # noqa: BLE001  # the task's outermost edge
            self._tell({"event": "fault", "trace": traceback.format_exc()})
            self._fail("lost", call_id, Ending(HangupCause.INTERNAL, "a fault in the media worker"))


def bind(host: str, ports: list[int] | None) -> socket.socket:
    """A UDP socket on a free port: any, or one of the range, both ends included. Raises `CallError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = [0]
    if ports is not None:
        candidates = list(range(ports[0], ports[1] + 1))
        random.shuffle(candidates)
    for port in candidates:
        bound = socket.socket(family, socket.SOCK_DGRAM)
        bound.setblocking(False)
        try:
            bound.bind((host, port))
        except OSError:
            bound.close()
        else:
            return bound
    raise CallError(HangupCause.CONGESTION, f"no RTP port is free on {host}")


async def serve(node: socket.socket, settings: wire.Message) -> None:
    """Do what the node says until its end closes."""
    reader, writer = await asyncio.open_connection(sock=node, limit=wire.LINE_BYTES)

    def tell(message: wire.Message) -> None:
        writer.write(wire.encode(message))

    try:
        opening = Engines(settings["engine"], functools.partial(_tell_log, tell), dtx=settings["dtx"])
        async with opening as engines, asyncio.TaskGroup() as group:
            worker = Worker(engines, settings, tell, group)
            asyncio.get_running_loop().set_exception_handler(functools.partial(_tell_fault, tell, itertools.count()))
            tell(
                {
                    "event": "ready",
                    "engine": engines.best.name,
                    "versions": engines.best.versions,
                    "one_at_a_time": engines.best.one_at_a_time,
                    "passed_over": engines.passed_over,
                }
            )
            _hurry()
            with contextlib.suppress(ConnectionError):
                while line := await reader.readline():
                    worker.obey(wire.decode(line))
            # Nobody is left to whom an orderly end would matter, and native code is best not waited for.
            os._exit(0)
    except GatewayError as error:
        tell({"event": "refused", "detail": str(error)})
        await writer.drain()


def _hurry() -> None:
    """Be prompt from now on; not while loading, when other workers' calls need the processor more."""
    gc.freeze()  # what is loaded stays: no collection need look at it again
    with contextlib.suppress(OSError):  # permitted to root, or with CAP_SYS_NICE
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def _tell_log(tell: Tell, level: str, event: str, fields: Mapping[str, Any]) -> None:
    tell({"event": "log", "level": level, "text": event, "fields": dict(fields)})


def _tell_fault(tell: Tell, told: Iterator[int], _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A fault in a callback of the loop's: with a packet, at a timer. The next packet may bring the same."""
    if next(told) < MOST_FAULTS:
        fault = context.get("exception")
        trace = "".join(traceback.format_exception(fault)) if fault else ""
        tell({"event": "fault", "trace": f"{context['message']}\n{trace}"})


def main() -> None:
    # The terminal's and the service manager's signals mean the node: it drains, and then closes its end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    settings = json.loads(sys.argv[1])
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        runner.run(serve(socket.socket(fileno=sys.stdin.fileno()), settings))


if __name__ == "__main__":
    main()

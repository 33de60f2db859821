"""What a media worker costs: processor time and memory a call, set-up time, and its own share of the delay."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import Any, Final

import numpy as np
import psutil

from gateway.media import rtp, wire
from gateway.media.codec import Pcm, codec_for
from gateway.media.engine import EngineCall, EngineEar, Engines, EngineStatistics
from gateway.media.loop import EngineLoop
from gateway.media.model import AudioFormat, EngineSetup, RtpAddress
from gateway.media.pool import MediaPool
from gateway.media.seat import MediaCall
from gateway.media.settings import MediaSettings
from gateway.media.worker import Worker
from tests.integration.tgcall.peer import Users, tone

Row = dict[str, Any]

GIVE_UP_S: Final = 0.1


class Phone:
    """Asterisk's end of a media channel: sends a prepared second over and over, empties its socket."""

    def __init__(self, audio_format: AudioFormat, worker: RtpAddress, number: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self._worker = (worker.host, worker.port)
        encoded = codec_for(audio_format).encode(tone(400 + 20 * number, 1.0, audio_format.rate_hz))
        self._pieces = [encoded[at : at + 160] for at in range(0, len(encoded), 160)]
        self._writer = rtp.RtpWriter(audio_format.payload_type, number, 0, 0)
        self._at = 0

    @property
    def address(self) -> RtpAddress:
        return RtpAddress(*self.socket.getsockname())

    def send(self) -> None:
        self.socket.sendto(self._writer.write(self._pieces[self._at % len(self._pieces)]), self._worker)
        self._at += 1

    def empty(self) -> int:
        packets = 0
        try:
            while True:
                self.socket.recv(2048)
                packets += 1
        except BlockingIOError:
            return packets


async def _connect(
    pool: MediaPool, users: Users, number: int, audio_format: AudioFormat
) -> tuple[MediaCall, Phone, float]:
    begun = time.perf_counter()
    call = pool.place(f"bench{number}")
    call.choose(audio_format)
    phone = Phone(audio_format, await call.open_rtp(), number)
    call.aim_rtp(phone.address)
    key = os.urandom(256)
    hz = 300.0 + 10 * number
    users.join(number, key, outgoing=False, hz=hz, versions=pool.versions, on_signal=call.hear_signal)
    setup = EngineSetup(key, True, (), pool.versions, True)
    await call.connect(setup, lambda blob: users.hear_signal(number, blob))
    return call, phone, time.perf_counter() - begun


async def _talk(phones: list[Phone], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for tick in range(int(seconds * 50)):
        await asyncio.sleep(max(0.0, start + tick * 0.02 - loop.time()))
        for phone in phones:
            phone.send()
            phone.empty()


async def calls(
    engine: str, audio_format: AudioFormat, numbers: tuple[int, ...] = (1, 10, 30), seconds: float = 6.0
) -> list[Row]:
    """One worker carries so many calls, a tone each way."""
    rows: list[Row] = []

    def note(name: str, value: float, unit: str, **parameters: Any) -> None:
        row = {"name": name, "value": round(value, 2), "unit": unit, "engine": engine, "format": audio_format.value}
        rows.append(row | parameters)

    settings = MediaSettings.model_validate({"engine": engine, "workers": 1})
    async with MediaPool(settings) as pool, Users.open() as users:
        worker = psutil.Process(pool.pids[0])
        await asyncio.sleep(1.0)
        idle, before = worker.memory_full_info().pss, _spent(worker)
        await asyncio.sleep(3.0)
        note("worker_idle_memory", idle / 1e6, "MB")
        note("worker_idle_cpu", (_spent(worker) - before) / 3.0 * 100, "% of a core")
        opened: list[tuple[MediaCall, Phone, float]] = []
        for number in numbers:
            while len(opened) < number:
                opened.append(await _connect(pool, users, len(opened), audio_format))
                await asyncio.sleep(0.15)  # the users' own engine sets up one call after the other
            phones = [phone for _, phone, _ in opened]
            await _talk(phones, 1.0)
            before, begun = _spent(worker), time.perf_counter()
            await _talk(phones, seconds)
            share = (_spent(worker) - before) / (time.perf_counter() - begun) / number * 100
            note("worker_cpu_per_call", share, "% of a core", calls=number)
            note("worker_memory_per_call", (worker.memory_full_info().pss - idle) / number / 1e6, "MB", calls=number)
            note("worker_threads", worker.num_threads(), "", calls=number)
        took = [1000 * seconds for _, _, seconds in opened]
        for percentile in (50, 95):
            note(f"media_setup_p{percentile}", float(np.percentile(took, percentile)), "ms")
        reports = [await call.close() for call, _, _ in opened]
        for way in ("to_telegram", "to_sip"):
            for counter in ("lost", "late", "dropped_ms", "concealed_ms"):
                note(f"{way}_{counter}", sum(getattr(getattr(report, way), counter) for report in reports), "")
        for _, phone, _ in opened:
            phone.socket.close()
    return rows


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class _Stopwatch:
    """An engine, and its calls, that note when audio reaches them."""

    name = "stopwatch"
    versions = ()
    one_at_a_time = False

    def __init__(self) -> None:
        self.ears: list[EngineEar] = []
        self.fed_at: list[float] = []

    def call(self, _rate_hz: int, _setup: EngineSetup, ear: EngineEar) -> EngineCall:
        self.ears.append(ear)
        return self

    async def connect(self) -> None:
        """At once."""

    def hear_signal(self, _blob: bytes) -> None:
        """There is nobody to hear."""

    def feed(self, pcm: Pcm) -> None:
        if pcm.any():
            self.fed_at.append(time.perf_counter())

    def statistics(self) -> EngineStatistics:
        return EngineStatistics()

    async def close(self) -> None:
        """Nothing is open."""


async def delay(audio_format: AudioFormat, number: int) -> list[Row]:
    """From a datagram's departure to the engine, and from the engine to a datagram's arrival; `number` calls at once.

    Without the engine, and without the 10 ms that it may take to make a packet of an engine's two frames.
    """
    engine, opened = _Stopwatch(), asyncio.Queue[wire.Message]()
    settings = {"host": "127.0.0.1", "rtp_ports": None, "first_audio_s": 60.0}
    setup = wire.pack_setup(EngineSetup(bytes(256), True, (), (), True))
    to_telegram, to_sip = [], []
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        worker = Worker(Engines.only(engine), settings, opened.put_nowait, group)
        phones = []
        for n in range(number):
            worker.obey({"do": "open", "call": str(n), "format": audio_format})
            address = await opened.get()
            phones.append(Phone(audio_format, RtpAddress(address["host"], address["port"]), n))
            worker.obey({"do": "aim", "call": str(n), "host": "127.0.0.1", "port": phones[n].address.port})
            worker.obey({"do": "connect", "call": str(n), "format": audio_format, "setup": setup})
            await opened.get()
        frame = tone(500, 0.02, audio_format.rate_hz)
        start = loop.time()
        for tick in range(200):
            for n, phone in enumerate(phones):
                await asyncio.sleep(max(0.0, start + (tick + n / number) * 0.02 - loop.time()))
                engine.fed_at.clear()
                sent_at = time.perf_counter()
                phone.send()
                while not engine.fed_at and time.perf_counter() - sent_at < GIVE_UP_S:  # noqa: ASYNC110
                    await asyncio.sleep(0)  # a turn of the loop at a time: that is what is measured
                to_telegram += [fed_at - sent_at for fed_at in engine.fed_at[:1]]
                phone.empty()
                said_at = time.perf_counter()
                engine.ears[n].on_audio(frame)
                if phone.empty():  # sent within the call, if not dropped after a stall of this machine
                    to_sip.append(time.perf_counter() - said_at)
        for n, phone in enumerate(phones):
            worker.obey({"do": "close", "call": str(n)})
            phone.socket.close()
    rows = []
    for name, times in (("media_delay_to_telegram", to_telegram), ("media_delay_to_sip", to_sip)):
        for percentile in (50, 95):
            value = round(float(np.percentile(times, percentile)) * 1000, 3)
            row = {"name": f"{name}_p{percentile}", "value": value, "unit": "ms"}
            rows.append(row | {"format": audio_format.value, "calls": number})
    return rows


def run() -> list[Row]:
    """All rows; some two minutes. Wants a network that is not loopback alone (`enter_private_network`)."""
    rows: list[Row] = []
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        for audio_format in (AudioFormat.ALAW, AudioFormat.G722):
            for number in (1, 30):
                rows += runner.run(delay(audio_format, number))
            for engine in ("tgcall", "ntgcalls"):
                rows += runner.run(calls(engine, audio_format))
    return rows

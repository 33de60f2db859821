"""What a media worker costs: processor time and memory a call, set-up time, and its own share of the delay."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import Any

import numpy as np
import psutil

from gateway.media import rtp
from gateway.media.codec import codec_for
from gateway.media.model import AudioFormat, EngineSetup, RtpAddress
from gateway.media.pool import MediaCall, MediaPool, MediaSettings
from tests.integration.media.peer import Users, tone

Row = dict[str, Any]


class Phone:
    """Asterisk's end of a media channel: sends a prepared second over and over, empties its socket."""

    def __init__(self, audio_format: AudioFormat, worker: RtpAddress, number: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self._worker = (worker.host, worker.port)
        rate = audio_format.rate_hz
        encoded = codec_for(audio_format).encode(tone(400 + 20 * number, 1.0, rate))
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


async def _connect(pool: MediaPool, users: Users, number: int, audio_format: AudioFormat) -> tuple[MediaCall, Phone]:
    call = pool.place(f"bench{number}")
    call.choose(audio_format)
    phone = Phone(audio_format, await call.open_rtp(), number)
    call.aim_rtp(phone.address)
    key = os.urandom(256)
    users.join(number, key, outgoing=False, hz=300.0 + 10 * number, versions=pool.versions, on_signal=call.hear_signal)
    setup = EngineSetup(key, True, (), pool.versions, True)
    await call.connect(setup, lambda blob: users.hear_signal(number, blob))
    return call, phone


async def _talk(phones: list[Phone], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for tick in range(int(seconds * 50)):
        await asyncio.sleep(max(0.0, start + tick * 0.02 - loop.time()))
        for phone in phones:
            phone.send()
            phone.empty()


async def calls(numbers: tuple[int, ...] = (1, 10, 30), engine: str = "auto", seconds: float = 8.0) -> list[Row]:
    """One worker carries so many calls, audio both ways, in each format's own rate."""
    rows: list[Row] = []
    for audio_format in (AudioFormat.ALAW, AudioFormat.G722):
        settings = MediaSettings.model_validate({"engine": engine, "workers": 1})
        async with MediaPool(settings) as pool, Users.open() as users:
            worker = psutil.Process(pool.pids[0])
            await asyncio.sleep(1.0)
            idle, idle_cpu = worker.memory_full_info(), worker.cpu_times()
            await asyncio.sleep(2.0)
            spent = _seconds(worker.cpu_times()) - _seconds(idle_cpu)
            say = {"engine": pool.engine, "format": audio_format.value}
            rows += [
                {"name": "worker_idle_memory", "value": round(idle.pss / 1e6, 1), "unit": "MB", **say},
                {"name": "worker_idle_cpu", "value": round(spent / 2.0 * 100, 2), "unit": "% of a core", **say},
            ]
            open_calls: list[MediaCall] = []
            phones: list[Phone] = []
            took: list[float] = []
            for number in numbers:
                while len(open_calls) < number:
                    begun = time.perf_counter()
                    call, phone = await _connect(pool, users, len(open_calls), audio_format)
                    took.append(time.perf_counter() - begun)
                    open_calls.append(call)
                    phones.append(phone)
                await _talk(phones, 1.5)
                before, switched = _seconds(worker.cpu_times()), time.perf_counter()
                await _talk(phones, seconds)
                share = (_seconds(worker.cpu_times()) - before) / (time.perf_counter() - switched) / number * 100
                used = (worker.memory_full_info().pss - idle.pss) / number / 1e6
                rows += [
                    {
                        "name": "worker_cpu_per_call",
                        "value": round(share, 2),
                        "unit": "% of a core",
                        "calls": number,
                        **say,
                    },
                    {"name": "worker_memory_per_call", "value": round(used, 2), "unit": "MB", "calls": number, **say},
                    {"name": "worker_threads", "value": worker.num_threads(), "unit": "", "calls": number, **say},
                ]
            for percentile in (50, 95):
                value = round(float(np.percentile(took, percentile)) * 1000, 1)
                rows.append({"name": f"media_setup_p{percentile}", "value": value, "unit": "ms", **say})
            reports = [await call.close() for call in open_calls]
            for name in ("lost", "late", "dropped_ms", "filled_ms", "concealed_ms"):
                for way in ("to_telegram", "to_sip"):
                    total = sum(getattr(getattr(report, way), name) for report in reports)
                    rows.append({"name": f"{way}_{name}", "value": total, "unit": "", **say})
    return rows


def _seconds(times: Any) -> float:
    return float(times.user + times.system)


def run() -> list[Row]:
    return asyncio.run(calls())


if __name__ == "__main__":
    for row in run():
        print(row)

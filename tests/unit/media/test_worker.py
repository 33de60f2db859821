"""A worker's call, with real sockets on one side and a scripted engine on the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gateway.errors import HangupCause
from gateway.media import rtp, wire
from gateway.media import worker as worker_module
from gateway.media.codec import Pcm, codec_for
from gateway.media.engine import Engines
from gateway.media.model import AudioFormat, EngineSetup, MediaReport
from gateway.media.worker import Worker
from tests.unit.media.scripted import ScriptedCall, ScriptedEngine

SETUP = EngineSetup(os.urandom(256), True, (), ("9.0.0",), True)


@dataclass
class Bench:
    """A worker without a process: commands go in, `told` is what the node would hear."""

    worker: Worker
    engine: ScriptedEngine
    told: list[wire.Message] = field(default_factory=list)

    def do(self, what: str, call: str = "call", **fields: Any) -> None:
        self.worker.obey({"do": what, "call": call, **fields})

    async def event(self, name: str, call: str = "call") -> wire.Message:
        def found() -> list[wire.Message]:
            return [message for message in self.told if (message["event"], message.get("call")) == (name, call)]

        await until(lambda: bool(found()))
        return found()[-1]

    async def open(self, audio_format: AudioFormat = AudioFormat.ALAW) -> Asterisk:
        self.do("open", format=audio_format)
        opened = await self.event("opened")
        return Asterisk(audio_format, (opened["host"], opened["port"]))

    async def connect(self, audio_format: AudioFormat = AudioFormat.ALAW) -> ScriptedCall:
        self.do("connect", format=audio_format, setup=wire.pack_setup(SETUP))
        await until(lambda: bool(self.engine.calls))
        self.engine.calls[-1].may_connect.set()
        await self.event("connected")
        return self.engine.calls[-1]

    async def close(self) -> MediaReport:
        self.do("close")
        return wire.unpack_report((await self.event("closed"))["report"])


class Asterisk:
    def __init__(self, audio_format: AudioFormat, worker: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.worker = worker
        self.writer = rtp.RtpWriter(audio_format.payload_type, 1, 0, 0)

    @property
    def address(self) -> dict[str, Any]:
        host, port = self.socket.getsockname()
        return {"host": host, "port": port}

    def say(self, code: int, packets: int = 1) -> None:
        for _ in range(packets):
            self.socket.sendto(self.writer.write(bytes([code]) * 160), self.worker)

    def hear(self) -> list[rtp.RtpPacket]:
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = rtp.parse(memoryview(self.socket.recv(2048)))
                assert packet is not None
                packets.append(packet)
        return packets


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.002)


def says(code: int) -> Pcm:
    """What a packet full of this A-law code sounds like."""
    return codec_for(AudioFormat.ALAW).decode(memoryview(bytes([code])))


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(worker_module, "DRAIN_S", 0.05)
    engine = ScriptedEngine()
    told: list[wire.Message] = []
    settings = {"host": "127.0.0.1", "rtp_ports": None, "first_audio_s": 0.2}
    async with asyncio.TaskGroup() as group:
        bench = Bench(Worker(Engines.only(engine), settings, told.append, group), engine, told)
        yield bench
        for call in {message.get("call", "call") for message in told}:
            bench.do("close", call)


async def test_audio_is_taken_from_the_first_valid_source_and_answered_there(bench: Bench) -> None:
    asterisk = await bench.open()
    call = await bench.connect()
    with asterisk.socket, Asterisk(AudioFormat.ALAW, asterisk.worker).socket as stranger:
        asterisk.say(0x10)
        await until(lambda: call.heard.size >= 160)
        stranger.sendto(rtp.RtpWriter(8, 9, 0, 0).write(bytes(160)), asterisk.worker)
        call.ear.on_audio(np.full(160, 5000, np.int16))
        asterisk.say(0x10)
        await until(lambda: call.heard.size >= 320)
        assert set(call.heard.tolist()) <= {*says(0x10).tolist(), 0}
        (packet, *_) = asterisk.hear()
        assert packet.payload_type == 8
        assert (await bench.close()).to_telegram.ignored == 1


async def test_audio_is_taken_only_from_where_asterisk_was_announced(bench: Bench) -> None:
    asterisk = await bench.open()
    with asterisk.socket, contextlib.closing(Asterisk(AudioFormat.ALAW, asterisk.worker).socket) as stranger:
        bench.do("aim", **asterisk.address)
        call = await bench.connect()
        stranger.sendto(rtp.RtpWriter(8, 9, 0, 0).write(b"\x20" * 160), asterisk.worker)
        asterisk.say(0x10)
        await until(lambda: says(0x10)[0] in call.heard)
        assert says(0x20)[0] not in call.heard
        report = await bench.close()
        assert (report.to_telegram.ignored, report.to_telegram.packets) == (1, 1)


async def test_nothing_flows_before_both_halves_are_open(bench: Bench) -> None:
    asterisk = await bench.open()
    with asterisk.socket:
        bench.do("aim", **asterisk.address)
        asterisk.say(0x10, packets=3)
        bench.do("connect", format=AudioFormat.ALAW, setup=wire.pack_setup(SETUP))
        await until(lambda: bool(bench.engine.calls))
        (call,) = bench.engine.calls
        call.ear.on_audio(np.zeros(160, np.int16))
        await asyncio.sleep(0.1)
        assert not call.fed
        assert not asterisk.hear()
        call.may_connect.set()
        await bench.event("connected")
        asterisk.say(0x10)
        await until(lambda: says(0x10)[0] in call.heard)


async def test_silence_goes_both_ways_while_neither_side_says_anything(bench: Bench) -> None:
    asterisk = await bench.open()
    with asterisk.socket:
        bench.do("aim", **asterisk.address)
        call = await bench.connect()
        await asyncio.sleep(0.5)
        report = await bench.close()
        packets = asterisk.hear()
        assert 18 <= len(packets) <= 26
        assert packets[0].marker
        assert {packet.timestamp - packets[0].timestamp for packet in packets} == {160 * n for n in range(len(packets))}
        assert report.to_sip.filled_ms == 20 * len(packets)
        assert report.to_telegram.filled_ms == call.heard.size // 8
        assert 400 <= report.to_telegram.filled_ms <= 520
        assert not call.heard.any()


async def test_a_watchdog_tells_when_asterisk_never_sends(bench: Bench) -> None:
    asterisk = await bench.open()
    with asterisk.socket:
        bench.do("aim", **asterisk.address)
        await bench.connect()
        lost = await bench.event("lost")
        assert lost["cause"] == HangupCause.MEDIA_LOST
        assert "Asterisk" in lost["detail"]


async def test_the_watchdog_is_content_with_one_packet(bench: Bench) -> None:
    asterisk = await bench.open()
    with asterisk.socket:
        bench.do("aim", **asterisk.address)
        await bench.connect()
        asterisk.say(0x10)
        await asyncio.sleep(0.3)
        assert "lost" not in {message["event"] for message in bench.told}


async def test_signals_go_through_in_order_both_ways(bench: Bench) -> None:
    call = await bench.connect()
    for n in range(5):
        bench.do("signal", blob=wire.pack_bytes(bytes([n])))
        call.ear.on_signal(bytes([n]))
    assert call.signals == [bytes([n]) for n in range(5)]
    sent = [message["blob"] for message in bench.told if message["event"] == "signal"]
    assert [wire.unpack_bytes(blob) for blob in sent] == call.signals


async def test_a_refusal_of_the_engine_is_told_with_its_cause(bench: Bench) -> None:
    bench.do("connect", format=AudioFormat.G722, setup=wire.pack_setup(SETUP))
    await until(lambda: bool(bench.engine.calls))
    (call,) = bench.engine.calls
    assert call.rate_hz == 16000
    assert call.setup == SETUP
    call.refuses = True
    call.may_connect.set()
    answer = await bench.event("connected")
    assert (answer["cause"], answer["detail"]) == (HangupCause.MEDIA_LOST, "refused by the script")


async def test_a_lost_connection_is_told(bench: Bench) -> None:
    call = await bench.connect()
    call.ear.on_lost("it failed")
    assert (await bench.event("lost"))["detail"] == "it failed"


async def test_closing_while_connecting_lets_go_of_the_engines_call(bench: Bench) -> None:
    bench.do("connect", format=AudioFormat.ALAW, setup=wire.pack_setup(SETUP))
    await until(lambda: bool(bench.engine.calls))
    await bench.close()
    async with asyncio.timeout(1):
        await bench.engine.calls[0].closed.wait()


async def test_the_report_holds_what_the_engine_knows_of_its_path(bench: Bench) -> None:
    await bench.connect()
    report = await bench.close()
    assert (report.engine, report.version, report.path, report.rtt_ms) == ("scripted", "9.0.0", "direct", 12.0)
    assert (report.to_sip.lost, report.to_sip.concealed_ms) == (2, 40)


async def test_closing_what_was_never_opened_is_answered(bench: Bench) -> None:
    assert await bench.close() == MediaReport(engine="scripted")


async def test_a_fault_in_one_call_ends_it_and_spares_the_others(bench: Bench) -> None:
    bench.do("connect", call="broken", format=AudioFormat.ALAW, setup=wire.pack_setup(SETUP))
    await until(lambda: bool(bench.engine.calls))
    bench.engine.calls[0].breaks = True
    bench.engine.calls[0].may_connect.set()
    assert (await bench.event("lost", "broken"))["cause"] == HangupCause.INTERNAL
    (fault,) = [message for message in bench.told if message["event"] == "fault"]
    assert "ZeroDivisionError" in fault["trace"]
    with (await bench.open()).socket:
        assert (await bench.close()).to_telegram.packets == 0


async def test_a_port_is_not_bound_again_while_late_audio_may_come(bench: Bench) -> None:
    asterisk = await bench.open()
    with asterisk.socket:
        await bench.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as next_call:
            with pytest.raises(OSError, match="in use"):
                next_call.bind(asterisk.worker)
            await asyncio.sleep(0.15)
            next_call.bind(asterisk.worker)

"""How long speech takes through the whole gateway, where that time goes, and how it sounds then.

A telephone and a Telegram user (unmodified ntgcalls) say a sentence to each other several times. The delay from mouth
to ear is found in the recordings; the gateway's part of it on the wire, hop by hop. The quality is PESQ's, beside that
of the telephone's codec alone.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from gateway.media.codec import codec_for
from gateway.media.loop import EngineLoop
from gateway.media.model import AudioFormat
from gateway.sandbox.audio import Pcm, match, read_wav, resampled, speech, write_wav
from gateway.sandbox.behaviour import CallReport
from gateway.sandbox.phone import PhoneCall
from gateway.sandbox.phone.sound import rate_of
from gateway.sandbox.robots import Robot

from . import media_worker
from ._engine_users import USERS_PACKET_MS
from ._gateway_wire import Datagram, Ways, listening, may_listen, ways
from ._gateway_world import Row, Served, load, serving

CODECS: Final = ("ulaw", "g722")
#: Of what Telegram's users say and hear.
_USER_HZ: Final = 16000
#: Before the first sentence and between sentences: nothing of one is in the recording of the next.
_PAUSE_S: Final = 0.8

#: Two codecs in a row leave well above 0.7 of the telephone band's waveform; other speech reaches 0.3.
_HEARD: Final = 0.5

Pesq = Callable[[int, Pcm, Pcm, str], float]


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a call: what was said, and each time that it was heard.

    Attributes:
        delays_ms: From mouth to ear.
        heard: What was, from where it begins in the recording.
    """

    name: str
    rate_hz: int
    said: Pcm
    delays_ms: list[float]
    heard: list[Pcm]

    @property
    def delay_ms(self) -> float:
        return statistics.median(self.delays_ms) if self.delays_ms else math.nan


def heard_each_time(name: str, rate_hz: int, said: Pcm, said_at: Sequence[float], heard: Pcm, heard_at: float) -> Way:
    """Find in a recording, which begins at `heard_at`, what was said at each of `said_at`."""
    delays_ms, pieces = [], []
    for at in said_at:
        begin = max(0, round((at - heard_at) * rate_hz))
        stretch = heard[begin : begin + len(said) + round(_PAUSE_S * rate_hz)]
        found = match(said, stretch, rate_hz)
        if found.likeness < _HEARD:
            continue  # the machine had no time for it
        delays_ms.append(1000 * (heard_at + begin / rate_hz + found.delay_s - at))
        first = max(0, round(found.delay_s * rate_hz))
        pieces.append(stretch[first : first + len(said)])
    return Way(name, rate_hz, said, delays_ms, pieces)


class Talk:
    """One call from the telephone to a user, with what both say and hear."""

    def __init__(self, gateway: Served, codec: str, times: int) -> None:
        self.codec = codec
        self._gateway = gateway
        self._times = times
        self._said_at: list[float] = []
        self._robot: Robot
        self._call: PhoneCall

    async def connect(self) -> None:
        path = self._gateway.state / f"said-{self.codec}.wav"
        pause = np.zeros(round(_PAUSE_S * _USER_HZ), np.int16)
        write_wav(path, np.concatenate([speech("telegram", _USER_HZ), pause] * self._times), _USER_HZ)
        behaviour: dict[str, Any] = {"audio": str(path), "audio_after_s": _PAUSE_S, "rate_hz": _USER_HZ}
        self._robot = await self._gateway.sandbox.robots.add(self._gateway.person(), **behaviour)
        self._call = await self._gateway.call(self._robot.user, self.codec)
        await self._robot.wait("connected")

    @property
    def port(self) -> int:
        return self._call.sound.port

    async def talk(self) -> None:
        """Say the sentence again and again, as long as the user says his."""
        rate_hz = rate_of(self.codec)
        said = speech("telephone", rate_hz)
        longest_s = max(len(said) / rate_hz, len(speech("telegram", _USER_HZ)) / _USER_HZ)
        await asyncio.sleep(_PAUSE_S)
        for _ in range(self._times):
            self._said_at.append(self._call.sound.play(said, loop=False))
            await asyncio.sleep(longest_s + _PAUSE_S)
        await asyncio.sleep(_PAUSE_S)

    async def end(self) -> tuple[Way, Way]:
        """Hang up. Answers the way to Telegram and the way to SIP."""
        await self._call.hang_up()
        report = await self._robot.wait("ended")
        return self._to_telegram(report), self._to_sip(report)

    def _to_telegram(self, report: CallReport) -> Way:
        assert report.recording is not None
        assert report.first_heard_at is not None
        rate_hz = rate_of(self.codec)
        heard = resampled(read_wav(Path(report.recording))[0], _USER_HZ, rate_hz)
        said = speech("telephone", rate_hz)
        return heard_each_time("to Telegram", rate_hz, said, self._said_at, heard, report.first_heard_at)

    def _to_sip(self, report: CallReport) -> Way:
        assert report.first_said_at is not None
        rate_hz, sound = rate_of(self.codec), self._call.sound
        said = speech("telegram", _USER_HZ)
        each_s = len(said) / _USER_HZ + _PAUSE_S
        said_at = [report.first_said_at + time * each_s for time in range(self._times)]
        said = resampled(said, _USER_HZ, rate_hz)
        return heard_each_time("to SIP", rate_hz, said, said_at, sound.pcm(), sound.heard[0].at)


async def _talks(engine: str, times: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), engine) as gateway:
            talks = [Talk(gateway, codec, times) for codec in CODECS]
            for talk in talks:
                await talk.connect()
            noted: list[Datagram] = []
            if may_listen():
                async with listening() as noted:
                    await asyncio.gather(*(talk.talk() for talk in talks))
            else:
                await asyncio.gather(*(talk.talk() for talk in talks))
            ports = [_udp_ports(pid) for pid in gateway.pids()["workers"]]
            rows: list[Row] = []
            for talk in talks:
                with_ = {"engine": engine, "codec": talk.codec}
                port = talk.port
                to_telegram, to_sip = await talk.end()
                rows += [row | with_ for row in _delays(to_telegram, to_sip, ways(noted, port, ports))]
                rows += [row | with_ for way in (to_telegram, to_sip) for row in _quality(way, talk.codec)]
            return rows


def _udp_ports(pid: int) -> set[int]:
    return {connection.laddr[1] for connection in psutil.Process(pid).net_connections("udp")}


def _delays(to_telegram: Way, to_sip: Way, hops: Ways) -> list[Row]:
    """Mouth to ear, and the hops of it; what was not heard on the wire is left out."""
    rows: list[Row] = [
        {"name": f"delay {way.name}", "value": way.delay_ms, "unit": "ms", "of": "all", "load": load()}
        for way in (to_telegram, to_sip)
    ]
    if not (hops.asterisk_out and hops.worker_out and hops.asterisk_in):
        return rows

    def note(way: Way, of: str, *percentiles: tuple[str, float]) -> None:
        rows.extend(
            {"name": f"delay {way.name}", "value": value, "unit": "ms", "of": of, "at": at} for at, value in percentiles
        )

    out, worker, back = (_percentiles_ms(hop) for hop in (hops.asterisk_out, hops.worker_out, hops.asterisk_in))
    note(to_telegram, "Asterisk", *out)
    note(to_telegram, "worker and engine", *worker)
    note(to_telegram, "user's app", ("p50", to_telegram.delay_ms - out[0][1] - worker[0][1]))
    note(to_sip, "user's packet", ("p50", USERS_PACKET_MS))
    note(to_sip, "engine and worker", ("p50", to_sip.delay_ms - USERS_PACKET_MS - back[0][1]))
    note(to_sip, "Asterisk", *back)
    return rows


def _percentiles_ms(seconds: Sequence[float]) -> list[tuple[str, float]]:
    return [(f"p{percentile}", float(np.percentile(seconds, percentile)) * 1000) for percentile in (50, 95)]


def _quality(way: Way, codec: str) -> list[Row]:
    """PESQ of the call, of the codec alone, and their ratio; nothing without the package."""
    pesq = _pesq()
    if pesq is None or not way.heard:
        return []
    mode = "nb" if way.rate_hz == 8000 else "wb"
    judged = statistics.median(pesq(way.rate_hz, way.said, heard, mode) for heard in way.heard)
    alone = pesq(way.rate_hz, way.said, _coded(way.said, AudioFormat(codec)), mode)
    name = f"PESQ-{mode.upper()} {way.name}"
    return [
        {"name": name, "value": judged, "unit": "MOS", "of": "the call"},
        {"name": name, "value": alone, "unit": "MOS", "of": "the codec alone"},
        {"name": name, "value": judged / alone, "unit": "times", "of": "the call / the codec alone"},
    ]


def _coded(pcm: Pcm, audio_format: AudioFormat) -> Pcm:
    """What is left of sound after the telephone's codec."""
    codec, size = codec_for(audio_format), audio_format.rate_hz // 50
    whole = pcm[: len(pcm) - len(pcm) % size]
    return np.concatenate(
        [codec.decode(memoryview(codec.encode(whole[at : at + size]))) for at in range(0, len(whole), size)]
    )


def _pesq() -> Pesq | None:
    try:
        found: Pesq = importlib.import_module("pesq").pesq
    except ImportError:
        return None
    return found


async def _worker_alone() -> list[Row]:
    """The worker's own part, without an engine: what Python, RTP and the codec take."""
    rows: list[Row] = []
    for codec in CODECS:
        for row in await media_worker.delay(AudioFormat(codec), 1):
            way = "to Telegram" if "to_telegram" in row["name"] else "to SIP"
            of = {"of": "worker without engine", "at": row["name"].rpartition("_")[2], "codec": codec}
            rows.append({"name": f"delay {way}", "value": row["value"], "unit": row["unit"], **of})
    return rows


def left_out() -> str:
    sentences = []
    if not may_listen():
        sentences.append("Where the delay arises is heard on the wire, and only root may listen there.")
    if _pesq() is None:
        sentences.append("Quality is judged by the package pesq: .venv/bin/pip install pesq (it takes a C compiler).")
    return "\n".join(sentences)


def run(quick: bool = False) -> list[Row]:
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        rows = runner.run(_worker_alone())
    for engine in ("tgcall",) if quick else ("tgcall", "ntgcalls"):
        rows += asyncio.run(_talks(engine, 1 if quick else 3))
    return rows

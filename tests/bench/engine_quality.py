"""How speech sounds after a Telegram call, as PESQ has it: our engine and ntgcalls, each talking to ntgcalls.

Clean, with loss and with jitter, which a model of a reflector in between makes. Two voices, several times, in several
calls at once, for what is lost is luck. Needs the package `pesq`, which is built with a C compiler and therefore not
among those that the project installs; without it there is nothing to tell.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import importlib.util
import os
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import structlog

from gateway.media.tgcall import Server, library_versions
from gateway.sandbox.audio import speech
from gateway.sandbox.network import ADDRESS
from tests.integration.tgcall.peer import Samples, Users
from tests.integration.tgcall.relays import FakeReflector

from ._engine_users import NTGCALLS, OURS, USERS_PACKET_MS

Row = dict[str, Any]

_CALLS: Final = 4
#: The first seconds are for the ends to learn of the loss.
_LEARNT_S: Final = 12.0
_JUDGED_S: Final = 45.0
_PAUSE_S: Final = 0.5
_NAMES: Final = {OURS: "tgcall", NTGCALLS: "ntgcalls"}
#: Share of packets lost, and by how much the others may be late.
_NETWORKS: Final = [(0.0, 0.0), (0.02, 0.0), (0.05, 0.0), (0.10, 0.0), (0.0, 0.06)]
_LOADS: Final = [(rate_hz, *network) for rate_hz in (8000, 16_000) for network in _NETWORKS]


def scores(heard: Samples, said: Samples, rate_hz: int, pesq: Any) -> list[float]:
    """PESQ of each time that a sentence was heard whole.

    They are found by how loud they are from moment to moment: a wave that a receiver stretched is like no other.
    """
    hop, around = rate_hz // 200, round(_PAUSE_S * rate_hz / 2)
    reference = np.pad(said, around)
    heard_level, said_level = _levels(heard, hop), _levels(reference, hop)
    likeness = np.correlate(heard_level, said_level, "valid")
    found: list[float] = []
    best = likeness.max(initial=1.0)
    while likeness.size and likeness.max() > best / 2:
        at = int(likeness.argmax())
        piece = heard[at * hop : at * hop + len(reference)]
        found.append(float(pesq(rate_hz, reference, piece, "nb" if rate_hz == 8000 else "wb")))
        likeness[max(0, at - len(said_level) // 2) : at + len(said_level) // 2] = -np.inf
    return found


def _levels(samples: Samples, hop: int) -> npt.NDArray[np.float32]:
    whole = np.abs(samples[: len(samples) - len(samples) % hop].astype(np.float32))
    levels: npt.NDArray[np.float32] = whole.reshape(-1, hop).mean(axis=1)
    levels -= levels.mean()
    return levels


def _sentences(rate_hz: int) -> list[Samples]:
    """In whole frames of every kind."""
    sentences = [speech(voice, rate_hz) for voice in ("telegram", "telephone")]
    return [said[: len(said) - len(said) % (rate_hz // 10)] for said in sentences]


def _loop(rate_hz: int, number: int) -> Samples:
    """All sentences, to be said over and over; where in its packet a sound begins is worth a tenth of PESQ.

    So each time that is another sixth of a packet, from one half or from the other.
    """
    sixth = rate_hz * USERS_PACKET_MS // 6000
    pause = np.zeros(round(_PAUSE_S * rate_hz), np.int16)
    said = np.concatenate([part for sentence in _sentences(rate_hz) for part in (sentence, pause)])
    more = np.zeros(-said.size % (6 * sixth) + sixth, np.int16)
    return np.roll(np.concatenate((said, more)), 3 * sixth * number)


async def _connect(near: Users, far: Users, number: int, server: Server, rate_hz: int) -> None:
    key, versions = os.urandom(256), [library_versions()[0]]
    shared: dict[str, Any] = {"versions": versions, "rate_hz": rate_hz, "servers": [server], "p2p_allowed": False}
    near.join(number, key, outgoing=True, on_signal=lambda blob: far.hear_signal(number, blob), **shared)
    far.join(number, key, outgoing=False, on_signal=lambda blob: near.hear_signal(number, blob), **shared)
    async with asyncio.timeout(15):
        await asyncio.gather(near.connected(number), far.connected(number))


async def _between(subject: str, rate_hz: int, loss: float, jitter_s: float) -> dict[str, list[Samples]]:
    """What was heard in each call, by way."""
    async with contextlib.AsyncExitStack() as stack:
        near, far = [await stack.enter_async_context(Users.open(module)) for module in (subject, NTGCALLS)]
        calls = range(1, _CALLS + 1)
        reflectors = [await stack.enter_async_context(FakeReflector.open(ADDRESS)) for _ in calls]
        for number, reflector in zip(calls, reflectors, strict=True):
            said = _loop(rate_hz, number)
            await _connect(near, far, number, reflector.server(1), rate_hz)
            reflector.loss, reflector.jitter_s = loss, jitter_s
            if subject == OURS:
                await near.ask("keep", number)
            for users in (near, far):
                await users.ask("say", number, pcm=base64.b64encode(said.tobytes()).decode())
        await asyncio.sleep(_LEARNT_S)
        for users in (near, far):
            for number in calls:
                await users.heard(number)
        await asyncio.sleep(_JUDGED_S)
        return {
            way: [await listener.heard(number) for number in calls]
            for way, listener in (("to Telegram", far), ("from Telegram", near))
        }


async def _all(rate_hz: int, loss: float, jitter_s: float, pesq: Any) -> list[Row]:
    """Both at once, and judged when both are done: what comes in meanwhile passes through this process."""
    subjects = (OURS, NTGCALLS)
    results = await asyncio.gather(*(_between(subject, rate_hz, loss, jitter_s) for subject in subjects))
    rows: list[Row] = []
    sentences = _sentences(rate_hz)
    for subject, heard in zip(subjects, results, strict=True):
        for way, calls in heard.items():
            judged = [mos for call in calls for said in sentences for mos in scores(call, said, rate_hz, pesq)]
            network = {"loss": f"{loss:.0%}", "jitter": f"{1000 * jitter_s:.0f} ms"}
            parameters = {"engine": _NAMES[subject], "rate": rate_hz, **network, "of": len(judged)}
            value = float(np.mean(judged)) if judged else float("nan")
            rows.append({"name": f"PESQ {way}", "value": value, "unit": "MOS", **parameters})
    return rows


def run() -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        pesq = importlib.import_module("pesq").pesq
    except ImportError:
        return []
    return [row for load in _LOADS for row in asyncio.run(_all(*load, pesq))]


def left_out() -> str:
    if importlib.util.find_spec("pesq"):
        return ""
    return "Speech quality was left out: it needs the package pesq, and a C compiler to build it (pip install pesq)."

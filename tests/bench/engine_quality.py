"""How speech sounds after a Telegram call, as PESQ has it: our engine and ntgcalls, each talking to ntgcalls.

Clean and with loss, which a model of a reflector in between makes. Needs the package `pesq`, which is built with a C
compiler and therefore not among those that the project installs; without it there is nothing to tell.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import importlib.util
import os
from typing import Any, Final

import numpy as np
import structlog

from gateway.media.tgcall import library_versions
from gateway.sandbox.network import ADDRESS
from tests.integration.tgcall.peer import Samples, Users
from tests.integration.tgcall.relays import FakeReflector

from ._engine_users import NTGCALLS, OURS, speech

Row = dict[str, Any]

#: The first seconds are for the ends to learn of the loss.
_LEARNT_S: Final = 12.0
_JUDGED_S: Final = 26.0
_NAMES: Final = {OURS: "tgcall", NTGCALLS: "ntgcalls"}
_LOADS: Final = [(rate_hz, loss) for rate_hz in (8000, 16_000) for loss in (0.0, 0.02, 0.05, 0.10)]


def scores(heard: Samples, said: Samples, rate_hz: int, pesq: Any) -> list[float]:
    """PESQ of each time that the speech was heard whole."""
    found = []
    silence = np.zeros(rate_hz // 2, np.int16)
    at = 0
    while at + len(said) + rate_hz <= len(heard):
        stretch = heard[at : at + len(said) + rate_hz].astype(np.float32)
        size = 1 << (2 * len(stretch)).bit_length()
        likeness = np.fft.irfft(np.fft.rfft(stretch, size) * np.conj(np.fft.rfft(said.astype(np.float32), size)), size)
        shift = int(np.argmax(likeness[: rate_hz + 1]))
        piece = heard[at + shift : at + shift + len(said)]
        mode = "nb" if rate_hz == 8000 else "wb"
        reference = np.concatenate((silence, said, silence))
        found.append(float(pesq(rate_hz, reference, np.concatenate((silence, piece, silence)), mode)))
        at += shift + len(said)
    return found


async def _between(subject: str, rate_hz: int, loss: float, pesq: Any) -> list[Row]:
    async with (
        Users.open(subject) as near,
        Users.open(NTGCALLS) as far,
        FakeReflector.open(ADDRESS) as reflector,
    ):
        key, versions, servers = os.urandom(256), [library_versions()[0]], [reflector.server(1)]
        shared: dict[str, Any] = {"versions": versions, "rate_hz": rate_hz, "servers": servers, "p2p_allowed": False}
        near.join(1, key, outgoing=True, on_signal=lambda blob: far.hear_signal(1, blob), **shared)
        far.join(1, key, outgoing=False, on_signal=lambda blob: near.hear_signal(1, blob), **shared)
        async with asyncio.timeout(15):
            await asyncio.gather(near.connected(1), far.connected(1))
        reflector.loss = loss
        said = speech(rate_hz)
        for users in (near, far):
            if users is near and subject == OURS:
                await users.ask("keep", 1)
            await users.ask("say", 1, pcm=base64.b64encode(said.tobytes()).decode())
        await asyncio.sleep(_LEARNT_S)
        for users in (near, far):
            await users.heard(1)
        await asyncio.sleep(_JUDGED_S)
        rows: list[Row] = []
        for way, listener in (("to Telegram", far), ("from Telegram", near)):
            judged = scores(await listener.heard(1), said, rate_hz, pesq)
            parameters = {"engine": _NAMES[subject], "rate": rate_hz, "loss": f"{loss:.0%}"}
            value = float(np.mean(judged)) if judged else float("nan")
            rows.append({"name": f"PESQ {way}", "value": value, "unit": "MOS", **parameters})
        return rows


async def _all(rate_hz: int, loss: float, pesq: Any) -> list[Row]:
    results = await asyncio.gather(*(_between(subject, rate_hz, loss, pesq) for subject in (OURS, NTGCALLS)))
    return [row for rows in results for row in rows]


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

"""What the jitter buffer does on a bad network, in simulated time: how long packets wait in it, and what it makes up.

The networks are those of its tests. Nothing here depends on the machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tests.unit.tgcall.test_jitter import Run, play

from ._engine_users import USERS_PACKET_MS

Row = dict[str, Any]

_SECONDS: Final = 120.0
_DRIFT_S: Final = 1800.0
_PATH_S: Final = 0.03


def _network(loss: float = 0.0, jitter_s: float = 0.0) -> Callable[[int], float | None]:
    """Packets that overtake one another where they vary by more than they are apart."""
    dice = random.Random(7)
    return lambda _: None if dice.random() < loss else _PATH_S + dice.random() * jitter_s


def _rows(network: str, run: Run) -> list[Row]:
    fifth = len(run.delays_ms) // 5
    figures = {
        "wait in the buffer, beginning": (float(np.mean(run.delays_ms[50:fifth])), "ms"),
        "wait in the buffer, end": (float(np.mean(run.delays_ms[-fifth:])), "ms"),
        "made up": (100 * run.buffer.concealed_ms / (20 * len(run.heard)), "%"),
    }
    return [{"name": name, "value": value, "unit": unit, "network": network} for name, (value, unit) in figures.items()]


def run() -> list[Row]:
    packet_ms = USERS_PACKET_MS
    runs = {"clean": play(_SECONDS, _network(), packet_ms=packet_ms)}
    for loss in (0.02, 0.05, 0.10):
        runs[f"{loss:.0%} lost"] = play(_SECONDS, _network(loss), packet_ms=packet_ms)
    for jitter_ms in (10, 30, 60):
        runs[f"{jitter_ms} ms of jitter"] = play(_SECONDS, _network(jitter_s=jitter_ms / 1000), packet_ms=packet_ms)
    runs["packets of 20 ms, out of order"] = play(_SECONDS, _network(jitter_s=0.06))
    runs["each packet twice"] = play(_SECONDS, _network(), packet_ms=packet_ms, copies=2)
    for drift_ppm in (-100, 100):
        name = f"30 minutes, the peer's clock {drift_ppm:+} ppm"
        runs[name] = play(_DRIFT_S, _network(), packet_ms=packet_ms, drift_ppm=drift_ppm)
    return [row for network, of in runs.items() for row in _rows(network, of)]

"""One clock for the audio of all calls of a process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

import structlog

from .model import FRAME_MS

log = structlog.get_logger(__name__)

PERIOD_S: Final = FRAME_MS / 1000
#: Calls are spread over so many moments of the period, so that a hundred don't come in one burst, and that each can be
#: pulled soon after its packets come; each moment costs a wake-up of its own, some 20-60 µs.
PHASES: Final = 4
#: A moment that its calls ask for may have so many more of them than the emptiest: a millisecond's work.
MOST_UNEVEN: Final = 8
#: A tick this late is counted: the peer's buffer may have run dry.
LATE_S: Final = 0.010
#: After a longer stop (a suspended machine) the past is left alone.
MOST_BEHIND_S: Final = 0.2

#: Told when its tick was due: exactly a period after the last one.
Tick = Callable[[float], None]


class Ticker:
    """Calls every member each 20 ms, counted from a fixed start on the loop's clock.

    Attributes:
        late: Ticks that came more than 10 ms after their time.
    """

    def __init__(self) -> None:
        self.late = 0
        self._loop = asyncio.get_running_loop()
        self._phases: list[dict[object, Tick]] = [{} for _ in range(PHASES)]
        self._began = 0.0
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: object, tick: Tick) -> None:
        min(self._phases, key=len)[member] = tick
        if self._timer is None:
            step_s = PERIOD_S / PHASES
            # Whole steps of the loop's time, as timers of others may be: one wake-up serves both.
            self._began = math.floor(self._loop.time() / step_s) * step_s
            self._count = 0
            self._arm()

    def align(self, member: object, at: float) -> float:
        """Move a member to the moment of the period that comes next after this time; answer when its next call is.

        That may be whole periods before `at`. Where too many have that moment already, it is a later one.
        """
        step_s = PERIOD_S / PHASES
        own = next(phase for phase in self._phases if member in phase)
        crowd = min(len(phase) for phase in self._phases) + MOST_UNEVEN
        count = math.ceil((at - self._began) / step_s)
        while (phase := self._phases[count % PHASES]) is not own and len(phase) >= crowd:
            count += 1
        phase[member] = own.pop(member)
        # What is armed may be overdue; what follows it has not been called either.
        following = min(self._count, math.floor((self._loop.time() - self._began) / step_s) + 1)
        count = following + (count - following) % PHASES
        if count < self._count and self._timer is not None:
            self._timer.cancel()
            self._count = count
            self._timer = self._loop.call_at(self._due(), self._run)
        return self._began + count * step_s

    def remove(self, member: object) -> None:
        for phase in self._phases:
            phase.pop(member, None)
        if self._timer is not None and not any(self._phases):
            self._timer.cancel()
            self._timer = None

    def _due(self) -> float:
        return self._began + self._count * (PERIOD_S / PHASES)

    def _arm(self) -> None:
        """Set the timer for the next phase that has members."""
        while True:
            self._count += 1
            if self._phases[self._count % PHASES]:
                break
        self._timer = self._loop.call_at(self._due(), self._run)

    def _run(self) -> None:
        due = self._due()
        behind = self._loop.time() - due
        if behind > LATE_S:
            self.late += 1
        if behind > MOST_BEHIND_S:
            log.warning("ticks fell behind", behind_ms=round(1000 * behind))
            self._count += int(behind / PERIOD_S) * PHASES
            due = self._due()
        for tick in list(self._phases[self._count % PHASES].values()):
            try:
                tick(due)
            except Exception:
                log.exception("a call's tick failed")
        if any(self._phases):
            self._arm()

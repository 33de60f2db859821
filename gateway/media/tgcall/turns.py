"""Work that may wait a little: done piece by piece, so that nobody's audio is late for it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: So long at a time; then the loop sees to timers and sockets. The longest piece, a step of a handshake, takes 1 ms.
#: Half of this makes set-ups a tenth dearer, twice as much makes ticks late.
SLICE_S: Final = 0.004


class Turns:
    """Does what it is given, in order, on the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()
        self._due = False

    def take(self, work: Callable[[], None]) -> None:
        self._waiting.append(work)
        self._arm()

    def _arm(self) -> None:
        if self._waiting and not self._due:
            self._due = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._due = False
        end = time.monotonic() + SLICE_S  # the loop's own clock may stand still meanwhile
        try:
            while self._waiting and time.monotonic() < end:
                self._waiting.popleft()()
        finally:
            self._arm()

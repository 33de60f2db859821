"""The event loop of a media worker: uvloop, and two things that audio wants otherwise."""

from __future__ import annotations

import functools
import select
import socket
from collections.abc import Callable
from typing import Any, Final

import uvloop

#: How long packets may wait for one another where there are many: a quarter of a frame. The tgcall engine's clock ticks
#: in the same steps of the loop's time, so that one wake-up serves both.
BUNDLE_MS: Final = 5
BUNDLE_S: Final = BUNDLE_MS / 1000
#: Single packets in that time from which on they are taken in bundles; and no more once a bundle has fewer than this.
MANY: Final = 4
FEW: Final = 2
#: A socket gives one packet at a time, so that no call starves the others; what is still there then waits.
MOST_ROUNDS: Final = 10


class EngineLoop(uvloop.Loop):
    """What workers run on.

    **An executor's work on the spot**, if so told: ntgcalls gives every frame to an executor, only to take a lock and
    copy 160 bytes there; the way there and back costs several times as much, and loses the order.

    **Datagrams in bundles.** To be woken for a packet costs about as much as the work that it brings. As long as there
    are few, each is taken as it comes; where they come close together, all sockets are looked at every 5 ms, and a
    packet waits half of that on average. Linux does the same with network cards (NAPI).

    Attributes:
        at_once: Whether `run_in_executor` runs what it is given, and answers with its result.
    """

    at_once = False

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[int, Callable[[], object]] = {}
        self._sockets: select.epoll | None = None
        self._step = 0
        self._woken_in_step = 0

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        return func(*args) if self.at_once else super().run_in_executor(executor, func, *args)

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        if not isinstance(fd, socket.socket) or fd.type != socket.SOCK_DGRAM:
            super().add_reader(fd, callback, *args)
            return
        if self._sockets is None:
            self._sockets = select.epoll()
            super().add_reader(self._sockets.fileno(), self._wake)
        number = fd.fileno()
        if number not in self._readers:
            self._sockets.register(number, select.EPOLLIN)
        self._readers[number] = functools.partial(callback, *args) if args else callback

    def remove_reader(self, fd: Any) -> bool:  # type: ignore[override]  # as asyncio has it; uvloop's stub says None
        if self._sockets is None or not isinstance(fd, socket.socket) or fd.fileno() not in self._readers:
            return bool(super().remove_reader(fd))
        del self._readers[fd.fileno()]
        self._sockets.unregister(fd)
        return True

    def close(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
        super().close()

    def _wake(self) -> None:
        """Something has come."""
        assert self._sockets is not None
        self._take(self._sockets.poll(0))
        step = self._steps()
        if step != self._step:
            self._step, self._woken_in_step = step, 0
        self._woken_in_step += 1
        if self._woken_in_step >= MANY:
            super().remove_reader(self._sockets.fileno())
            self._look_later()

    def _look(self) -> None:
        """Take a bundle."""
        assert self._sockets is not None
        taken = 0
        for _ in range(MOST_ROUNDS):
            if not (bundle := self._sockets.poll(0)):
                break
            self._take(bundle)
            taken += len(bundle)
        if taken >= FEW:
            self._look_later()
        else:
            super().add_reader(self._sockets.fileno(), self._wake)

    def _look_later(self) -> None:
        self.call_at((self._steps() + 1) * BUNDLE_S, self._look)

    def _steps(self) -> int:
        """Of the loop's time, which counts milliseconds."""
        return round(1000 * self.time()) // BUNDLE_MS

    def _take(self, bundle: list[tuple[int, int]]) -> None:
        readers = self._readers
        for number, _ in bundle:
            reader = readers.get(number)
            if reader is None:
                continue  # closed by one before it
            try:
                reader()
            except Exception as fault:  # noqa: BLE001  # the loop's edge: as asyncio itself has it
                self.call_exception_handler({"message": "a reader failed", "exception": fault})

"""What the contract of `Leg` is tried with: a leg, its audio, and a hand on its peer, whatever network lies between."""

from __future__ import annotations

import abc
import asyncio
import enum
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar

from gateway.call.model import Party
from gateway.call.ports import Leg
from gateway.errors import CallError, Ending, HangupCause
from gateway.media.model import AudioFormat, EngineSetup, RtpAddress
from tests.asterisk_fixtures import EchoMedia

T = TypeVar("T")

PATIENCE_S: Final = 5.0
#: What may go on a moment after a leg was let go: a BYE's answer, a note in a store.
SOON_S: Final = 2.0
#: What a network on one host needs to do what was asked of it.
SETTLE_S: Final = 0.03

NORMAL: Final = Ending(HangupCause.NORMAL)


class End(enum.StrEnum):
    NEAR = "near"
    FAR = "far"


class State(enum.StrEnum):
    """How far a leg has come, as its peer sees it."""

    UNTOUCHED = "untouched"  # nothing was asked of the leg yet
    CALLING = "calling"  # one end knows that the other calls
    RINGING = "ringing"
    UP = "up"


class Audio(EchoMedia):
    """Audio that opens at once, unless it is held, or fails; it echoes what a PBX sends.

    Attributes:
        chosen: How often its format was chosen.
        connected: Whether its Telegram half is open.
        asked: Set once it is asked to open either half.
    """

    def __init__(self, *, held: bool = False, failure: CallError | None = None) -> None:
        super().__init__("call")
        self.chosen = 0
        self.connected = False
        self.asked = asyncio.Event()
        self._failure = failure
        self._let = asyncio.Event()
        if not held:
            self._let.set()

    def let(self) -> None:
        """Hold it no longer."""
        self._let.set()

    async def opened(self) -> None:
        """Wait until it may open. Raises `CallError`."""
        self.asked.set()
        await self._let.wait()
        if self._failure is not None:
            raise self._failure

    def choose(self, audio_format: AudioFormat) -> None:
        self.chosen += 1
        super().choose(audio_format)

    async def open_rtp(self) -> RtpAddress:
        await self.opened()
        return await super().open_rtp()

    async def connect(self, setup: EngineSetup, send_signal: Callable[[bytes], None]) -> None:
        await self.opened()
        self.connected = True


class Peer(abc.ABC):
    """The other end of a leg. What it can't do any more, or not yet, it leaves."""

    @abc.abstractmethod
    async def called(self) -> None:
        """Wait until a far leg's call has come."""

    @abc.abstractmethod
    async def alerts(self) -> None: ...

    @abc.abstractmethod
    async def answers(self) -> None: ...

    @abc.abstractmethod
    async def refuses(self, cause: HangupCause) -> None:
        """BUSY or DECLINED."""

    @abc.abstractmethod
    async def hangs_up(self) -> None:
        """Give up calling, decline, or end the conversation."""

    @abc.abstractmethod
    async def hears(self) -> None:
        """Wait until audio flows."""

    @abc.abstractmethod
    async def told(self) -> str:
        """Wait until our end has let go; what was said."""

    @abc.abstractmethod
    def words(self, cause: HangupCause) -> str:
        """How this network says a cause, in the state that the call is in now."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Stop what it still does by itself."""


class Call:
    """A leg and its peer.

    Attributes:
        alerted: How often the dial said that the peer is alerted.
    """

    def __init__(self, end: End, leg: Leg, audio: Audio, peer: Peer, number: str = "") -> None:
        self.end = end
        self.leg = leg
        self.audio = audio
        self.peer = peer
        self.alerted = 0
        self._number = number
        self._tasks: list[asyncio.Task[None]] = []
        self._rings = asyncio.Event()

    def begin(self) -> asyncio.Task[None]:
        """Dial a far leg, or answer a near one."""
        work = self.leg.answer() if self.end is End.NEAR else self.dial()
        self._tasks.append(asyncio.create_task(work))
        return self._tasks[-1]

    async def dial(self) -> None:
        await self.leg.dial(self._number, Party("100", "A caller"), self._alerting)

    async def _alerting(self) -> None:
        self.alerted += 1
        self._rings.set()

    async def reach(self, state: State) -> asyncio.Task[None] | None:
        """Bring the leg to a state; answers the dial or answer that is under way then, or done."""
        if self.end is End.NEAR:
            if state is State.RINGING:
                await self.leg.ring()
            return await self._done(self.begin()) if state is State.UP else None
        if state is State.UNTOUCHED:
            return None
        dialling = self.begin()
        await self.peer.called()
        if state is not State.CALLING:
            await self.peer.alerts()
            await within(self._rings.wait())
        if state is State.UP:
            await self.peer.answers()
            await self._done(dialling)
        return dialling

    async def _done(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        await within(task)
        return task

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.leg.release(NORMAL)
        await self.peer.close()
        await self.audio.close()


class World(abc.ABC):
    """A network with one peer in it.

    Attributes:
        chooses: How often its legs choose the audio's format.
    """

    chooses: int

    @abc.abstractmethod
    def place(self, end: End, audio: Audio) -> AbstractAsyncContextManager[Call]: ...

    @abc.abstractmethod
    async def left(self) -> list[str]:
        """What there is of calls, at either end or in between."""

    @abc.abstractmethod
    async def clear(self) -> None:
        """End what a failed test left, so that the next one is not blamed."""

    @asynccontextmanager
    async def call(self, end: End, audio: Audio | None = None) -> AsyncIterator[Call]:
        """A leg that nothing was asked of yet. Nothing may be left of it afterwards."""
        before = asyncio.all_tasks()
        try:
            async with self.place(end, audio or Audio()) as call:
                try:
                    yield call
                finally:
                    await within(call.close())
            left = await self._left_for_long(before)
        except BaseException:
            await self.clear()
            raise
        if left:
            await self.clear()
            raise AssertionError(f"left behind: {', '.join(left)}")

    async def _left_for_long(self, before: set[asyncio.Task[Any]]) -> list[str]:
        loop = asyncio.get_running_loop()
        end = loop.time() + SOON_S
        while left := [*await self.left(), *(repr(task) for task in asyncio.all_tasks() - before if _is_ours(task))]:
            if loop.time() > end:
                break
            await asyncio.sleep(0.01)
        return left

    async def settle(self) -> None:
        """Let what was asked for take its course."""
        await asyncio.sleep(SETTLE_S)


def _is_ours(task: asyncio.Task[Any]) -> bool:
    """Whether the gateway made a task; the libraries' come and go."""
    work = task.get_coro()
    source = work.cr_code.co_filename if inspect.iscoroutine(work) else ""
    return "/gateway/" in source and "/gateway/sandbox/" not in source


async def within(work: Awaitable[T]) -> T:
    """Wait for something that must happen soon."""
    async with asyncio.timeout(PATIENCE_S):
        return await work


async def outcome(task: asyncio.Task[None]) -> Ending | None:
    """How a dial or answer ended: None when it went well."""
    try:
        await within(task)
    except CallError as error:
        return error.ending
    return None

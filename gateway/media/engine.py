"""The one door to the Telegram media engines: a call's audio in and out at the phone's rate, and its signalling.

Two engines stand behind it, each in a file of its own that nobody else imports, and nobody else knows which is in use.
What protocol versions an engine speaks is asked of it, and written down nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from gateway.errors import GatewayError
from gateway.media.codec import Pcm
from gateway.media.model import EngineSetup, MediaReport

#: What the engine gives at a time.
FRAME_MS: Final = 20


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """What an engine knows of its path; None and "" where it doesn't.

    Attributes:
        path, rtt_ms, jitter_ms, loss_sent, loss_received: As in `MediaReport`.
        packets, first_ms, lost, late, concealed_ms, dropped_ms: Of what came from Telegram, as in `DirectionCounters`.
    """

    version: str = ""
    path: str = ""
    rtt_ms: float | None = None
    jitter_ms: float | None = None
    loss_sent: float | None = None
    loss_received: float | None = None
    packets: int | None = None
    first_ms: int | None = None
    lost: int = 0
    late: int = 0
    concealed_ms: int = 0
    dropped_ms: int = 0

    def add_to(self, report: MediaReport) -> None:
        """Put it into the call's report. What was lost on the way from Telegram only the engine sees."""
        report.version, report.path, report.rtt_ms = self.version, self.path, self.rtt_ms
        report.jitter_ms, report.loss_sent, report.loss_received = self.jitter_ms, self.loss_sent, self.loss_received
        if self.packets is not None:  # it gives frames all the time, whether anything comes or not
            report.to_sip.packets, report.to_sip.first_ms = self.packets, self.first_ms
        report.to_sip.lost += self.lost
        report.to_sip.late += self.late
        report.to_sip.concealed_ms += self.concealed_ms
        report.to_sip.dropped_ms += self.dropped_ms


class EngineEar(Protocol):
    """Who is told what happens in an engine's call. All are called in the event loop's thread."""

    def on_signal(self, blob: bytes) -> None:
        """A blob for `phone.sendSignalingData`."""

    def on_audio(self, pcm: Pcm) -> None:
        """The next `FRAME_MS` of what the user says; the engine sets the pace. None may come while he is mute."""

    def on_lost(self, why: str) -> None:
        """The connection is gone for good. Only after `connect` returned, and once."""


class EngineCall(Protocol):
    """The Telegram half of one call. Used once."""

    async def connect(self) -> None:
        """Connect; returns once audio can flow. Raises `CallError`. May be cancelled; `close` is due in any case."""

    def hear_signal(self, blob: bytes) -> None:
        """A blob from the peer, in order, from the beginning on."""

    def feed(self, pcm: Pcm) -> None:
        """Send audio, any whole number of 10 ms, now. What is fed drives the RTP clock. Ignored unless connected."""

    def statistics(self) -> EngineStatistics: ...

    async def close(self) -> None:
        """Let go of everything; never raises."""


class Engine(Protocol):
    """An engine that carries many calls in this process."""

    @property
    def name(self) -> str: ...

    @property
    def versions(self) -> tuple[str, ...]:
        """The `library_versions` that it speaks, as PhoneCallProtocol wants them."""

    @property
    def one_at_a_time(self) -> bool:
        """Whether calls can only be set up one after the other."""

    def call(self, rate_hz: int, setup: EngineSetup, ear: EngineEar) -> EngineCall:
        """Make a call whose audio is at `rate_hz`, 8000 or 16000, both ways; opens nothing yet."""


#: A log's level, its event, and the event's fields.
Note = Callable[[str, str, Mapping[str, Any]], None]


#: The better one first. Each module has an `open_engine(note, dtx)`; it is loaded only where it is wanted, for memory.
_MODULES: Final = {"tgcall": "gateway.media.engine_tgcall", "ntgcalls": "gateway.media.engine_ntgcalls"}


@contextlib.asynccontextmanager
async def open_engine(choice: str, note: Note, dtx: bool = False) -> AsyncIterator[tuple[Engine, str]]:
    """Open the engine of this name, or with "auto" the best that works here.

    Args:
        note: Takes what the engine would write to a log.
        dtx: Send next to nothing while nothing is said, if the engine can.

    Returns:
        The engine, and why a better one was passed over, if so.

    Raises:
        GatewayError: There is none.
    """
    reasons = []
    async with contextlib.AsyncExitStack() as stack:
        for name in _MODULES if choice == "auto" else [choice]:
            try:
                module = importlib.import_module(_MODULES[name])
                engine = await stack.enter_async_context(module.open_engine(note, dtx))
            except KeyError:
                reasons.append(f"there is no media engine {name!r}")
            except (ImportError, OSError, GatewayError) as error:
                reasons.append(f"the media engine {name} does not work here: {error}")
            else:
                yield engine, "; ".join(reasons)
                return
        raise GatewayError("; ".join(reasons))


class Engines:
    """The engine of this process, and the spare one, which is opened when it is first wanted.

    Attributes:
        passed_over: Why a better one than `best` was passed over, if so.
    """

    def __init__(self, choice: str, note: Note, *, dtx: bool = False) -> None:
        self._choice = choice
        self._note = note
        self._dtx = dtx
        self._opened = contextlib.AsyncExitStack()
        self._opening = asyncio.Lock()
        self._spare: Engine | None = None
        self.best: Engine
        self.passed_over = ""

    @classmethod
    def only(cls, engine: Engine) -> Self:
        """Just this one, that somebody else opened."""
        engines = cls(engine.name, lambda *_: None)
        engines.best = engine
        return engines

    async def __aenter__(self) -> Self:
        opening = open_engine(self._choice, self._note, self._dtx)
        self.best, self.passed_over = await self._opened.enter_async_context(opening)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def for_call(self, setup: EngineSetup) -> Engine:
        """The engine that shall carry a call; the best one too where it is the only one that works, or was chosen."""
        if not setup.spare_for or self._choice != "auto":
            return self.best
        async with self._opening:
            if self._spare is None:
                self._spare = await self._open_spare()
        return self._spare

    async def _open_spare(self) -> Engine:
        for name in _MODULES:
            if name != self.best.name:
                with contextlib.suppress(GatewayError):
                    engine, _ = await self._opened.enter_async_context(open_engine(name, self._note, self._dtx))
                    return engine
        return self.best

"""What the centre asks of the two sides, of the audio path and of the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.call.model import Account, CallRecord, Direction, Line, Party, Route
from gateway.errors import Ending
from gateway.media.model import AudioFormat, EngineSetup, MediaReport, RtpAddress

Alerting = Callable[[], Awaitable[None]]


class Media(Protocol):
    """The audio of one call, on some worker. Audio flows as soon as both halves are open."""

    @property
    def call_id(self) -> str: ...

    @property
    def format(self) -> AudioFormat | None: ...

    def choose(self, audio_format: AudioFormat) -> None:
        """Say the PBX leg's codec, as soon as it is known. `open_rtp` and `connect` wait for it.

        Raises:
            CallError: ANSWERED_ELSEWHERE, if another leg of a fork has chosen already.
        """

    async def open_rtp(self) -> RtpAddress:
        """Open the worker's RTP socket; answers where Asterisk shall send. Raises `CallError`."""

    def aim_rtp(self, asterisk: RtpAddress) -> None:
        """Say where Asterisk listens, so that audio need not wait for its first packet."""

    async def connect(self, setup: EngineSetup, send_signal: Callable[[bytes], None]) -> None:
        """Connect the Telegram half; returns once audio can flow. Raises `CallError`.

        `send_signal` is called in order with each blob for `phone.sendSignalingData`, until `close`.
        """

    def hear_signal(self, blob: bytes) -> None:
        """A blob from `updatePhoneCallSignalingData`; those that come before `connect` wait, in order."""

    async def lost(self) -> Ending:
        """Wait until the audio is lost for good: the worker died, the path failed, or no frame ever came."""

    async def close(self) -> MediaReport:
        """Free everything. Safe in any state, any number of times; never raises."""


class Leg(Protocol):
    """One half of the call. Used once.

    `ring`, `dial` and `answer` raise `CallError`. Audio may flow, both ways,
    from the moment that `dial` or `answer` returns, and not before.
    """

    @property
    def name(self) -> str:
        """The endpoint of its line, or the id of its session account."""

    async def ring(self) -> None:
        """Let the peer of a near leg hear ringback. May be cancelled half-way."""

    async def answer(self) -> None:
        """Answer a near leg, whether or not `ring` ran. Returns once audio can flow."""

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        """Call out. Awaits `alerting` at most once; returns once audio can flow."""

    async def released(self) -> Ending:
        """Wait until the other end lets go."""

    async def release(self, ending: Ending) -> None:
        """Let go. Safe in any state, any number of times; never raises."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Somebody calls. Exactly one of `accept` and `refuse` is used, once.

    Attributes:
        call_id: Ours; unique for ever.
        via: What it came in by: the endpoint of a line ("line17"), or the id of a session account ("3").
        dialled: What the caller dialled on the PBX; empty from Telegram.
        accept: Makes the near leg on this call's audio; opens nothing yet.
        refuse: Turns the caller away; never raises.
    """

    call_id: str
    direction: Direction
    via: str
    dialled: str
    caller: Party
    accept: Callable[[Media], Leg]
    refuse: Callable[[Ending], Awaitable[None]]


class Switch(Protocol):
    """Where the sides bring their offers."""

    def offered(self, offer: Offer) -> None:
        """Take an offer; returns at once."""


class Side(Protocol):
    """A network, as the switchboard sees it."""

    def far_leg(self, route: Route, media: Media) -> Leg:
        """Make the leg that will call out on this route; opens nothing yet."""


class MediaPool(Protocol):
    def place(self, call_id: str) -> Media:
        """Seat a call on the worker with the fewest. Raises `CallError` when there is none."""


class Directory(Protocol):
    """Accounts and lines as they are now, from memory: routing never waits."""

    def account(self, account_id: int) -> Account | None: ...

    def line(self, endpoint: str) -> Line | None: ...

    def lines_of(self, account_id: int) -> Sequence[Line]:
        """The account's lines, the lowest priority number first, disabled ones left out."""


class Admission(Protocol):
    """Whether an account may have one call more, beyond its own limit: what it was granted, for example."""

    def admit(self, account: Account, calls_of: Callable[[int], int]) -> None:
        """Answer at once. `calls_of` tells how many calls an account has now, by its id.

        Raises:
            CallError: It may not, and why.
        """


class Records(Protocol):
    async def write(self, record: CallRecord) -> None:
        """Keep the record of an ended call."""

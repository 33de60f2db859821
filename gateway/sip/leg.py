"""One leg on the PBX's side: a SIP channel, a channel for its audio, and the bridge between them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Final, Protocol, TypeVar

import structlog

from gateway.call.model import Party
from gateway.call.ports import Alerting, Media
from gateway.errors import CallError, Ending, HangupCause
from gateway.media.model import AudioFormat, RtpAddress
from gateway.sip.ari import Ari, AriError, Event
from gateway.sip.causes import SAID, by_q850, refusal

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: A media channel enters in a millisecond; one that takes this long never will.
MEDIA_S: Final = 2.0
#: Bytes of a caller's name, and of a header's value, that go out. SIP has no limit, its implementations do.
NAME_BYTES: Final = 120
HEADER_BYTES: Final = 250

#: What may be dialled: nothing that means anything to Asterisk's Dial or to a SIP address.
_NUMBER: Final = re.compile(r"[+*#0-9A-Za-z._-]{0,64}")
#: Headers of ours alone: From and its like are the line's and the dialplan's.
_HEADER: Final = re.compile(r"X-[A-Za-z0-9-]{1,40}")

Hear = Callable[[Event], None]


class Exchange(Protocol):
    """What a leg needs of its side."""

    ari: Ari

    def join(self, stem: str, leg: SipLeg) -> None:
        """Count the leg among those that live, under the stem of all its ids."""

    def part(self, stem: str) -> None: ...

    def listen(self, id_: str, hear: Hear) -> None:
        """Be told of events of a channel, or of those that name a leg."""

    def ignore(self, id_: str) -> None: ...

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        """Do something to its end, whatever becomes of whoever asked."""


def audio_format(native: str) -> AudioFormat:
    """The format of the audio for a channel whose codec Asterisk says as "(ulaw)" or "(g722|alaw)"."""
    first = native.strip("()").split("|")[0]
    try:
        return AudioFormat(first)
    except ValueError:
        return AudioFormat.G722  # the best that Asterisk can turn any other codec into


def safe_text(text: str, limit: int) -> str:
    """`text` without anything that is not seen (CR, LF, marks of direction…), at most `limit` bytes of UTF-8."""
    seen = "".join(" " if char.isspace() else char for char in text)
    seen = "".join(char for char in seen if unicodedata.category(char)[0] != "C")
    return " ".join(seen.split()).encode()[:limit].decode(errors="ignore")


class SipLeg:
    """What near and far legs have in common.

    Attributes:
        name: The line's endpoint.
        on_digit: Called with each DTMF digit that the PBX sends.
    """

    def __init__(self, side: Exchange, call_id: str, name: str) -> None:
        self.name = name
        self.on_digit: Callable[[str], None] | None = None
        self._side = side
        self._ari = side.ari
        self._stem = f"{call_id}.{name}"
        self._channel = ""
        self._answered = False
        self._released: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._work: list[asyncio.Future[None]] = []
        self._audio: asyncio.Future[None] | None = None
        self._entered = asyncio.Event()
        self._leaving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._undone: asyncio.Future[None] | None = None

    @property
    def channel(self) -> str:
        """The id of the PBX's channel, once there is one."""
        return self._channel

    async def released(self) -> Ending:
        return await asyncio.shield(self._released)

    async def send_digits(self, digits: str) -> None:
        """Send DTMF to the PBX, by the line's method."""
        async with self._meaning_the_call():
            await self._ari.send_digits(self._channel, digits)

    def lost(self, ending: Ending) -> None:
        """The channel is no more, whatever Asterisk may have said of it while nobody listened."""
        if not self._leaving.done() and not self._released.done():
            self._released.set_result(ending)

    # --- what happens to it --------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        match event.type:
            case "ChannelHangupRequest" | "ChannelDestroyed" | "StasisEnd":
                cause = by_q850(event.cause)
                self.lost(Ending(cause, f"Q.850 {event.cause}" if event.cause else ""))
            case "ChannelDtmfReceived" if self.on_digit is not None:
                self.on_digit(event.digit)

    def _heard_media(self, event: Event) -> None:
        match event.type:
            case "StasisStart":
                self._entered.set()
            case "ChannelDestroyed":
                self.lost(Ending(HangupCause.MEDIA_LOST, "Asterisk ended the audio's channel"))

    # --- audio ---------------------------------------------------------------------------------------------------

    async def _open_audio(self, media: Media, chosen: AudioFormat) -> None:
        """Make bridge and media channel, once; whoever asks again waits for the same."""
        self._stop()
        if self._audio is None:
            self._audio = self._do(self._make_audio(media, chosen))
        await asyncio.shield(self._audio)

    async def _make_audio(self, media: Media, chosen: AudioFormat) -> None:
        channel = f"{self._stem}.media"
        self._side.listen(channel, self._heard_media)
        async with self._meaning_the_call():
            rtp = await self._unless_over(media.open_rtp())
            await self._ari.make_bridge(f"{self._stem}.bridge")
            made = await self._ari.external_media(channel, rtp.host, rtp.port, chosen.value)
            media.aim_rtp(RtpAddress(made.host, made.port))
            # Made is not yet ours: added before its StasisStart, the bridge sometimes refuses it.
            async with asyncio.timeout(MEDIA_S):
                await self._entered.wait()

    async def _bridge(self) -> None:
        await self._ari.add_to_bridge(f"{self._stem}.bridge", self._channel, f"{self._stem}.media")

    # --- the end -------------------------------------------------------------------------------------------------

    async def release(self, ending: Ending) -> None:
        if self._undone is None:
            self._leaving.set_result(None)
            # To its end, even when whoever asked is cancelled: nobody's telephone may go on ringing.
            self._undone = self._side.run(self._undo(ending))
        await asyncio.wait({self._undone})

    async def _undo(self, ending: Ending) -> None:
        # What was asked of Asterisk has its effect even if the asker was cancelled: it is waited for, then undone.
        await asyncio.gather(*self._work, return_exceptions=True)
        undo: list[Coroutine[Any, Any, None]] = [self._let_go(ending)]
        if self._audio is not None:
            undo.append(self._ari.hang_up(f"{self._stem}.media", 16))
            undo.append(self._ari.drop_bridge(f"{self._stem}.bridge"))
        for outcome in await asyncio.gather(*undo, return_exceptions=True):
            if isinstance(outcome, AriError):
                log.warning("leg was not released cleanly", leg=self._stem, reason=str(outcome))
            elif isinstance(outcome, BaseException):
                raise outcome
        for id_ in (self._stem, f"{self._stem}.dial", f"{self._stem}.media", self._channel):
            self._side.ignore(id_)
        self._side.part(self._stem)

    async def _let_go(self, ending: Ending) -> None:
        raise NotImplementedError

    # --- helpers -------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Raises `CallError` when the call is over: what is late opens nothing."""
        if self._leaving.done():
            raise CallError(HangupCause.CANCELLED, "the leg was released")
        if self._released.done():
            raise CallError.of(self._released.result())

    async def _unless_over(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something for as long as the call lives. Raises `CallError` when it ends before."""
        doing = asyncio.ensure_future(work)
        either: set[asyncio.Future[Any]] = {doing, self._leaving, self._released}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            self._stop()
            return doing.result()
        finally:
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        done = self._side.run(work)
        self._work.append(done)
        return done

    @contextlib.asynccontextmanager
    async def _meaning_the_call(self) -> AsyncIterator[None]:
        """Say Asterisk's failures in the words of a call."""
        try:
            yield
        except AriError as error:
            self._stop()
            if error.status == 404:
                raise CallError(HangupCause.NORMAL, "the PBX hung up") from error
            raise CallError(HangupCause.INTERNAL, str(error)) from error
        except TimeoutError as error:
            raise CallError(HangupCause.MEDIA_LOST, "Asterisk opened no channel for the audio") from error


class NearLeg(SipLeg):
    """A call from a PBX: its channel waits in our application."""

    def __init__(self, side: Exchange, call_id: str, name: str, channel: str, native: str) -> None:
        super().__init__(side, call_id, name)
        self._channel = channel
        self._format = audio_format(native)
        self._media: Media | None = None
        side.join(self._stem, self)
        side.listen(channel, self._heard)

    def carry(self, media: Media) -> NearLeg:
        """Use this call's audio."""
        media.choose(self._format)
        self._media = media
        return self

    async def ring(self) -> None:
        async with self._meaning_the_call():
            await self._ari.ring(self._channel)
        # In the shadow of the ringing: the answer has only to join what is there.
        assert self._media is not None
        await self._open_audio(self._media, self._format)

    async def answer(self) -> None:
        assert self._media is not None
        await self._open_audio(self._media, self._format)
        async with self._meaning_the_call():
            await self._ari.answer(self._channel)
            self._answered = True
            await self._bridge()

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        raise NotImplementedError("a near leg has called us")

    def _heard(self, event: Event) -> None:
        if event.type in {"ChannelHangupRequest", "ChannelDestroyed", "StasisEnd"} and not self._answered:
            self.lost(Ending(HangupCause.CANCELLED, "the caller gave up"))
        super()._heard(event)

    async def _let_go(self, ending: Ending) -> None:
        if self._released.done():
            return
        said = SAID[ending.cause]
        if self._answered:
            await self._ari.hang_up(self._channel, said.told)
            return
        # A refusal is the dialplan's to word: an announcement, another way, or just the code.
        variables = {
            "SIPTG_Q850": str(said.told),
            "SIPTG_SIP_CODE": str(said.code),
            "SIPTG_DETAIL": safe_text(ending.detail, NAME_BYTES),
            "SIPTG_RETRY_AFTER": str(ending.retry_after_s or ""),
        }
        try:
            for name, value in variables.items():
                await self._ari.set_variable(self._channel, name, value)
            await self._ari.go_on(self._channel, "siptg-refused", ending.cause.value)
        except AriError as error:
            if error.status != 404:  # 404: the caller was quicker
                await self._ari.hang_up(self._channel, said.told)


class FarLeg(SipLeg):
    """A call to a PBX: the dialplan dials, and hands us the leg once it is answered."""

    def __init__(self, side: Exchange, media: Media, name: str) -> None:
        super().__init__(side, media.call_id, name)
        self._media = media
        self._told: asyncio.Queue[Event] = asyncio.Queue()

    async def ring(self) -> None:
        raise NotImplementedError("a far leg is called by us")

    answer = ring

    async def dial(self, to: str, caller: Party, alerting: Alerting) -> None:
        if not _NUMBER.fullmatch(to):
            raise CallError(HangupCause.INVALID_NUMBER, "not a number that a PBX could be asked for")
        self._stop()
        self._side.join(self._stem, self)
        self._side.listen(self._stem, self._heard_dialplan)
        self._side.listen(f"{self._stem}.dial", self._heard_dialling)
        async with self._meaning_the_call():
            await asyncio.shield(self._do(self._originate(to, caller)))
        answered = await self._answer(alerting)
        self._channel = answered.channel
        chosen = audio_format(",".join(answered.args[2:]))
        self._media.choose(chosen)
        await self._open_audio(self._media, chosen)
        async with self._meaning_the_call():
            await self._bridge()
            self._answered = True
        self._do(self._ari.hang_up(f"{self._stem}.dial", 16))

    async def _originate(self, to: str, caller: Party) -> None:
        await self._ari.originate(
            endpoint=f"Local/{to or 's'}@siptg-out/n",
            channel=f"{self._stem}.dial",
            other=f"{self._stem}.plan",
            args=f"dial,{self._stem}.dial",
            variables=self._variables(to, caller),
        )

    def _variables(self, to: str, caller: Party) -> Mapping[str, str]:
        """For the dialplan; the underscores let the dialled leg inherit them."""
        headers = {
            name: safe_text(value, HEADER_BYTES) for name, value in caller.headers.items() if _HEADER.fullmatch(name)
        }
        variables = {
            "SIPTG_CALL": self._media.call_id,
            "SIPTG_LEG": self._stem,
            "SIPTG_LINE": self.name,
            "SIPTG_NUMBER": to,
            "SIPTG_CALLER_ID": safe_text(caller.number, NAME_BYTES),
            "SIPTG_CALLER_NAME": safe_text(caller.name, NAME_BYTES),
            "SIPTG_HEADERS": ",".join(headers),
            **{f"SIPTG_HEADER_{name}": value for name, value in headers.items()},
        }
        return {f"__{name}": value for name, value in variables.items()}

    async def _answer(self, alerting: Alerting) -> Event:
        """Wait for the PBX's answer; tell once that it rings."""
        told = False
        while True:
            event = await self._unless_over(self._told.get())
            if event.type == "StasisStart":
                return event
            if not told:
                told = True
                await alerting()

    def _heard_dialplan(self, event: Event) -> None:
        """The dialplan handed us the answered leg, or gave up."""
        match event.args:
            case ("out", *_) if self._leaving.done():
                # Answered in the moment that we let go.
                self._side.run(self._ari.hang_up(event.channel, SAID[HangupCause.NORMAL].q850))
            case ("out", _, *_) if not self._channel:
                self._side.listen(event.channel, self._heard)
                self._channel = event.channel
                self._told.put_nowait(event)
            case ("failed", _, q850, status, *said):
                self.lost(refusal(int(q850 or 0), status, ",".join(said)))

    def _heard_dialling(self, event: Event) -> None:
        match event.type:
            case "ChannelStateChange" if event.state == "Ringing":
                self._told.put_nowait(event)
            case "ChannelDestroyed" if not self._channel:
                self.lost(Ending(by_q850(event.cause), f"Q.850 {event.cause}"))

    async def _let_go(self, ending: Ending) -> None:
        said = SAID[ending.cause]
        channels = [f"{self._stem}.dial", *filter(None, [self._channel])]
        await asyncio.gather(*(self._ari.hang_up(channel, said.q850) for channel in channels))

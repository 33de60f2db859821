"""A real Asterisk for tests, with lines that tests write themselves, and audio that echoes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.call.model import Account, Line, LineKind, Party, Route
from gateway.call.ports import Leg, Offer
from gateway.errors import CallError, Ending, HangupCause
from gateway.media.model import AudioFormat, EngineSetup, MediaReport, RtpAddress
from gateway.sandbox.phone import Phone
from gateway.sip.ari import Ari
from gateway.sip.embedded import Asterisk, AsteriskSettings
from gateway.sip.side import SipSide

HOST = "127.0.0.1"
PASSWORD = "a-test's-password"

SETTINGS = AsteriskSettings(bind=HOST, udp_port=0, tcp_port=0, tls_port=0)

#: What every line has, whoever reaches whom.
COMMON = """type = endpoint
context = siptg-in
disallow = all
allow = {codecs}
direct_media = no
rtp_symmetric = yes
force_rport = yes
rewrite_contact = yes
send_pai = yes
"""


def registering_line(number: int, codecs: str = "g722,alaw,ulaw") -> str:
    """A line whose PBX registers with us (L1)."""
    name = f"line{number}"
    return (
        f"[{name}]\n{COMMON.format(codecs=codecs)}aors = {name}\nauth = {name}-auth\n"
        f"[{name}]\ntype = aor\nmax_contacts = 1\nremove_existing = yes\n"
        f"[{name}-auth]\ntype = auth\nauth_type = userpass\nusername = {name}\npassword = {PASSWORD}\n"
    )


def trunk_line(number: int, host: str, port: int, codecs: str = "g722,alaw,ulaw") -> str:
    """A line between two addresses (L3)."""
    name = f"line{number}"
    return (
        f"[{name}]\n{COMMON.format(codecs=codecs)}aors = {name}\n"
        f"[{name}]\ntype = aor\ncontact = sip:{host}:{port}\n"
        f"[{name}-identify]\ntype = identify\nendpoint = {name}\nmatch = {host}\n"
    )


@contextlib.asynccontextmanager
async def asterisk(state: Path, lines: str, settings: AsteriskSettings = SETTINGS) -> AsyncIterator[Asterisk]:
    """An embedded Asterisk with these pjsip sections."""
    (state / "etc").mkdir(parents=True, exist_ok=True)
    (state / "etc" / "siptg_lines_1.conf").write_text(lines)
    async with Asterisk(settings, state) as running:
        yield running


class EchoMedia(asyncio.DatagramProtocol):
    """ports.Media that sends every packet back to where Asterisk listens, and keeps count.

    Attributes:
        packets: Their lengths.
    """

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.format: AudioFormat | None = None
        self.packets: list[int] = []
        self.aimed: RtpAddress | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def choose(self, audio_format: AudioFormat) -> None:
        if self.format is not None:
            raise CallError(HangupCause.ANSWERED_ELSEWHERE)
        self.format = audio_format

    async def open_rtp(self) -> RtpAddress:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        return RtpAddress(*self._transport.get_extra_info("sockname")[:2])

    def aim_rtp(self, asterisk: RtpAddress) -> None:
        self.aimed = asterisk

    async def connect(self, setup: EngineSetup, send_signal: Callable[[bytes], None]) -> None:
        raise NotImplementedError("no Telegram here")

    def hear_signal(self, blob: bytes) -> None:
        raise NotImplementedError("no Telegram here")

    async def lost(self) -> Ending:
        never: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> MediaReport:
        if self._transport is not None:
            self._transport.close()
        return MediaReport()

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self.packets.append(len(data))
        assert self._transport is not None
        if self.aimed is not None:
            self._transport.sendto(data, (self.aimed.host, self.aimed.port))


@dataclass
class Offers:
    """ports.Switch that only keeps what it is offered."""

    queue: asyncio.Queue[Offer] = field(default_factory=asyncio.Queue)

    def offered(self, offer: Offer) -> None:
        self.queue.put_nowait(offer)

    async def next(self) -> Offer:
        async with asyncio.timeout(5):
            return await self.queue.get()


def route(number: int, to: str = "", caller: Party | None = None) -> Route:
    line = Line(number, 1, f"line {number}", LineKind.PBX_REGISTERS)
    return Route(Account(1, "1", 1), line, to, caller or Party())


@dataclass
class Place:
    """An Asterisk with a SIP side, and one telephone registered as line 1."""

    asterisk: Asterisk
    side: SipSide
    offers: Offers
    phone: Phone
    media: list[EchoMedia] = field(default_factory=list)

    def phone_for(self, number: int, **options: object) -> Phone:
        assert self.asterisk.ports.udp is not None
        return Phone(f"line{number}", PASSWORD, (HOST, self.asterisk.ports.udp), **options)  # type: ignore[arg-type]

    async def take(self) -> tuple[Offer, Leg, EchoMedia]:
        """Accept the next offer."""
        offer = await self.offers.next()
        media = EchoMedia(offer.call_id)
        self.media.append(media)
        return offer, offer.accept(media), media

    def far(self, call_id: str = "call", number: int = 1, media: EchoMedia | None = None) -> tuple[Leg, EchoMedia]:
        media = media or EchoMedia(call_id)
        self.media.append(media)
        return self.side.far_leg(route(number), media), media


async def left_in(ari: Ari) -> list[str]:
    """Channels and bridges that are there now."""
    return [channel.name for channel in await ari.channels()] + await ari.bridges()


async def emptied(ari: Ari, seconds: float = 1.0) -> bool:
    """Whether Asterisk holds nothing any more, or soon."""
    for _ in range(int(seconds / 0.02)):
        if not await left_in(ari):
            return True
        await asyncio.sleep(0.02)
    return False


@contextlib.asynccontextmanager
async def place(running: Asterisk, number: int = 1, **options: object) -> AsyncIterator[Place]:
    """A SIP side on a running Asterisk, and a telephone registered on one line."""
    offers = Offers()
    async with SipSide(running, offers) as side:
        here = Place(running, side, offers, None)  # type: ignore[arg-type]
        async with here.phone_for(number, **options) as phone:
            here.phone = phone
            await phone.register()
            yield here
            for media in here.media:
                await media.close()


async def eventually(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    """Wait until something is so, that nobody tells of. Raises `TimeoutError`."""
    end = time.monotonic() + seconds
    for _ in iter(condition, True):
        if time.monotonic() > end:
            raise TimeoutError
        await asyncio.sleep(0.01)


async def no_alerting() -> None:
    """For far legs whose ringing does not matter."""

"""One call of a telephone: its dialog, as the caller or as the callee, and its audio."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gateway.sandbox.phone.message import Message, Sdp, address, authorization, parameter
from gateway.sandbox.phone.sound import Sound

#: Source: RFC 3261 §13.3.1.4 (how often a 200 is repeated until its ACK).
T1_S: Final = 0.5
T2_S: Final = 4.0
#: Source: RFC 3261 §13.3.1.4 (64·T1: no ACK comes any more).
GIVEN_UP_S: Final = 64 * T1_S

#: Source: RFC 3261 §22 (who challenges by which header, and what answers it).
_CHALLENGES: Final = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}

_REASONS: Final = {
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    488: "Not Acceptable Here",
    503: "Service Unavailable",
    603: "Decline",
}


class PhoneError(Exception):
    """The other end refused or did not answer.

    Attributes:
        response: Its final response; None when there was none.
    """

    def __init__(self, text: str, response: Message | None = None) -> None:
        super().__init__(text)
        self.response = response


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the telephone does when it is called.

    Attributes:
        ring_after_s: Until its 180; None: none is sent.
        answer_after_s: From the INVITE to the 200; None: never.
        refuse: A final response in place of the 200, after the same time.
        early_media: Ring with 183 and audio in place of 180.
    """

    ring_after_s: float | None = 0.0
    answer_after_s: float | None = 0.0
    refuse: int | None = None
    early_media: bool = False


ANSWER: Final = Behaviour()
RING: Final = Behaviour(answer_after_s=None)
BUSY: Final = Behaviour(ring_after_s=None, refuse=486)
DECLINE: Final = Behaviour(refuse=603)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended.

    Attributes:
        by: "us" or "them".
        code, reason: The final response, where the call was not answered; 0 and "" after BYE.
        message: What said it: the response, the BYE or the CANCEL, with all its headers.
    """

    by: str
    code: int = 0
    reason: str = ""
    message: Message = field(default_factory=Message)

    def header(self, name: str) -> str:
        return self.message.get(name)


class Desk(Protocol):
    """What a call needs of its telephone."""

    user: str
    host: str
    ptime_ms: int

    @property
    def contact(self) -> str: ...

    def via(self) -> str: ...

    def send(self, message: Message) -> None: ...

    def respond(self, request: Message, response: Message) -> None: ...

    async def transact(self, request: Message, provisional: Callable[[Message], None] | None = None) -> Message: ...

    def forget(self, call: PhoneCall) -> None: ...


class PhoneCall:
    """One call. Times are on the monotonic clock.

    Attributes:
        invite: The INVITE, sent or received.
        provisional: Responses below 200 that came.
        sound: Its audio; `sound.codec` is the one agreed on.
    """

    def __init__(self, phone: Desk, invite: Message, *, incoming: bool) -> None:
        self.invite = invite
        self.incoming = incoming
        self.sound = Sound()
        self.provisional: list[Message] = []
        self.info_digits = ""
        self.invited_at = time.monotonic()
        self.ringing_at: float | None = None
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self._phone = phone
        self._tag = secrets.token_hex(6)
        self._remote_tag = parameter(invite.get("From"), "tag") if incoming else ""
        self._target = address(invite.get("Contact")) if incoming else invite.uri
        self._routes = invite.all("Record-Route") if incoming else []
        self._cseq = 1
        self._proceeding = asyncio.Event()
        self._ringing = asyncio.Event()
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._acked = asyncio.Event()
        self._ptime_ms = phone.ptime_ms
        self._sdp: Sdp | None = None

    @property
    def call_id(self) -> str:
        return self.invite.get("Call-ID")

    async def ringing(self) -> None:
        """Wait for 180 or 183. Raises `PhoneError` if the call ends first."""
        await self._before_end(asyncio.ensure_future(self._ringing.wait()))

    async def answered(self) -> None:
        """Wait for the answer. Raises `PhoneError` if the call is refused."""
        await self._before_end(asyncio.shield(self._answered))

    async def ended(self) -> Ended:
        return await asyncio.shield(self._ended)

    async def _before_end(self, what: asyncio.Future[Any]) -> None:
        await asyncio.wait([what, self._ended], return_when=asyncio.FIRST_COMPLETED)
        if not what.done():
            what.cancel()
            ended = self._ended.result()
            raise PhoneError(f"{ended.code} {ended.reason}", ended.message)
        await what

    async def hang_up(self, reason: str = "") -> Ended:
        """Hang up, cancel or refuse, as the call's state wants it. `reason`: a Reason header."""
        if not self._ended.done():
            extra = [("Reason", reason)] if reason else []
            if self._answered.done():
                await self._acknowledged()
                bye = self._request("BYE", extra)
                self._finish(Ended("us", message=bye))
                await self._phone.transact(bye)
            elif self.incoming:
                self.refuse(480)
            else:
                await self._cancel(extra)
        return await self.ended()

    async def _acknowledged(self) -> None:
        """Source: RFC 3261 §15: the callee says no BYE before the ACK, or before it has given it up."""
        if self.incoming:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GIVEN_UP_S):
                    await self._acked.wait()

    def refuse(self, code: int) -> None:
        """Refuse a call that came in."""
        self._respond(code, _REASONS.get(code, "Refused"))
        self._finish(Ended("us", code, _REASONS.get(code, "")))

    async def _cancel(self, extra: list[tuple[str, str]]) -> None:
        """Source: RFC 3261 §9.1: nothing is cancelled before a provisional response came."""
        await self._before_end(asyncio.ensure_future(self._proceeding.wait()))
        kept = {"via", "from", "to", "call-id", "route", "max-forwards"}
        headers = [(name, value) for name, value in self.invite.headers if name.lower() in kept]
        number, _ = self.invite.cseq
        cancel = Message("CANCEL", self.invite.uri, headers=[*headers, ("CSeq", f"{number} CANCEL"), *extra])
        await self._phone.transact(cancel)

    # --- dialog --------------------------------------------------------------------------------------------------

    def _request(self, method: str, extra: list[tuple[str, str]], cseq: int | None = None) -> Message:
        ours, theirs = ("To", "From") if self.incoming else ("From", "To")
        local, remote = self.invite.get(ours), self.invite.get(theirs)
        if self.incoming:
            local = f"{local};tag={self._tag}"
        elif self._remote_tag:
            remote = f"{remote};tag={self._remote_tag}"
        if cseq is None:
            self._cseq += 1
            cseq = self._cseq
        headers = [("Via", self._phone.via()), ("Max-Forwards", "70"), ("From", local), ("To", remote)]
        headers += [("Call-ID", self.call_id), ("CSeq", f"{cseq} {method}"), ("Contact", self._phone.contact)]
        headers += [("Route", route) for route in (self._routes if self.incoming else reversed(self._routes))]
        return Message(method, self._target, headers=[*headers, *extra])

    def _respond(self, code: int, reason: str, body: bytes = b"") -> None:
        extra = [("Contact", self._phone.contact)]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        response = self.invite.reply(code, reason, self._tag, extra)
        response.body = body
        self._phone.respond(self.invite, response)

    def _finish(self, ended: Ended) -> None:
        if not self._ended.done():
            self._ended.set_result(ended)
            self.ended_at = time.monotonic()
            self.sound.close()
            self._phone.forget(self)

    def _agree(self, codec: str, remote: Sdp) -> None:
        self.sound.start(codec, remote, self._ptime_ms)

    # --- as the caller -------------------------------------------------------------------------------------------

    async def run_out(self, codecs: tuple[str, ...], password: str) -> None:
        """Carry our INVITE to its final response."""
        await self.sound.open(self._phone.host)
        self.invite.body = Sdp(self._phone.host, self.sound.port, codecs, self._ptime_ms).render()
        final = await self._phone.transact(self.invite, self._heard_provisional)
        if final.code in {401, 407} and password:
            asked, given = _CHALLENGES[final.code]
            answer = authorization(final.get(asked), self._phone.user, password, "INVITE", self.invite.uri)
            self._cseq += 1
            replaced = {"via": self._phone.via(), "cseq": f"{self._cseq} INVITE"}
            self.invite.headers = [(key, replaced.get(key.lower(), value)) for key, value in self.invite.headers]
            self.invite.headers.append((given, answer))
            final = await self._phone.transact(self.invite, self._heard_provisional)
        if final.code >= 300:
            by = "us" if final.code == 487 else "them"
            self._finish(Ended(by, final.code, final.reason, final))
            return
        self._remote_tag = parameter(final.get("To"), "tag")
        self._target = address(final.get("Contact")) or self._target
        self._routes = final.all("Record-Route")
        self._phone.send(self._request("ACK", [], self.invite.cseq[0]))
        remote = Sdp.parse(final.body)
        if remote is None or not remote.codecs:
            self._finish(Ended("us", 488, "no common codec", final))
            return
        self.answered_at = time.monotonic()
        self._agree(remote.codecs[0], remote)
        self._answered.set_result(None)

    def _heard_provisional(self, response: Message) -> None:
        self.provisional.append(response)
        self._proceeding.set()
        if response.code in {180, 183}:
            self.ringing_at = self.ringing_at or time.monotonic()
            self._ringing.set()
        if response.body and (remote := Sdp.parse(response.body)) and remote.codecs:
            self._agree(remote.codecs[0], remote)

    def heard_again(self) -> None:
        """The 200 came again: our ACK was lost."""
        self._phone.send(self._request("ACK", [], self.invite.cseq[0]))

    # --- as the callee -------------------------------------------------------------------------------------------

    async def run_in(self, behaviour: Behaviour, codecs: tuple[str, ...]) -> None:
        offer = Sdp.parse(self.invite.body)
        await self.sound.open(self._phone.host)
        if self._ended.done():  # cancelled in that moment
            self.sound.close()
            return
        self._sdp = offer and offer.answer(self._phone.host, self.sound.port, codecs, self._ptime_ms)
        if offer is None or self._sdp is None:
            self.refuse(488)
            return
        began = time.monotonic()
        if behaviour.ring_after_s is not None:
            await asyncio.sleep(behaviour.ring_after_s)
            self._ring(offer, behaviour)
        if behaviour.answer_after_s is None:
            return
        await asyncio.sleep(max(0.0, began + behaviour.answer_after_s - time.monotonic()))
        if self._ended.done():
            return
        if behaviour.refuse is not None:
            self.refuse(behaviour.refuse)
            return
        await self.answer()

    def _ring(self, offer: Sdp, behaviour: Behaviour) -> None:
        assert self._sdp is not None
        if self._ended.done():
            return
        self.ringing_at = time.monotonic()
        self._ringing.set()
        if behaviour.early_media:
            self._respond(183, "Session Progress", self._sdp.render())
            self._agree(self._sdp.codecs[0], offer)
        else:
            self._respond(180, "Ringing")

    async def answer(self) -> None:
        """Answer a call that came in; the 200 is repeated until its ACK."""
        offer = Sdp.parse(self.invite.body)
        assert self._sdp is not None
        assert offer is not None
        self._respond(200, "OK", self._sdp.render())
        self.answered_at = time.monotonic()
        self._agree(self._sdp.codecs[0], offer)
        self._answered.set_result(None)
        pause_s = T1_S
        while not self._acked.is_set() and not self._ended.done():
            try:
                async with asyncio.timeout(pause_s):
                    await self._acked.wait()
            except TimeoutError:
                self._respond(200, "OK", self._sdp.render())
                pause_s = min(2 * pause_s, T2_S)

    def handle(self, request: Message) -> None:
        """A request within the call."""
        match request.method:
            case "ACK":
                self._acked.set()
                return
            case "CANCEL" if not self._answered.done():
                self._phone.respond(request, request.reply(200, "OK", self._tag))
                self._respond(487, "Request Terminated")
                self._finish(Ended("them", 487, "Request Terminated", request))
                return
            case "BYE":
                self._phone.respond(request, request.reply(200, "OK"))
                self._finish(Ended("them", message=request))
                return
            case "INVITE" | "UPDATE" if request.body:
                answer = self._sdp or Sdp(self._phone.host, self.sound.port, (self.sound.codec,), self._ptime_ms)
                extra = [("Contact", self._phone.contact), ("Content-Type", "application/sdp")]
                response = request.reply(200, "OK", self._tag, extra)
                response.body = answer.render()
                self._phone.respond(request, response)
                return
            case "INFO":
                for line in request.body.decode(errors="replace").splitlines():
                    if line.lower().startswith("signal="):
                        self.info_digits += line.partition("=")[2].strip()
        self._phone.respond(request, request.reply(200, "OK", self._tag))

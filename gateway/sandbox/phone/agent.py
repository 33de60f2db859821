"""The telephone itself: transactions, registration, calls."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, cast

from gateway.sandbox.audio import Pcm
from gateway.sandbox.phone.message import (
    Message,
    Sdp,
    address,
    authorization,
    digest_response,
    fields_of,
    parameter,
    user_of,
)
from gateway.sandbox.phone.sound import Sound

#: Source: RFC 3261 §17.1.1.1 (T1), §17.1.2.2 (T2), §17.1.1.2 (64·T1).
T1_S: Final = 0.5
T2_S: Final = 4.0
GIVE_UP_S: Final = 32.0
#: More than any 32 s of tests have requests; then the oldest is forgotten.
KEPT_RESPONSES: Final = 4096

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


class PhoneCall:
    """One call. Times are on the monotonic clock.

    Attributes:
        invite: The INVITE, sent or received.
        provisional: Responses below 200 that came.
        sound: Its audio; `sound.codec` is the one agreed on.
    """

    def __init__(self, phone: Phone, invite: Message, *, incoming: bool) -> None:
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
                bye = self._request("BYE", extra)
                self._finish(Ended("us", message=bye))
                await self._phone.transact(bye)
            elif self.incoming:
                self.refuse(480)
            else:
                await self._cancel(extra)
        return await self.ended()

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


class Phone:
    """A telephone, or with `registrations` and no server a small PBX.

    Args:
        user, password: Of its account at the server.
        server: Where it registers and calls through.
        host: Its own address.
        codecs: Of "ulaw", "alaw", "g722", the preferred one first.
        ptime_ms: Of what it sends.
        registrar_password: Asked of whoever registers here; None: anybody may.

    Attributes:
        server: Where it sends; may be changed at any time over UDP.
        behaviour: What it does when called; may be changed at any time.
        calls: Those that live.
        came: Calls that came in, in order; never forgotten.
        registrations: Contact by user, of whoever registered here.
    """

    def __init__(
        self,
        user: str,
        password: str = "",
        server: tuple[str, int] = ("127.0.0.1", 5060),
        *,
        host: str = "127.0.0.1",
        transport: str = "udp",
        codecs: tuple[str, ...] = ("ulaw", "alaw", "g722"),
        ptime_ms: int = 20,
        behaviour: Behaviour = ANSWER,
        registrar_password: str | None = None,
    ) -> None:
        self.user = user
        self.host = host
        self.port = 0
        self.codecs = codecs
        self.ptime_ms = ptime_ms
        self.behaviour = behaviour
        self.plays: Pcm | None = None
        self.calls: dict[str, PhoneCall] = {}
        self.came: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self.registrations: dict[str, str] = {}
        self._password = password
        self.server = server
        self._transport = transport
        self._registrar_password = registrar_password
        self._nonce = secrets.token_hex(16)
        self._wire: _Wire | None = None
        self._waiting: dict[tuple[str, str], asyncio.Queue[Message]] = {}
        self._answered: dict[tuple[str, str], Message] = {}
        self._sources: dict[str, Callable[[bytes], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._register_id = secrets.token_hex(8)
        self._register_cseq = 0

    async def __aenter__(self) -> Self:
        self._wire = await _open_wire(self._transport, self.host, self.server, self._received)
        self.port = self._wire.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in list(self.calls.values()):
            call.sound.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._wire is not None
        await self._wire.close()

    @property
    def contact(self) -> str:
        suffix = "" if self._transport == "udp" else f";transport={self._transport}"
        return f"<sip:{self.user}@{self.host}:{self.port}{suffix}>"

    def via(self) -> str:
        return f"SIP/2.0/{self._transport.upper()} {self.host}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}"

    # --- what it does --------------------------------------------------------------------------------------------

    async def register(self, expires_s: int = 300) -> None:
        """Register; 0: no more. Raises `PhoneError`."""
        uri = f"sip:{self.server[0]}:{self.server[1]}"
        answer = await self._register(uri, expires_s, [])
        if answer.code == 401:
            given = authorization(answer.get("WWW-Authenticate"), self.user, self._password, "REGISTER", uri)
            answer = await self._register(uri, expires_s, [("Authorization", given)])
        if answer.code != 200:
            raise PhoneError(f"registration refused: {answer.code} {answer.reason}", answer)

    async def _register(self, uri: str, expires_s: int, extra: list[tuple[str, str]]) -> Message:
        self._register_cseq += 1
        me = f"<sip:{self.user}@{self.server[0]}>"
        headers = [
            ("Via", self.via()),
            ("Max-Forwards", "70"),
            ("From", f"{me};tag={secrets.token_hex(4)}"),
            ("To", me),
        ]
        headers += [("Call-ID", self._register_id), ("CSeq", f"{self._register_cseq} REGISTER")]
        headers += [("Contact", self.contact), ("Expires", str(expires_s)), *extra]
        return await self.transact(Message("REGISTER", uri, headers=headers))

    def call(
        self,
        number: str,
        *,
        codecs: tuple[str, ...] | None = None,
        display: str = "",
        from_user: str = "",
        headers: Mapping[str, str] | None = None,
        play: Pcm | None = None,
    ) -> PhoneCall:
        """Call; returns at once."""
        host, port = self.server
        name = f'"{display}" ' if display else ""
        lines = [("Via", self.via()), ("Max-Forwards", "70")]
        lines += [("From", f"{name}<sip:{from_user or self.user}@{self.host}>;tag={secrets.token_hex(6)}")]
        lines += [("To", f"<sip:{number}@{host}>"), ("Call-ID", secrets.token_hex(12)), ("CSeq", "1 INVITE")]
        lines += [("Contact", self.contact), ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE")]
        lines += [*(headers or {}).items(), ("Content-Type", "application/sdp")]
        call = PhoneCall(self, Message("INVITE", f"sip:{number}@{host}:{port}", headers=lines), incoming=False)
        self._take(call, play)
        self._start(call.run_out(codecs or self.codecs, self._password))
        return call

    def _take(self, call: PhoneCall, play: Pcm | None) -> None:
        self.calls[call.call_id] = call
        if play is not None:
            call.sound.play(play)

    def forget(self, call: PhoneCall) -> None:
        self.calls.pop(call.call_id, None)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- transactions --------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        assert self._wire is not None
        self._wire.send(message.render(), self.server)

    def respond(self, request: Message, response: Message) -> None:
        """Send a response to where the request came from, and keep it for when the request comes again."""
        self._answered[(request.branch, request.method)] = response
        if len(self._answered) > KEPT_RESPONSES:
            branch, method = next(iter(self._answered))
            del self._answered[(branch, method)]
            self._sources.pop(branch, None)
        reply = self._sources.get(request.branch)
        if reply is not None:
            reply(response.render())

    async def transact(self, request: Message, provisional: Callable[[Message], None] | None = None) -> Message:
        """Send a request, again and again until a response comes; answer the final one.

        Raises:
            PhoneError: None came.
        """
        key = (request.branch, request.cseq[1])
        responses: asyncio.Queue[Message] = asyncio.Queue()
        self._waiting[key] = responses
        pause_s, began, heard = T1_S, time.monotonic(), False
        try:
            self.send(request)
            while True:
                try:
                    async with asyncio.timeout(None if heard and request.method == "INVITE" else pause_s):
                        response = await responses.get()
                except TimeoutError:
                    if time.monotonic() - began > GIVE_UP_S:
                        raise PhoneError(f"no response to {request.method}") from None
                    self.send(request)
                    pause_s = min(2 * pause_s, T2_S)
                    continue
                if response.code >= 200:
                    if request.method == "INVITE" and response.code >= 300:
                        self._acknowledge(request, response)
                    return response
                heard = True
                if provisional is not None:
                    provisional(response)
        finally:
            del self._waiting[key]

    def _acknowledge(self, invite: Message, response: Message) -> None:
        """Source: RFC 3261 §17.1.1.3 (the ACK of a refusal belongs to the INVITE's transaction)."""
        headers = [("Via", invite.get("Via")), ("Max-Forwards", "70"), ("From", invite.get("From"))]
        headers += [("To", response.get("To")), ("Call-ID", invite.get("Call-ID"))]
        headers += [("CSeq", f"{invite.cseq[0]} ACK"), *(("Route", value) for value in invite.all("Route"))]
        self.send(Message("ACK", invite.uri, headers=headers))

    def _received(self, data: bytes, reply: Callable[[bytes], None]) -> None:
        message = Message.parse(data)
        if message is None:
            return
        if message.code:
            self._received_response(message)
            return
        again = self._answered.get((message.branch, message.method))
        if again is not None:
            reply(again.render())
            return
        self._sources[message.branch] = reply
        self._received_request(message)

    def _received_response(self, message: Message) -> None:
        waiting = self._waiting.get((message.branch, message.cseq[1]))
        if waiting is not None:
            waiting.put_nowait(message)
        elif message.cseq[1] == "INVITE" and message.code >= 200 and (call := self.calls.get(message.get("Call-ID"))):
            call.heard_again()

    def _received_request(self, request: Message) -> None:
        call = self.calls.get(request.get("Call-ID"))
        if call is not None:
            call.handle(request)
        elif request.method == "INVITE" and not parameter(request.get("To"), "tag"):
            call = PhoneCall(self, request, incoming=True)
            self._take(call, self.plays)
            self.respond(request, request.reply(100, "Trying"))
            self.came.put_nowait(call)
            self._start(call.run_in(self.behaviour, self.codecs))
        elif request.method == "REGISTER":
            self._registered(request)
        elif request.method == "OPTIONS":
            self.respond(request, request.reply(200, "OK", "options"))
        elif request.method != "ACK":
            self.respond(request, request.reply(481, "Call/Transaction Does Not Exist", "none"))

    def _registered(self, request: Message) -> None:
        """Be the registrar of somebody else."""
        if self._registrar_password is not None:
            given = fields_of(request.get("Authorization"))
            expected = ""
            if given.get("nonce") == self._nonce:
                expected = digest_response(
                    given, given["username"], self._registrar_password, "REGISTER", given.get("uri", "")
                )
            if not expected or given.get("response") != expected:
                challenge = f'Digest realm="phone", nonce="{self._nonce}", algorithm=MD5, qop="auth"'
                self.respond(request, request.reply(401, "Unauthorized", "reg", [("WWW-Authenticate", challenge)]))
                return
        contact = request.get("Contact")
        self.registrations[user_of(address(request.get("To")))] = contact
        expires = parameter(contact, "expires") or request.get("Expires", "300")
        extra = [("Contact", f"{contact.split('>')[0]}>;expires={expires}")]
        self.respond(request, request.reply(200, "OK", "reg", extra))


# --- the wire ----------------------------------------------------------------------------------------------------

Received = Callable[[bytes, Callable[[bytes], None]], None]


class _Wire:
    """Where SIP goes and comes from."""

    port: int

    def send(self, data: bytes, server: tuple[str, int]) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class _Udp(asyncio.DatagramProtocol, _Wire):
    def __init__(self, received: Received) -> None:
        self._received = received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self._received(data, lambda answer: self._transport.sendto(answer, addr))

    def send(self, data: bytes, server: tuple[str, int]) -> None:
        self._transport.sendto(data, server)

    async def close(self) -> None:
        self._transport.close()


class _Stream(_Wire):
    """TCP or TLS: one connection to the server, and a door for those that come."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._writers: list[asyncio.StreamWriter] = []
        self._readers: list[asyncio.Task[None]] = []
        self._out: asyncio.StreamWriter | None = None
        self._door: asyncio.Server | None = None

    async def open(self, host: str, server: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self._door = await asyncio.start_server(self._come, host, 0)
        self.port = self._door.sockets[0].getsockname()[1]
        reader, self._out = await asyncio.open_connection(*server, ssl=tls)
        self._readers.append(asyncio.ensure_future(self._come(reader, self._out)))

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                message = Message.parse(head.lstrip(b"\r\n"))
                length = int(message.get("Content-Length", "0")) if message else 0
                body = await reader.readexactly(length) if length else b""
                self._received(head.lstrip(b"\r\n") + body, writer.write)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def send(self, data: bytes, server: tuple[str, int]) -> None:
        assert self._out is not None
        self._out.write(data)

    async def close(self) -> None:
        assert self._door is not None
        self._door.close()
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for writer in self._writers:
            writer.close()


async def _open_wire(transport: str, host: str, server: tuple[str, int], received: Received) -> _Wire:
    if transport == "udp":
        loop = asyncio.get_running_loop()
        _, udp = await loop.create_datagram_endpoint(lambda: _Udp(received), local_addr=(host, 0))
        return udp
    tls = None
    if transport == "tls":
        # The peer's certificate is self-signed as a rule; this telephone is for trying out.
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    stream = _Stream(received)
    await stream.open(host, server, tls)
    return stream

"""The telephone itself: transactions, registration, and the calls that come and go."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Self

from gateway.sandbox.audio import Pcm
from gateway.sandbox.phone.call import ANSWER, Behaviour, PhoneCall, PhoneError
from gateway.sandbox.phone.message import (
    Message,
    address,
    authorization,
    digest_response,
    fields_of,
    parameter,
    user_of,
)
from gateway.sandbox.phone.wire import Wire, open_wire

#: Source: RFC 3261 §17.1.1.1 (T1), §17.1.2.2 (T2), §17.1.1.2 (64·T1).
T1_S: Final = 0.5
T2_S: Final = 4.0
GIVE_UP_S: Final = 32.0
#: More than any 32 s of tests have requests; then the oldest is forgotten.
KEPT_RESPONSES: Final = 4096


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
        self._wire: Wire | None = None
        self._waiting: dict[tuple[str, str], asyncio.Queue[Message]] = {}
        self._answered: dict[tuple[str, str], Message] = {}
        self._sources: dict[str, Callable[[bytes], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._register_id = secrets.token_hex(8)
        self._register_cseq = 0

    async def __aenter__(self) -> Self:
        self._wire = await open_wire(self._transport, self.host, self.server, self._received)
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

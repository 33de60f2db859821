"""A SIP client of a few lines: sends one request, answers a digest challenge, and says what came back."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import cast

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)


@dataclass
class Reply:
    code: int
    text: str

    def header(self, name: str) -> str:
        found = re.search(rf"^{name}: *(.*?)\r$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""


@dataclass
class SipClient(asyncio.DatagramProtocol):
    """Opened by the fixture `open_client`. `answer_options` says whether it answers what it is asked."""

    server: tuple[str, int]
    answer_options: bool = True
    replies: asyncio.Queue[Reply] = field(default_factory=asyncio.Queue)
    requests: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode()
        if text.startswith("SIP/2.0"):
            self.replies.put_nowait(Reply(int(text[8:11]), text))
            return
        self.requests.put_nowait(text)
        if text.startswith("OPTIONS") and self.answer_options:
            self.reply(text, addr, "200 OK")

    def reply(self, request: str, addr: tuple[str, int], status: str) -> None:
        assert self.transport is not None
        kept = [line for line in request.split("\r\n") if re.match(r"(Via|From|To|Call-ID|CSeq):", line)]
        text = "\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""])
        self.transport.sendto(text.encode(), addr)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()

    @property
    def port(self) -> int:
        assert self.transport is not None
        port = self.transport.get_extra_info("sockname")[1]
        assert isinstance(port, int)
        return port

    def _send(self, method: str, uri: str, user: str, cseq: int, call_id: str, extra: list[str], body: str) -> None:
        assert self.transport is not None
        host = self.server[0]
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{self.port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            f"From: <sip:{user}@{host}>;tag={call_id}",
            f"To: <sip:{user}@{host}>" if method == "REGISTER" else f"To: <{uri}>",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{user}@{host}:{self.port}>",
            "Max-Forwards: 70",
            *extra,
            f"Content-Length: {len(body)}",
        ]
        self.transport.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self.server)

    async def ask(
        self, method: str, uri: str, user: str, password: str | None = None, extra: tuple[str, ...] = (), body: str = ""
    ) -> Reply:
        """The final reply, after answering one challenge if a password is given."""
        call_id = secrets.token_hex(8)
        self._send(method, uri, user, 1, call_id, list(extra), body)
        reply = await self._final(call_id)
        if reply.code == 401 and password is not None:
            digest = _digest(reply.header("WWW-Authenticate"), method, uri, user, password)
            self._send(method, uri, user, 2, call_id, [*extra, f"Authorization: {digest}"], body)
            reply = await self._final(call_id)
        return reply

    async def _final(self, call_id: str) -> Reply:
        async with asyncio.timeout(5):
            while True:
                reply = await self.replies.get()
                if reply.code >= 200 and reply.header("Call-ID") == call_id:
                    return reply

    async def invite(self, number: str = "600", user: str = "1", password: str | None = None, *headers: str) -> int:
        """Call a number with alaw on offer; the code of the final reply."""
        uri = f"sip:{number}@{self.server[0]}:{self.server[1]}"
        return (await self.ask("INVITE", uri, user, password, ("Content-Type: application/sdp", *headers), SDP)).code

    async def register(self, user: str, password: str) -> int:
        uri = f"sip:{self.server[0]}:{self.server[1]}"
        return (await self.ask("REGISTER", uri, user, password, ("Expires: 120",))).code


def _digest(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """Source: RFC 2617 §3.2.2 (qop=auth)."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    cnonce = secrets.token_hex(4)

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    ha1, ha2 = md5(f"{user}:{given['realm']}:{password}"), md5(f"{method}:{uri}")
    response = md5(f"{ha1}:{given['nonce']}:00000001:{cnonce}:auth:{ha2}")
    return (
        f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}",'
        f' response="{response}", algorithm=MD5, cnonce="{cnonce}", qop=auth, nc=00000001,'
        f' opaque="{given.get("opaque", "")}"'
    )

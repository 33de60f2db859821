"""Where a telephone's SIP goes and comes from: UDP, TCP, TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from gateway.sandbox.phone.message import Message

Received = Callable[[bytes, Callable[[bytes], None]], None]


class Wire:
    """Where SIP goes and comes from."""

    port: int

    def send(self, data: bytes, server: tuple[str, int]) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class _Udp(asyncio.DatagramProtocol, Wire):
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


class _Stream(Wire):
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


async def open_wire(transport: str, host: str, server: tuple[str, int], received: Received) -> Wire:
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

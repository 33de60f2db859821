"""Relays for tests: coturn as it comes, and a model of Telegram's reflectors.

Nobody outside Telegram knows what a real reflector answers. This one does what both ends of a call rely on: it learns
who is where from the hello, by the 16-byte tag, and forwards by the first 16 bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.media.tgcall import Server

HELLO_BLANK = b"\xff" * 12


def free_udp_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def coturn(host: str, folder: Path, tcp: bool = False) -> AsyncIterator[Server]:
    """A TURN server on a free port."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed: the relay can't be tried")
    port = free_udp_port(host)
    config = folder / "turnserver.conf"
    config.write_text(
        f"listening-ip={host}\nrelay-ip={host}\nlistening-port={port}\nmin-port=20000\nmax-port=60000\n"
        "fingerprint\nlt-cred-mech\nuser=peer:secret\nrealm=test\nno-tls\nno-dtls\nno-cli\nallow-loopback-peers\n"
        f"simple-log\nlog-file={folder}/turn.log\npidfile={folder}/turn.pid\nuserdb={folder}/turn.db\n"
    )
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _until_listening(host, port)
        yield Server(1, host, "", port, "peer", "secret", turn=True, stun=True, tcp=tcp)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _until_listening(host: str, port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


class FakeReflector(asyncio.DatagramProtocol):
    """See the module. Listens on UDP and TCP at one port.

    Attributes:
        lost: While true, everything that comes is dropped.
        loss, jitter_s, copies: What is done to the packets passed on by UDP.
        forwarded: Packets passed on.
    """

    def __init__(self) -> None:
        self.lost = False
        self.loss = 0.0
        self.jitter_s = 0.0
        self.copies = 1
        self.forwarded = 0
        self._dice = random.Random(1)
        self.peer_tag = os.urandom(16)
        self._udp: dict[bytes, tuple[str, int]] = {}
        self._tcp: dict[bytes, asyncio.StreamWriter] = {}
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, host: str) -> AsyncIterator[FakeReflector]:
        reflector = cls()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: reflector, local_addr=(host, 0))
        port = transport.get_extra_info("sockname")[1]
        server = await asyncio.start_server(reflector._serve, host, port)
        reflector._transport = transport
        reflector.host, reflector.port = host, port
        try:
            yield reflector
        finally:
            transport.close()
            server.close()
            for writer in reflector._tcp.values():
                writer.close()

    host: str
    port: int

    def server(self, id_: int, tcp: bool = False) -> Server:
        return Server(id_, self.host, "", self.port, peer_tag=self.peer_tag, tcp=tcp)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.lost or len(data) < 16 or data[:12] != self.peer_tag[:12]:
            return
        if data[16:28] == HELLO_BLANK:
            self._udp[data[:16]] = addr
            if self._transport is not None:
                self._transport.sendto(data[:16] + HELLO_BLANK + bytes(12), addr)
        else:
            self._forward(data)

    def _forward(self, data: bytes) -> None:
        self.forwarded += 1
        if (addr := self._udp.get(data[:16])) and self._transport is not None:
            if self._dice.random() >= self.loss:
                loop = asyncio.get_running_loop()
                for _ in range(self.copies):
                    loop.call_later(self._dice.random() * self.jitter_s, self._send, data, addr)
        elif writer := self._tcp.get(data[:16]):
            writer.write(len(data).to_bytes(4, "little") + data)

    def _send(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, addr)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if await reader.readexactly(4) != b"\xee\xee\xee\xee":
                writer.close()
                return
            while True:
                size = int.from_bytes(await reader.readexactly(4), "little")
                data = await reader.readexactly(size)
                if size == 20 and data[16:] == bytes(4):
                    self._tcp[data[:16]] = writer
                elif not self.lost:
                    self._forward(data)
        writer.close()

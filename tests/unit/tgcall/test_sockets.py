from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.media.tgcall import sockets
from gateway.media.tgcall.sockets import TcpStream, UdpSocket, local_addresses
from gateway.sandbox.network import ADDRESS


def test_own_addresses_are_found_and_loopback_only_if_asked_for() -> None:
    assert ADDRESS in local_addresses(allow_loopback=False)
    assert "127.0.0.1" not in local_addresses(allow_loopback=False)
    assert "127.0.0.1" in local_addresses(allow_loopback=True)


def test_host_without_netlink_is_known_by_its_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> list[str]:
        raise PermissionError

    monkeypatch.setattr(sockets, "_addresses_of_interfaces", refused)
    sockets._addresses.cache_clear()
    assert set(local_addresses(allow_loopback=False)) <= {ADDRESS}
    sockets._addresses.cache_clear()


async def test_datagrams_go_and_come_and_a_closed_socket_drops_them() -> None:
    heard: list[bytes] = []
    one = UdpSocket(socket.AF_INET, lambda data, _: heard.append(data))
    other = UdpSocket(socket.AF_INET, lambda data, _: None)
    for n in range(20):
        other.send(b"%d" % n, ("127.0.0.1", one.port))
    await asyncio.sleep(0.05)
    assert heard == [b"%d" % n for n in range(20)]
    one.close()
    one.close()
    one.send(b"x", ("127.0.0.1", other.port))
    other.send(b"x" * 100_000, ("127.0.0.1", 9))
    other.close()


async def test_stream_that_cannot_be_made_is_told_once() -> None:
    told: list[str] = []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        stream = TcpStream(
            unused.getsockname(), lambda: told.append("opened"), lambda _: None, lambda: told.append("closed")
        )
        stream.send(b"nobody hears it")
        await asyncio.sleep(0.05)
    stream.close()
    assert told == ["closed"]


async def test_stream_drops_what_a_slow_reader_does_not_take_and_stays_bounded() -> None:
    opened = asyncio.Event()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        stream = TcpStream(listening.getsockname(), opened.set, lambda _: None, lambda: None)
        async with asyncio.timeout(2):
            await opened.wait()
        for _ in range(10_000):
            stream.send(bytes(1000))
        assert len(stream._unsent) <= 64 * 1024
        stream.close()

"""The workers' event loop: packets come alone as long as there are few, in bundles where there are many."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from gateway.media.loop import BUNDLE_S, MANY, EngineLoop
from gateway.media.tgcall.ticker import PERIOD_S, PHASES


class Listener:
    """A socket on a loop, that notes when it is called and what it reads."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.heard: list[bytes] = []
        self.heard_at: list[float] = []

    def read(self) -> None:
        self.heard_at.append(time.monotonic())
        self.heard.append(self.socket.recv(2048))


@pytest.fixture
def listeners() -> Iterator[Callable[[], Listener]]:
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener())
        return made[-1]

    yield make
    for listener in made:
        listener.socket.close()


def on_engine_loop(doing: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=EngineLoop) as runner:
        runner.run(doing)


async def send(to: Listener, count: int, apart_s: float) -> list[float]:
    """Numbered packets; answers when each was sent."""
    sent_at = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sent_at.append(time.monotonic())
            sender.sendto(number.to_bytes(2), to.socket.getsockname())
            await asyncio.sleep(apart_s)
    return sent_at


def test_single_packets_are_taken_as_they_come(listeners: Callable[[], Listener]) -> None:
    listener = listeners()

    async def scene() -> None:
        asyncio.get_running_loop().add_reader(listener.socket, listener.read)
        sent_at = await send(listener, 20, 2 * BUNDLE_S)
        waited = sorted(heard - sent for heard, sent in zip(listener.heard_at, sent_at, strict=True))
        assert waited[10] < BUNDLE_S / 4

    on_engine_loop(scene())


def test_packets_that_come_close_together_are_taken_in_bundles_and_none_is_lost(
    listeners: Callable[[], Listener],
) -> None:
    crowd = [listeners() for _ in range(10)]

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        for listener in crowd:
            loop.add_reader(listener.socket, listener.read)
        counts = 100
        await asyncio.gather(*(send(listener, counts, BUNDLE_S) for listener in crowd))
        await asyncio.sleep(4 * BUNDLE_S)
        for listener in crowd:
            assert listener.heard == [number.to_bytes(2) for number in range(counts)]

    on_engine_loop(scene())


def test_bundles_come_in_steps_of_the_loops_time(listeners: Callable[[], Listener]) -> None:
    """As many wake-ups as steps, however many packets; and alone again once there are few."""
    listener = listeners()

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(listener.socket, listener.read)
        flood = asyncio.gather(*(send(listener, 250, 0.001) for _ in range(2)))
        await asyncio.sleep(0.1)
        listener.heard_at.clear()
        began = time.monotonic()
        await asyncio.sleep(0.1)
        bundles = 1 + sum(later - earlier > BUNDLE_S / 2 for earlier, later in itertools.pairwise(listener.heard_at))
        steps = (time.monotonic() - began) / BUNDLE_S
        assert len(listener.heard_at) > (MANY - 1) * bundles
        assert bundles <= 1.2 * steps + 1
        await flood
        await asyncio.sleep(4 * BUNDLE_S)
        listener.heard_at.clear()
        sent_at = await send(listener, 10, 2 * BUNDLE_S)
        waited = sorted(heard - sent for heard, sent in zip(listener.heard_at, sent_at, strict=True))
        assert waited[5] < BUNDLE_S / 4

    on_engine_loop(scene())


def test_bundles_and_the_engines_clock_have_the_same_steps() -> None:
    # Or each would wake the worker by itself.
    assert pytest.approx(PERIOD_S) == BUNDLE_S * PHASES


def test_reader_that_fails_is_told_and_does_not_stop_the_others(listeners: Callable[[], Listener]) -> None:
    failing, sound = listeners(), listeners()
    told: list[dict[str, Any]] = []

    def fail() -> None:
        failing.read()
        raise RuntimeError("no")

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        loop.add_reader(failing.socket, fail)
        loop.add_reader(sound.socket, sound.read)
        await asyncio.gather(send(failing, 20, 0.001), send(sound, 20, 0.001))
        await asyncio.sleep(4 * BUNDLE_S)

    on_engine_loop(scene())
    assert len(sound.heard) == len(failing.heard) == len(told) == 20
    assert all(isinstance(context["exception"], RuntimeError) for context in told)


def test_reader_may_be_replaced_removed_and_its_number_used_again(listeners: Callable[[], Listener]) -> None:
    first, second = listeners(), listeners()

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(first.socket, first.read)
        loop.add_reader(first.socket, second.heard.append, b"replaced")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", first.socket.getsockname())
            await asyncio.sleep(2 * BUNDLE_S)
        assert second.heard
        assert not first.heard
        assert loop.remove_reader(first.socket)
        assert not loop.remove_reader(first.socket)
        number = first.socket.fileno()
        first.socket.close()
        third = listeners()
        assert third.socket.fileno() == number
        loop.add_reader(third.socket, third.read)
        await send(third, 1, 2 * BUNDLE_S)
        assert len(third.heard) == 1

    on_engine_loop(scene())


def test_socket_that_one_of_its_bundle_closes_is_not_read(listeners: Callable[[], Listener]) -> None:
    pair = [listeners(), listeners()]

    async def scene() -> None:
        loop = asyncio.get_running_loop()

        def close_the_other(me: Listener, other: Listener) -> None:
            me.read()
            loop.remove_reader(other.socket)
            other.socket.close()

        loop.add_reader(pair[0].socket, close_the_other, pair[0], pair[1])
        loop.add_reader(pair[1].socket, close_the_other, pair[1], pair[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for listener in pair:
                sender.sendto(b"x", listener.socket.getsockname())
        await asyncio.sleep(4 * BUNDLE_S)

    on_engine_loop(scene())
    assert sorted(len(listener.heard) for listener in pair) == [0, 1]

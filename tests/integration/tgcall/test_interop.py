"""Calls with Telegram's protocol as others wrote it: unmodified ntgcalls, in both roles and every version."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.media.tgcall import CallEngine, Failure, PathKind, Server, library_versions
from gateway.sandbox.network import ADDRESS

from .peer import RATE_HZ, Users, loudest_hz
from .relays import FakeReflector, coturn
from .talk import Side, call_with_user, speak

COMBINATIONS = list(itertools.product(library_versions(), (True, False)))


async def tones_both_ways(
    engine: CallEngine, users: Users, servers: Sequence[Server], p2p: bool, path: PathKind
) -> None:
    """Every version in both roles at once; each end finds the other's tone in what it hears."""
    async with contextlib.AsyncExitStack() as stack:
        sides: list[Side] = []
        for number, (version, outgoing) in enumerate(COMBINATIONS):
            calling = call_with_user(
                engine,
                users,
                number,
                outgoing=outgoing,
                version=version,
                hz=400 + 100 * number,
                rate_hz=16000 if number % 2 else 8000,
                servers=servers,
                p2p_allowed=p2p,
            )
            sides.append(await stack.enter_async_context(calling))
        await asyncio.sleep(0.3)
        said = [1300 + 100 * number for number in range(len(sides))]
        for number, side in enumerate(sides):
            side.heard()
            await users.heard(number)
        await speak(sides, said, 2.0)
        for number, (side, combination) in enumerate(zip(sides, COMBINATIONS, strict=True)):
            ours = loudest_hz(side.heard()[-side.rate_hz :], side.rate_hz)
            theirs = loudest_hz((await users.heard(number))[-RATE_HZ:], RATE_HZ)
            assert ours == pytest.approx(400 + 100 * number, abs=3), combination
            assert theirs == pytest.approx(said[number], abs=3), combination
            assert side.call.stats().path is path, combination


async def test_tones_go_both_ways_on_a_direct_path(engine: CallEngine, users: Users) -> None:
    await tones_both_ways(engine, users, (), True, PathKind.DIRECT)


async def test_tones_go_both_ways_through_a_turn_relay_alone(engine: CallEngine, users: Users, tmp_path: Path) -> None:
    async with coturn(ADDRESS, tmp_path) as server:
        await tones_both_ways(engine, users, [server], False, PathKind.RELAY)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_tones_go_both_ways_through_a_reflector(engine: CallEngine, users: Users, tcp: bool) -> None:
    async with FakeReflector.open(ADDRESS) as reflector:
        await tones_both_ways(engine, users, [reflector.server(70, tcp)], False, PathKind.REFLECTOR)
        assert reflector.forwarded


@pytest.mark.parametrize("version", ["9.0.0", "13.0.0"])
async def test_peer_that_mutes_is_idle_and_not_concealed(engine: CallEngine, users: Users, version: str) -> None:
    async with call_with_user(engine, users, 1, outgoing=True, version=version, hz=500) as side:
        await asyncio.sleep(1.5)
        before = side.call.stats()
        await users.ask("mute", 1)
        await asyncio.sleep(1.5)
        muted = side.call.stats()
        await users.ask("unmute", 1)
        await asyncio.sleep(0.5)
        side.heard()
        await asyncio.sleep(1.0)
        after = side.call.stats()
        assert side.mutes[-2:] == [True, False]
        assert muted.peer_muted is True
        assert loudest_hz(side.heard(), side.rate_hz) == pytest.approx(500, abs=3)
        assert after.concealed_ms - before.concealed_ms <= 100
        assert after.buffer_ms < 50


async def test_peer_learns_that_our_microphone_is_on(engine: CallEngine, users: Users) -> None:
    async with call_with_user(engine, users, 1, outgoing=False, version="9.0.0") as side:
        await speak([side], [700], 0.6)
        assert users.sources[1][-1] == "ACTIVE"
        side.call.mute(True)
        await asyncio.sleep(0.3)
        assert users.sources[1][-1] == "IDLING"


async def test_hangup_of_the_peer_is_seen_at_once(engine: CallEngine, users: Users) -> None:
    async with call_with_user(engine, users, 1, outgoing=True, version="13.0.0") as side:
        users.tell("leave", 1)
        async with asyncio.timeout(1.0):
            assert await side.call.failed() is Failure.PEER_CLOSED

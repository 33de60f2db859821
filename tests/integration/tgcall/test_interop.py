"""Calls with Telegram's protocol as others wrote it: unmodified ntgcalls, in both roles and every version."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gateway.media.tgcall import CallEngine, Failure, PathKind, Server, library_versions
from gateway.sandbox.network import ADDRESS

from .peer import RATE_HZ, Users, loudest_hz
from .relays import FakeReflector, coturn
from .talk import Side, call_with_user, speak

#: The prime that Telegram's servers give out. Source: https://core.telegram.org/mtproto/auth_key.
TELEGRAM_PRIME = int(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543ae"
    "d44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f642477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e"
    "3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4b9dd46582db1178d16"
    "9c6bc465b0d6ff9ca3928fef5b9ae4e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f0d8115f635b105ee2e4e15d0"
    "4b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
    16,
)

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
        await speak(sides, said, 1.3)
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


async def test_reflectors_are_numbered_by_the_order_of_their_ids(engine: CallEngine, users: Users) -> None:
    async with FakeReflector.open(ADDRESS) as first, FakeReflector.open(ADDRESS) as second:
        first.lost = True
        other = Server(5, ADDRESS, "", 9, "user", "secret", stun=True)
        servers = [other, second.server(80), first.server(70)]
        async with call_with_user(
            engine, users, 1, outgoing=True, version="9.0.0", hz=500, servers=servers, p2p_allowed=False
        ) as side:
            await asyncio.sleep(1.2)
            assert second.forwarded
            assert loudest_hz(side.heard()[-side.rate_hz // 2 :], side.rate_hz) == pytest.approx(500, abs=4)


async def test_peer_that_mutes_is_idle_and_not_concealed(engine: CallEngine, users: Users) -> None:
    async with call_with_user(engine, users, 1, outgoing=True, version="13.0.0", hz=500) as side:
        await asyncio.sleep(1.2)
        before = side.call.stats()
        await users.ask("mute", 1)
        await asyncio.sleep(1.0)
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


async def test_pause_is_hardly_sent_if_so_told_and_what_is_said_after_it_comes_whole(
    engine: CallEngine, users: Users
) -> None:
    async with call_with_user(engine, users, 1, outgoing=True, version="9.0.0", dtx=True) as side:
        await speak([side], [700], 1.0)
        delays_s = []
        for _ in range(4):
            before = side.call.stats().packets_sent
            await speak([side], [700], 1.5, amplitude=0)
            # 0.2 s until the coder believes it, the word of it, and a sign of life every 0.4 s.
            assert side.call.stats().packets_sent - before < 20
            await users.heard(1)
            await speak([side], [700], 0.8)
            await asyncio.sleep(0.2)
            heard = await users.heard(1)
            loud = np.flatnonzero(np.abs(heard.astype(int)) > 2000)
            assert loudest_hz(heard, RATE_HZ) == pytest.approx(700, abs=3)
            assert (loud[-1] - loud[0]) / RATE_HZ > 0.75
            delays_s.append(loud[0] / RATE_HZ)
        assert delays_s[-1] - min(delays_s) < 0.06


async def test_hangup_of_the_peer_is_seen_at_once(engine: CallEngine, users: Users) -> None:
    async with call_with_user(engine, users, 1, outgoing=True, version="13.0.0") as side:
        users.tell("leave", 1)
        async with asyncio.timeout(1.0):
            assert await side.call.failed() is Failure.PEER_CLOSED


async def test_key_and_pictures_are_those_that_the_peer_computes(users: Users) -> None:
    """The exchange is done here for our side, and by ntgcalls for its own."""
    from gateway.media.tgcall import key_fingerprint
    from gateway.telegram.exchange import key_emoji

    ours = int.from_bytes(os.urandom(256), "big")
    g_b = pow(3, ours, TELEGRAM_PRIME)
    done = await users.ask("exchange", 1, prime=f"{TELEGRAM_PRIME:x}", g=3, g_b=f"{g_b:0512x}")
    g_a = bytes.fromhex(done["g_a"])
    key = pow(int.from_bytes(g_a, "big"), ours, TELEGRAM_PRIME).to_bytes(256, "big")
    assert key_fingerprint(key) == done["fingerprint"]
    assert key_emoji(key, g_a).replace(" ", "") == done["emoji"].replace(" ", "")

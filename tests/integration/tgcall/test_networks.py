"""Calls between two of our own ends over real sockets, on networks that are not what they should be."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.media.tgcall import (
    CallEngine,
    CallState,
    ConnectError,
    Failure,
    PathKind,
    Server,
    UnsupportedError,
    library_versions,
    messages,
    stun,
)
from gateway.media.tgcall import call as call_module
from gateway.media.tgcall.messages import Content, NegotiateChannels, PayloadType
from gateway.media.tgcall.negotiation import OPUS
from gateway.sandbox.audio import speech
from gateway.sandbox.network import ADDRESS

from .peer import loudest_hz
from .relays import FakeReflector, coturn
from .talk import Side, call_between_ours, say, speak


async def tones_are_heard(sides: tuple[Side, Side], seconds: float = 1.2) -> None:
    await speak(sides, (600, 900), seconds)
    for side, hz in zip(sides, (900, 600), strict=True):
        heard = side.heard()[-int(side.rate_hz * (seconds - 0.4)) :]
        assert loudest_hz(heard, side.rate_hz) == pytest.approx(hz, abs=4)


@pytest.mark.parametrize(
    ("loss", "jitter_s", "copies"),
    [(0.05, 0.02, 1), (0.10, 0.06, 2)],
    ids=["5% and 20 ms", "10% and 60 ms and doubled"],
)
async def test_bad_network_is_talked_over(engine: CallEngine, loss: float, jitter_s: float, copies: int) -> None:
    async with FakeReflector.open(ADDRESS) as reflector:
        reflector.loss, reflector.jitter_s, reflector.copies = loss, jitter_s, copies
        async with call_between_ours(engine, servers=[reflector.server(3)], p2p_allowed=False) as sides:
            await tones_are_heard(sides, 2.0)
            stats = sides[0].call.stats()
            assert stats.path is PathKind.REFLECTOR
            assert stats.lost + stats.late > 0
            assert stats.concealed_ms < 1000
            assert stats.buffer_ms < 1000 * jitter_s + 60


async def test_peer_that_rests_is_idle_and_not_concealed(engine: CallEngine) -> None:
    async with call_between_ours(engine, dtx=True) as sides:
        await speak(sides, (600, 900), 1.0)
        before = sides[0].call.stats()
        await speak(sides, (600, 900), 3.0, amplitude=0)
        after = sides[0].call.stats()
        assert after.packets_received - before.packets_received < 30
        assert after.idle_ms - before.idle_ms > 2000
        assert after.concealed_ms - before.concealed_ms <= 100
        assert after.lost == before.lost
        await tones_are_heard(sides, 0.8)
        assert sides[0].call.stats().buffer_ms < 50


async def test_loss_that_the_peer_reports_raises_the_redundancy(
    engine: CallEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.media.tgcall.audio.REPORT_S", 0.3)
    async with (
        FakeReflector.open(ADDRESS) as reflector,
        call_between_ours(engine, servers=[reflector.server(3)], p2p_allowed=False) as sides,
    ):
        reflector.loss = 0.1
        voices = [speech(name, side.rate_hz) for name, side in zip(("telephone", "telegram"), sides, strict=True)]
        await say(sides, voices, 2.5)  # a tone is no voice, and not worth redundancy
        learnt = sides[1].call.stats()
        await say(sides, voices, 4.0)
        assert sides[1].call.stats().restored_ms - learnt.restored_ms >= 60
        stats = sides[0].call.stats()
        assert stats.loss_sent is not None
        assert stats.rtt_ms is not None
        assert stats.rtt_ms < 50


async def test_path_that_dies_is_replaced_by_another(engine: CallEngine) -> None:
    async with FakeReflector.open(ADDRESS) as first, FakeReflector.open(ADDRESS) as second:
        servers = [first.server(1), second.server(2)]
        async with call_between_ours(engine, servers=servers, p2p_allowed=False) as sides:
            await speak(sides, (600, 900), 1.5)
            used, spare = (first, second) if first.forwarded > second.forwarded else (second, first)
            used.lost = True
            began = time.monotonic()
            before = spare.forwarded
            while spare.forwarded < before + 60:
                await speak(sides, (600, 900), 0.1)
                assert time.monotonic() - began < 6
            await tones_are_heard(sides)
            assert sides[0].call.stats().path_changes >= 1
            assert sides[0].call.stats().state is CallState.CONNECTED


@pytest.mark.parametrize("caller", [True, False])
async def test_restart_of_ice_keeps_the_call(engine: CallEngine, caller: bool) -> None:
    async with call_between_ours(engine) as sides:
        await speak(sides, (600, 900), 0.3)
        sides[0 if caller else 1].call.restart_ice()
        await tones_are_heard(sides)
        assert sides[0].call.stats().state is sides[1].call.stats().state is CallState.CONNECTED
        assert max(side.call.stats().signals_sent for side in sides) < 20


@pytest.mark.parametrize("version", ["9.0.0", "13.0.0"])
async def test_signalling_that_is_lost_repeated_and_late_connects(engine: CallEngine, version: str) -> None:
    dice = random.Random(11)
    loop = asyncio.get_running_loop()

    def carry(deliver: Callable[[bytes], None], blob: bytes) -> None:
        if dice.random() > 0.15:
            for _ in range(dice.choice((1, 1, 2))):
                loop.call_later(dice.random() * 0.1, deliver, blob)

    async with call_between_ours(engine, version=version, carry=carry) as sides:
        await tones_are_heard(sides, 0.8)
        assert max(side.call.stats().signals_sent for side in sides) < 60


async def test_foreign_blobs_are_counted_and_change_nothing(engine: CallEngine) -> None:
    async with call_between_ours(engine) as sides:
        for _ in range(50):
            sides[0].call.hear_signal(os.urandom(200))
        await tones_are_heard(sides, 0.8)
        assert sides[0].call.stats().ignored >= 50


async def test_foreign_packets_are_counted_and_change_nothing(engine: CallEngine) -> None:
    async with call_between_ours(engine) as sides:
        port = sides[0].call._transport._direct[socket.AF_INET].socket.port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for first in (0, 22, 128, 200, 255):
                for _ in range(20):
                    stranger.sendto(bytes([first]) + os.urandom(60), (ADDRESS, port))
            stranger.sendto(b"", (ADDRESS, port))
        await tones_are_heard(sides, 0.8)
        assert sides[0].call.stats().ignored >= 100


async def test_own_address_answers_nobody_where_only_relays_are_allowed(engine: CallEngine) -> None:
    async with (
        FakeReflector.open(ADDRESS) as reflector,
        call_between_ours(engine, servers=[reflector.server(3)], p2p_allowed=False) as sides,
    ):
        callee = sides[1].call._transport
        assert all(candidate.kind == "relay" for candidate in callee._told)
        port = callee._direct[socket.AF_INET].socket.port
        local, remote = callee.ice.local, sides[0].call._transport.ice.local
        attributes = [
            (stun.Attribute.USERNAME, f"{local.ufrag}:{remote.ufrag}".encode()),
            (stun.Attribute.PRIORITY, bytes(4)),
            (stun.Attribute.ICE_CONTROLLING, bytes(8)),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as curious:
            curious.bind((ADDRESS, 0))
            curious.setblocking(False)
            check = stun.build(1, stun.Kind.REQUEST, os.urandom(12), attributes, local.pwd.encode())
            curious.sendto(check, (ADDRESS, port))
            await asyncio.sleep(0.1)
            with pytest.raises(BlockingIOError):
                curious.recv(2048)


async def test_hangup_is_seen_at_once(engine: CallEngine) -> None:
    async with call_between_ours(engine) as sides:
        await sides[0].call.close()
        async with asyncio.timeout(0.5):
            assert await sides[1].call.failed() is Failure.PEER_CLOSED
        assert await sides[0].call.failed() is None
        assert sides[1].call.stats().state is CallState.FAILED


async def test_peer_that_vanishes_is_reconnecting_and_lost_in_the_end(
    engine: CallEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.media.tgcall.ice.LOST_AFTER_S", 4.5)
    async with (
        FakeReflector.open(ADDRESS) as reflector,
        call_between_ours(engine, servers=[reflector.server(3)], p2p_allowed=False) as sides,
    ):
        reflector.lost = True
        await asyncio.sleep(3.3)
        assert sides[0].call.stats().state is CallState.RECONNECTING
        async with asyncio.timeout(6.0):
            assert await sides[0].call.failed() is Failure.PATH_LOST


async def test_call_that_finds_no_path_says_so(engine: CallEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "CONNECT_S", 0.5)
    with pytest.raises(ConnectError) as caught:
        async with call_between_ours(engine, p2p_allowed=False):
            pass
    assert caught.value.failure is Failure.NO_PATH


async def test_call_closed_while_connecting_says_so(engine: CallEngine) -> None:
    call = engine.call(
        key=os.urandom(256), outgoing=True, versions=["9.0.0"], send_signal=lambda _: None, on_audio=lambda _: None
    )
    waiting = asyncio.create_task(call.connected())
    await asyncio.sleep(0)
    await call.close()
    await call.close()
    with pytest.raises(ConnectError):
        await waiting
    assert engine.calls == 0


async def test_certificate_other_than_announced_is_refused(engine: CallEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    real = messages.parse

    def tampered(data: bytes) -> Any:
        body = json.loads(data)
        if body.get("@type") == "InitialSetup":
            body["fingerprints"][0]["fingerprint"] = ":".join(["00"] * 32)
        return real(json.dumps(body).encode())

    monkeypatch.setattr(call_module, "parse", tampered)
    with pytest.raises(ConnectError) as caught:
        async with call_between_ours(engine):
            pass
    assert caught.value.failure is Failure.WRONG_CERTIFICATE


async def test_signalling_without_sctp_is_spoken_when_the_call_asks_for_it(engine: CallEngine) -> None:
    parameters = json.dumps({"network_signaling_nosctp": True, "of_tomorrow": {"x": 1}})
    async with call_between_ours(engine, version="13.0.0", custom_parameters=parameters) as sides:
        await tones_are_heard(sides, 0.8)


async def test_host_without_a_network_says_so_and_leaves_nothing_behind(
    engine: CallEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError("no socket")

    monkeypatch.setattr("gateway.media.tgcall.transport.DirectPath", none)
    with pytest.raises(OSError, match="no UDP socket"):
        engine.call(
            key=os.urandom(256), outgoing=True, versions=["9.0.0"], send_signal=lambda _: None, on_audio=lambda _: None
        )
    assert engine.calls == 0


async def test_unknown_transport_is_refused_and_leaves_nothing_behind(engine: CallEngine) -> None:
    with pytest.raises(UnsupportedError):
        engine.call(
            key=os.urandom(256),
            outgoing=True,
            versions=["13.0.0"],
            custom_parameters='{"network_kcp_experiment": true}',
            send_signal=lambda _: None,
            on_audio=lambda _: None,
        )
    assert engine.calls == 0


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_turn_relay_carries_the_call(engine: CallEngine, tmp_path: Path, tcp: bool) -> None:
    async with (
        coturn(ADDRESS, tmp_path, tcp) as server,
        call_between_ours(engine, servers=[server], p2p_allowed=False) as sides,
    ):
        await tones_are_heard(sides, 0.8)
        assert sides[0].call.stats().path is PathKind.RELAY


async def test_server_that_sees_us_elsewhere_gives_a_candidate(engine: CallEngine) -> None:
    """A STUN server behind a NAT is played: it tells an address that is not ours."""
    asked = asyncio.Event()

    class Stun(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            message = stun.parse(data)
            if message is not None:
                mapped = stun.xor_address(("203.0.113.9", 4242), message.transaction)
                attributes = [(stun.Attribute.XOR_MAPPED_ADDRESS, mapped)]
                self.transport.sendto(stun.build(1, stun.Kind.SUCCESS, message.transaction, attributes), addr)
                asked.set()

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Stun, local_addr=(ADDRESS, 0))
    with contextlib.closing(transport):
        server = Server(1, ADDRESS, "", transport.get_extra_info("sockname")[1], stun=True)
        async with call_between_ours(engine, servers=[server]) as sides:
            async with asyncio.timeout(2):
                await asked.wait()
            await asyncio.sleep(0.05)
            told = sides[0].call._transport._told[-1]
            assert (told.kind, told.address) == ("srflx", ("203.0.113.9", 4242))


async def test_ipv6_carries_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.media.tgcall.transport.local_addresses", lambda _: ["::1"])
    async with CallEngine(allow_loopback=True) as engine, call_between_ours(engine) as sides:
        await tones_are_heard(sides, 0.8)
        pair = sides[0].call._transport.selected
        assert pair is not None
        assert pair.remote.address[0] == "::1"


async def test_messages_in_any_order_connect(engine: CallEngine) -> None:
    """Candidates before InitialSetup, the callee's answer before its introduction: no order is promised."""
    loop = asyncio.get_running_loop()
    dice = random.Random(3)

    def shuffle(deliver: Callable[[bytes], None], blob: bytes) -> None:
        loop.call_later(dice.random() * 0.15, deliver, blob)

    async def one() -> int:
        parameters = json.dumps({"network_signaling_nosctp": True})  # a blob is a message: any order reaches the top
        async with call_between_ours(engine, version="13.0.0", custom_parameters=parameters, carry=shuffle) as sides:
            await asyncio.sleep(0.4)
            return max(side.call.stats().signals_sent for side in sides)

    async with asyncio.timeout(8):
        assert max(await asyncio.gather(*(one() for _ in range(20)))) < 12


async def test_camera_and_a_changed_stream_in_mid_call_leave_the_audio_alone(engine: CallEngine) -> None:
    async with call_between_ours(engine) as sides:
        await speak(sides, (600, 900), 0.3)
        peer = sides[1].call
        audio = Content("audio", peer._sender.ssrc, (OPUS,))
        camera = Content("video", 77, (PayloadType(100, "VP8", 90_000, 1),))
        changed = Content("audio", 4444, (OPUS,))
        for exchange, contents in enumerate([(audio, camera), (audio,), (changed, camera)]):
            peer._negotiation._own_ids[5000 + exchange] = None
            peer._signalling.send(NegotiateChannels(5000 + exchange, contents).encode())
            peer._signalling.poll(asyncio.get_running_loop().time())
        peer._sender.rtp.ssrc = 4444
        await tones_are_heard(sides, 0.8)
        assert sides[0].call.stats().lost == 0
        assert max(side.call.stats().signals_sent for side in sides) < 12


async def test_thirty_calls_at_once_are_all_heard(engine: CallEngine) -> None:
    async with contextlib.AsyncExitStack() as stack:
        opened = await asyncio.gather(
            *(
                stack.enter_async_context(call_between_ours(engine, version=library_versions()[n % 4]))
                for n in range(30)
            )
        )
        sides = [side for pair in opened for side in pair]
        tones = [400 + 20 * n for n in range(len(sides))]
        await speak(sides, tones, 1.5)
        for n, side in enumerate(sides):
            assert loudest_hz(side.heard()[-side.rate_hz :], side.rate_hz) == pytest.approx(tones[n ^ 1], abs=4)


async def test_many_set_ups_at_once_leave_the_loop_to_others_now_and_then(engine: CallEngine) -> None:
    """Judged by processor time between two passes of the loop: the machine may be busy."""
    loop = asyncio.get_running_loop()
    passes = [time.thread_time()]

    def once_a_pass() -> None:
        passes.append(time.thread_time())
        if not done.is_set():
            loop.call_soon(once_a_pass)

    done = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        opening = asyncio.gather(
            *(stack.enter_async_context(call_between_ours(engine, version="13.0.0")) for _ in range(30))
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # all have begun
        passes[:] = [time.thread_time()]
        once_a_pass()
        await opening
        done.set()
    longest = sorted(later - earlier for earlier, later in itertools.pairwise(passes))
    assert sum(longest[-5:]) / 5 < 0.012


async def test_calls_in_a_row_leave_nothing_behind(engine: CallEngine) -> None:
    process = psutil.Process()

    async def some(calls: int) -> None:
        for n in range(calls):
            async with call_between_ours(engine, version=library_versions()[n % 4]) as sides:
                await speak(sides, (600, 900), 0.02)

    await some(8)
    gc.collect()
    files, tasks, objects = process.num_fds(), len(asyncio.all_tasks()), len(gc.get_objects())
    await some(30)
    await asyncio.sleep(0.05)
    gc.collect()
    assert process.num_fds() == files
    assert len(asyncio.all_tasks()) == tasks
    assert len(gc.get_objects()) - objects < 1000
    assert engine.calls == 0

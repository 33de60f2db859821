"""The whole audio path: RTP, a worker process, ntgcalls, and a Telegram user's ntgcalls in another process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from gateway.errors import CallError, GatewayError, HangupCause
from gateway.media import pool as pool_module
from gateway.media.model import AudioFormat, EngineSetup, MediaReport
from gateway.media.pool import MediaPool
from gateway.media.seat import MediaCall
from gateway.media.settings import MediaSettings
from tests.integration.media.phone import Channel
from tests.integration.tgcall.peer import RATE_HZ, Users, loudest_hz

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: On each of the engines: our own, which is used when none is chosen, and the other.
each_engine = pytest.mark.parametrize("engine", ["auto", "ntgcalls"])


@pytest.fixture
def engine() -> str:
    return "auto"


def open_pool(engine: str, workers: int = 2) -> MediaPool:
    return MediaPool(MediaSettings.model_validate({"workers": workers, "engine": engine}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pools() -> AsyncIterator[dict[str, MediaPool]]:
    """A pool of each kind for all tests that leave it whole."""
    async with contextlib.AsyncExitStack() as stack:
        yield {engine: await stack.enter_async_context(open_pool(engine)) for engine in ("auto", "ntgcalls")}


@pytest.fixture
def pool(engine: str, pools: dict[str, MediaPool]) -> MediaPool:
    return pools[engine]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def users() -> AsyncIterator[Users]:
    """One process of users for all tests: it starts more slowly than most of them run."""
    async with Users.open() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def fresh_pool(engine: str) -> AsyncIterator[MediaPool]:
    """For tests that break it."""
    async with open_pool(engine) as opened:
        yield opened


@dataclass
class Talk:
    """A call in a test: its media, Asterisk's end and the user's number, each with a tone of his own."""

    call: MediaCall
    channel: Channel
    users: Users
    user: int
    sip_hz: float
    telegram_hz: float

    async def hear_each_other(self) -> None:
        """Talk until each hears the other's tone, and nothing stronger, for half a second."""
        by_user = by_phone = 0.0
        rate_hz = self.channel.format.rate_hz
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            await self.users.heard(self.user)  # what came before
            await self.channel.talk(0.6)
            by_user = loudest_hz((await self.users.heard(self.user))[-RATE_HZ // 2 :], RATE_HZ)
            by_phone = loudest_hz(self.channel.heard[-rate_hz // 2 :], rate_hz)
            if abs(by_user - self.sip_hz) < 5 and abs(by_phone - self.telegram_hz) < 5:
                return
        report = await self.call.close()
        pytest.fail(f"heard {by_user} for {self.sip_hz}, and {by_phone} for {self.telegram_hz} Hz: {report}")


async def hear_each_other(*talks: Talk) -> None:
    await asyncio.gather(*(talk.hear_each_other() for talk in talks))


async def connect(
    pool: MediaPool, users: Users, number: int, audio_format: AudioFormat = AudioFormat.ALAW, ptime_ms: int = 20
) -> Talk:
    call = pool.place(f"call{number}")
    call.choose(audio_format)
    sip_hz, telegram_hz = 400.0 + 50 * number, 1500.0 + 50 * number
    channel = Channel(audio_format, await call.open_rtp(), sip_hz, ptime_ms)
    call.aim_rtp(channel.address)
    key = os.urandom(256)
    user, outgoing = next(user_ids), number % 2 == 0
    users.join(user, key, outgoing=not outgoing, hz=telegram_hz, versions=pool.versions, on_signal=call.hear_signal)
    setup = EngineSetup(key, outgoing, (), pool.versions, True)
    await call.connect(setup, lambda blob: users.hear_signal(user, blob))
    return Talk(call, channel, users, user, sip_hz, telegram_hz)


user_ids = itertools.count(1)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def talking(*talks: Talk) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for talk in talks:
            talk.channel.close()
            talk.users.tell("leave", talk.user)
            await talk.call.close()


@each_engine
async def test_the_engine_in_use_says_which_versions_it_speaks(pool: MediaPool, engine: str) -> None:
    assert {"8.0.0", "13.0.0"} <= set(pool.versions)
    assert pool.engine == {"auto": "tgcall"}.get(engine, engine)


@each_engine
@pytest.mark.parametrize("audio_format", list(AudioFormat))
async def test_a_tone_goes_each_way_whatever_the_packet_length(
    pool: MediaPool, users: Users, audio_format: AudioFormat
) -> None:
    talks = [await connect(pool, users, n, audio_format, ptime_ms) for n, ptime_ms in enumerate((10, 20, 30, 40))]
    async with talking(*talks):
        await hear_each_other(*talks)
        for talk in talks:
            packets = talk.channel.packets
            assert packets[0].marker
            assert not any(packet.marker for packet in packets[1:])
            assert {len(packet.payload) for packet in packets} == {160}
            assert {packet.payload_type for packet in packets} == {audio_format.payload_type}
            ticks = {b.timestamp - a.timestamp for a, b in itertools.pairwise(packets)}
            assert ticks <= {160, 160 - 2**32}
            report = await talk.call.close()
            assert report.engine == pool.engine
            assert report.version in {*pool.versions, ""}  # not every engine tells
            assert report.to_telegram.packets == talk.channel.sent
            assert (report.to_telegram.lost, report.to_telegram.late) == (0, 0)
            assert report.to_sip.packets >= 25 * 20 // 60  # an app's packets are of 60 ms
            assert report.to_sip.first_ms is not None
            assert report.to_telegram.first_ms is not None


@each_engine
async def test_ten_calls_at_once_and_none_crossed(pool: MediaPool, users: Users) -> None:
    talks = await asyncio.gather(*(connect(pool, users, n) for n in range(10)))
    async with talking(*talks):
        await hear_each_other(*talks)
    assert len(pool.pids) == 2


@each_engine
async def test_a_killed_worker_ends_its_own_calls_alone_and_is_replaced(fresh_pool: MediaPool, users: Users) -> None:
    pool = fresh_pool
    first = await connect(pool, users, 0)
    (victim,) = pool.pids[:1]
    await until(lambda: len(pool.pids) == 2)
    other = await connect(pool, users, 1)
    async with talking(first, other):
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(1):
            ending = await first.call.lost()
        assert ending.cause is HangupCause.MEDIA_LOST
        assert "worker" in ending.detail
        assert await first.call.close() == MediaReport(counted=False)
        await other.hear_each_other()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await other.call.lost()
        assert victim not in pool.pids
        await until(lambda: len(pool.pids) == 2)
        third = await connect(pool, users, 2)
        async with talking(third):
            await third.hear_each_other()


def _opened(pool: MediaPool, call_id: str) -> MediaCall:
    call = pool.place(call_id)
    call.choose(AudioFormat.ALAW)
    return call


async def test_workers_that_a_peak_has_left_are_let_go_but_one() -> None:
    async with MediaPool(MediaSettings(workers=3, retire_s=0.6)) as pool:
        calls = [_opened(pool, f"call{number}") for number in range(3)]
        await asyncio.gather(*(call.open_rtp() for call in calls))
        peak = pool.pids
        assert len(peak) == 3
        await calls.pop().close()
        await asyncio.sleep(1.5)
        assert pool.pids == peak  # one idle is one in readiness
        for call in calls:
            await call.close()
        await until(lambda: len(pool.pids) == 1)
        await until(lambda: sum(psutil.pid_exists(pid) for pid in peak) == 1)
        await asyncio.sleep(1.5)
        assert set(pool.pids) < set(peak)
        again = [_opened(pool, f"again{number}") for number in range(2)]
        await asyncio.gather(*(call.open_rtp() for call in again))
        assert len(pool.pids) == 3


async def test_a_worker_is_not_let_go_with_a_call_nor_in_a_moment_between_two() -> None:
    async with MediaPool(MediaSettings(workers=3, retire_s=0.6)) as pool:
        stays = _opened(pool, "stays")
        await stays.open_rtp()
        for number in range(10):
            brief = [_opened(pool, f"brief{number}{which}") for which in "ab"]
            await asyncio.gather(*(call.open_rtp() for call in brief))
            await asyncio.gather(*(call.close() for call in brief))
            await until(lambda: len(pool.pids) == 3)
            if number == 0:
                all_three = pool.pids
            await asyncio.sleep(0.2)  # both are idle for most of the time
        assert pool.pids == all_three
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await stays.lost()


@each_engine
async def test_a_worker_killed_in_mid_setup_fails_what_waits_for_it(fresh_pool: MediaPool) -> None:
    pool = fresh_pool
    call = pool.place("call")
    call.choose(AudioFormat.ULAW)
    await call.open_rtp()
    setup = EngineSetup(os.urandom(256), True, (), pool.versions, True)
    blobs: list[bytes] = []
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(_outcome(call.connect(setup, blobs.append)))
        await until(lambda: bool(blobs))
        os.kill(pool.pids[0], signal.SIGKILL)
    assert connecting.result() is HangupCause.MEDIA_LOST


async def _outcome(connecting: Awaitable[object]) -> HangupCause | None:
    try:
        await connecting
    except CallError as error:
        return error.ending.cause
    return None


async def test_a_stopped_worker_is_found_out_and_replaced() -> None:
    async with MediaPool(MediaSettings(workers=1, answer_s=0.5)) as watched:
        call = watched.place("call")
        call.choose(AudioFormat.ALAW)
        await call.open_rtp()
        os.kill(watched.pids[0], signal.SIGSTOP)
        async with asyncio.timeout(5):
            assert (await call.lost()).cause is HangupCause.MEDIA_LOST
        await call.close()
        another = watched.place("another")
        another.choose(AudioFormat.ALAW)
        await until(lambda: len(watched.pids) == 1)


async def test_a_worker_exits_as_soon_as_its_node_is_gone_and_not_on_the_terminals_signals() -> None:
    node, its = socket.socketpair()
    settings = MediaSettings().model_dump_json(include={"engine", "host", "rtp_ports", "first_audio_s", "dtx"})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.media.worker", settings, stdin=its.fileno()
    )
    its.close()
    node.setblocking(False)
    loop = asyncio.get_running_loop()
    assert b'"ready"' in await loop.sock_recv(node, 65536)
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    await loop.sock_sendall(node, b'{"do":"ping"}\n')
    assert b'"pong"' in await loop.sock_recv(node, 65536)
    node.close()
    async with asyncio.timeout(2):
        assert await process.wait() == 0


@each_engine
async def test_nobody_answering_is_told_in_time_and_frees_the_engine(users: Users, engine: str) -> None:
    settings = MediaSettings.model_validate({"workers": 1, "engine": engine, "connect_s": 1.0})
    async with MediaPool(settings) as pool:
        call = pool.place("lonely")
        call.choose(AudioFormat.ALAW)
        setup = EngineSetup(os.urandom(256), True, (), pool.versions, True)
        with pytest.raises(CallError, match="no media connection") as failure:
            await call.connect(setup, lambda _: None)
        assert failure.value.ending.cause is HangupCause.MEDIA_LOST
        await call.close()
        talk = await connect(pool, users, 1)
        async with talking(talk):
            await talk.hear_each_other()


async def test_a_call_whose_audio_never_comes_is_lost_with_a_reason(users: Users) -> None:
    async with MediaPool(MediaSettings(workers=1, first_audio_s=0.3)) as pool:
        talk = await connect(pool, users, 1)
        async with talking(talk):
            async with asyncio.timeout(2):
                ending = await talk.call.lost()
            assert ending.cause is HangupCause.MEDIA_LOST
            assert "Asterisk" in ending.detail


async def test_rubbish_and_strangers_are_counted_and_do_no_harm(pool: MediaPool, users: Users) -> None:
    talk = await connect(pool, users, 1)
    worker = talk.channel.worker
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(talking(talk))
        stranger = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for rubbish in (b"", b"\x80", os.urandom(1400), bytes(2000), b"\x80\x08" + bytes(170)):
            stranger.sendto(rubbish, worker)
            talk.channel.send(b"\x40" + rubbish[:1000])
        await talk.hear_each_other()
    report = await talk.call.close()
    assert report.to_telegram.ignored == 10
    assert report.to_telegram.packets == talk.channel.sent


@each_engine
async def test_a_user_who_hangs_up_is_not_taken_for_a_lost_path(pool: MediaPool, users: Users) -> None:
    talk = await connect(pool, users, 1)
    async with talking(talk):
        await talk.channel.talk(0.2)
        await users.ask("leave", talk.user)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await talk.call.lost()
        talk.channel.listen()
        assert len(talk.channel.packets) >= 25  # be it silence
    await talk.call.close()


async def test_a_lossy_line_is_concealed_and_counted(pool: MediaPool, users: Users) -> None:
    talk = await connect(pool, users, 1)
    async with talking(talk):
        talk.channel.lose_every = 10
        await talk.hear_each_other()
        await talk.channel.talk(0.5)
    report = await talk.call.close()
    assert report.to_telegram.packets == talk.channel.sent
    assert report.to_telegram.lost == talk.channel.lost
    assert report.to_telegram.concealed_ms == pytest.approx(20 * talk.channel.lost, abs=40)


async def test_a_line_on_hold_is_filled_with_silence_and_speech_goes_on_after_it(pool: MediaPool, users: Users) -> None:
    talk = await connect(pool, users, 1)
    async with talking(talk):
        await talk.channel.talk(0.3)
        await asyncio.sleep(1.0)
        await talk.hear_each_other()
    report = await talk.call.close()
    assert report.to_telegram.filled_ms >= 850


async def test_silence_is_sent_to_telegram_unless_the_setting_spares_it(users: Users) -> None:
    sent = {}
    for dtx in (False, True):
        async with MediaPool(MediaSettings(workers=1, dtx=dtx)) as pool:
            talk = await connect(pool, users, 1)
            async with talking(talk):
                await talk.hear_each_other()
                await asyncio.sleep(0.5)
                before = datagrams_sent()
                await asyncio.sleep(2.0)
                sent[dtx] = datagrams_sent() - before
                await talk.hear_each_other()
    # All else that this host sends is the same: the worker's 50 a second to Asterisk, the user's 17 to the worker.
    assert sent[False] - sent[True] > 60


def datagrams_sent() -> int:
    """By all of this host, which in a test is a network of its own. Source: proc_net(5), RFC 4113."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")
    )
    return int(values[names.index("OutDatagrams")])


@each_engine
async def test_a_call_may_be_looked_at_while_it_lives(pool: MediaPool, users: Users) -> None:
    talk = await connect(pool, users, 1)
    async with talking(talk):
        await talk.hear_each_other()
        first, second = await asyncio.gather(pool.look("call1"), pool.look("call1"))
        assert first == second
        assert first.engine == pool.engine
        assert 0 < first.to_telegram.packets <= talk.channel.sent
        assert first.to_sip.packets > 0
        await talk.hear_each_other()
    report = await talk.call.close()
    assert report.to_telegram.packets > first.to_telegram.packets
    assert report.to_sip.lost == first.to_sip.lost == 0  # the first look was not counted twice
    for nobody in ("call1", "call99"):
        assert not (await pool.look(nobody)).counted


@each_engine
async def test_media_may_be_closed_in_any_state_and_any_number_of_times(pool: MediaPool, users: Users) -> None:
    untouched = pool.place("untouched")
    assert (await untouched.close()).to_sip.packets == 0
    opened = pool.place("opened")
    opened.choose(AudioFormat.G722)
    await opened.open_rtp()
    first, second = await asyncio.gather(opened.close(), opened.close())
    assert first == second == await opened.close()
    waiting = pool.place("waiting")
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(_outcome(waiting.open_rtp()))
        await asyncio.sleep(0)
        await waiting.close()
    assert asked.result() is HangupCause.NORMAL
    with pytest.raises(CallError):
        await waiting.open_rtp()
    connecting = pool.place("connecting")
    connecting.choose(AudioFormat.ULAW)
    setup = EngineSetup(os.urandom(256), True, (), pool.versions, True)
    async with asyncio.TaskGroup() as group:
        group.create_task(_outcome(connecting.connect(setup, lambda _: None)))
        await asyncio.sleep(0.05)
        await connecting.close()
    talk = await connect(pool, users, 1)
    async with talking(talk):
        await talk.channel.talk(0.6)
    assert (await talk.call.close()).to_telegram.packets == 30


async def test_the_second_leg_of_a_fork_that_chooses_a_codec_is_told_that_it_is_too_late(pool: MediaPool) -> None:
    call = pool.place("call")
    call.choose(AudioFormat.ALAW)
    with pytest.raises(CallError) as failure:
        call.choose(AudioFormat.G722)
    assert failure.value.ending.cause is HangupCause.ANSWERED_ELSEWHERE
    assert call.format is AudioFormat.ALAW


@each_engine
async def test_connecting_waits_for_the_codec_and_keeps_the_signals_that_came_before(
    pool: MediaPool, users: Users
) -> None:
    call = pool.place("call")
    key = os.urandom(256)
    user = next(user_ids)
    users.join(user, key, outgoing=True, hz=None, versions=pool.versions, on_signal=call.hear_signal)
    setup = EngineSetup(key, False, (), pool.versions, True)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        connecting = group.create_task(call.connect(setup, lambda blob: users.hear_signal(user, blob)))
        await asyncio.sleep(0.4)  # the user's first blobs are there by now
        assert not connecting.done()
        call.choose(AudioFormat.ALAW)
    await users.connected(user)
    await asyncio.gather(call.close(), users.ask("leave", user))


async def test_ports_come_from_the_range_and_are_kept_from_new_calls_for_a_while() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with MediaPool(MediaSettings(workers=1, rtp_ports=(port, port))) as narrow:
        calls = [narrow.place(f"call{n}") for n in range(3)]
        for call in calls:
            call.choose(AudioFormat.ALAW)
        assert (await calls[0].open_rtp()).port == port
        with pytest.raises(CallError) as failure:
            await calls[1].open_rtp()
        assert failure.value.ending.cause is HangupCause.CONGESTION
        await calls[0].close()
        with pytest.raises(CallError):
            await calls[1].open_rtp()
        await asyncio.sleep(1.2)
        assert (await calls[2].open_rtp()).port == port


@each_engine
async def test_many_calls_leave_nothing_behind(users: Users, engine: str) -> None:
    async with open_pool(engine, workers=1) as pool:
        worker = psutil.Process(pool.pids[0])
        fds, threads = [], []
        tasks = len(asyncio.all_tasks())
        for number in range(8):
            talk = await connect(pool, users, number)
            await talk.channel.talk(0.06)
            talk.channel.close()
            await asyncio.gather(talk.call.close(), users.ask("leave", talk.user))
            opened = pool.place(f"unanswered{number}")
            opened.choose(AudioFormat.G722)
            await opened.open_rtp()
            await opened.close()
            if number in {3, 7}:
                await asyncio.sleep(1.3)
                fds.append(worker.num_fds())
                threads.append(worker.num_threads())
                assert not worker.net_connections("udp")
        assert fds[1] <= fds[0]
        assert threads[1] <= threads[0]
        assert len(asyncio.all_tasks()) == tasks


async def test_a_closed_pool_ends_its_calls_and_takes_no_more() -> None:
    async with MediaPool(MediaSettings(workers=1)) as pool:
        pids = pool.pids
        call = pool.place("call")
        call.choose(AudioFormat.ALAW)
        await call.open_rtp()
    assert (await call.lost()).cause is HangupCause.SHUTDOWN
    await call.close()
    with pytest.raises(CallError):
        pool.place("late")
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_a_pool_that_is_closed_while_a_worker_starts_does_not_wait_for_it() -> None:
    async with MediaPool(MediaSettings(workers=2)) as pool:
        pool.place("call")
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


async def test_an_engine_that_is_not_there_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "PAUSE_S", 0.01)
    begun = time.monotonic()
    settings = MediaSettings.model_construct(**MediaSettings().model_dump() | {"engine": "telepathy"})
    with pytest.raises(GatewayError, match="telepathy"):
        async with MediaPool(settings):
            pass
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("ports", [(80, 90), (20000, 10000), (65000, 70000)])
async def test_a_port_range_that_is_none_is_refused(ports: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="rtp_ports"):
        MediaSettings(rtp_ports=ports)

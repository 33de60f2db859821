"""What breaks: Asterisk killed, its socket cut, its ports taken, a node gone without a word, strangers at the door."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from gateway.call.model import Party
from gateway.errors import Ending, HangupCause
from gateway.sandbox import audio
from gateway.sandbox.phone import RING, Phone, PhoneError
from gateway.sip.embedded import Asterisk, AsteriskError, AsteriskSettings, find
from gateway.sip.listen import free_port
from gateway.sip.side import GRACE_S, SipSide
from tests.asterisk_fixtures import (
    HOST,
    PASSWORD,
    SETTINGS,
    Offers,
    asterisk,
    emptied,
    eventually,
    left_in,
    no_alerting,
    place,
    registering_line,
)

NORMAL = Ending(HangupCause.NORMAL)


async def test_when_asterisk_is_killed_calls_end_and_the_next_one_works_within_five_seconds(tmp_path: Path) -> None:
    async with asterisk(tmp_path, registering_line(1)) as running, place(running) as here:
        call = here.phone.call("100")
        _, near, _ = await here.take()
        await near.answer()
        await call.answered()
        here.phone.behaviour = RING
        far, _ = here.far()
        dialling = asyncio.create_task(far.dial("200", Party("1"), no_alerting))
        await (await here.phone.came.get()).ringing()
        first_pid = running.pid
        assert first_pid is not None
        began = time.monotonic()
        os.kill(first_pid, signal.SIGKILL)
        for leg in (near, far):
            async with asyncio.timeout(1):
                ending = await leg.released()
            assert (ending.cause, ending.detail) == (HangupCause.INTERNAL, "Asterisk died")
            await leg.release(ending)
        await asyncio.wait([dialling])
        assert dialling.exception() is not None
        async with asyncio.timeout(5):
            await here.side.ari.wait_up()
            while True:
                with contextlib.suppress(PhoneError, TimeoutError):
                    async with asyncio.timeout(0.7):
                        await here.phone.register()
                        break
            again = here.phone.call("100")
            _, leg, _ = await here.take()
            await leg.answer()
            await again.answered()
        assert time.monotonic() - began < 5
        assert running.pid not in {None, first_pid}
        await leg.release(NORMAL)


async def test_an_asterisk_that_freezes_is_replaced_and_its_calls_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asterisk(tmp_path, registering_line(1)) as running, place(running) as here:
        call = here.phone.call("100")
        _, near, _ = await here.take()
        await near.answer()
        await call.answered()
        frozen = running.pid
        assert frozen is not None
        monkeypatch.setattr("gateway.sip.embedded.ALIVE_S", 0.1)
        monkeypatch.setattr("gateway.sip.ari.REQUEST_S", 0.5)
        os.kill(frozen, signal.SIGSTOP)
        async with asyncio.timeout(20):
            assert (await near.released()).detail == "Asterisk died"
        monkeypatch.undo()
        await near.release(NORMAL)
        await eventually(lambda: running.pid not in {None, frozen})
        await here.side.ari.wait_up()


class Wall:
    """A TCP door in front of ARI that can be slammed."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._open: set[asyncio.StreamWriter] = set()
        self.closed = False

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._pass, HOST, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self.slam()
            server.close()

    def slam(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        behind_reader, behind_writer = await asyncio.open_connection(HOST, self._behind)
        self._open |= {writer, behind_writer}
        await asyncio.gather(self._copy(reader, behind_writer), self._copy(behind_reader, writer))
        self._open -= {writer, behind_writer}

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


async def test_a_cut_ari_socket_costs_no_call_and_what_was_missed_is_found_out(tmp_path: Path) -> None:
    async with asterisk(tmp_path, registering_line(1)) as embedded:
        wall = Wall(int(embedded.ari.url.rpartition(":")[2]))
        async with wall.standing() as port:
            # The same Asterisk as an operator's own would be used, behind the wall.
            settings = AsteriskSettings(
                ari_url=f"http://{HOST}:{port}",
                ari_password=SecretStr(embedded.ari.password),
                ami_secret=SecretStr("unused"),
                udp_port=embedded.ports.udp,
            )
            async with Asterisk(settings, tmp_path / "none") as own, place(own) as here:
                going_on = here.phone.call("100", codecs=("ulaw",), play=audio.tone(700, 1, 8000))
                _, kept, _ = await here.take()
                await kept.answer()
                hung_up = here.phone.call("100")
                _, missed, _ = await here.take()
                await missed.answer()
                await hung_up.answered()

                wall.closed = True
                wall.slam()
                await eventually(lambda: not here.side.ari.up)
                await hung_up.hang_up()
                waited = here.phone.call("100")  # comes in while nobody listens
                before = len(going_on.sound.heard)
                await asyncio.sleep(0.3)
                assert len(going_on.sound.heard) - before > 10
                wall.closed = False

                async with asyncio.timeout(3):
                    assert (await missed.released()).cause is HangupCause.NORMAL
                    _, late, _ = await here.take()
                    await late.answer()
                    await waited.answered()
                await asyncio.sleep(0.1)
                assert going_on.ended_at is None
                await going_on.hang_up()
                async with asyncio.timeout(2):
                    assert (await kept.released()).cause is HangupCause.NORMAL
                await asyncio.gather(*(leg.release(NORMAL) for leg in (kept, missed, late)))
                assert await emptied(here.side.ari)


async def test_an_answer_missed_while_the_socket_was_cut_is_caught_up(tmp_path: Path) -> None:
    async with asterisk(tmp_path, registering_line(1)) as embedded:
        wall = Wall(int(embedded.ari.url.rpartition(":")[2]))
        async with wall.standing() as port:
            settings = AsteriskSettings(
                ari_url=f"http://{HOST}:{port}",
                ari_password=SecretStr(embedded.ari.password),
                ami_secret=SecretStr("unused"),
                udp_port=embedded.ports.udp,
            )
            async with Asterisk(settings, tmp_path / "none") as own, place(own) as here:
                here.phone.behaviour = RING
                leg, _ = here.far()
                dialling = asyncio.create_task(leg.dial("100", Party("1"), no_alerting))
                call = await here.phone.came.get()
                await call.ringing()
                await asyncio.sleep(0.05)
                wall.closed = True
                wall.slam()
                answering = asyncio.create_task(call.answer())
                await asyncio.sleep(0.1)
                wall.closed = False
                async with asyncio.timeout(3):
                    await dialling
                await leg.release(NORMAL)
                await answering
                assert await emptied(here.side.ari)


async def test_what_a_killed_node_left_in_asterisk_is_cleared_by_the_next(tmp_path: Path) -> None:
    async with asterisk(tmp_path, registering_line(1)) as running:
        async with place(running) as here:
            call = here.phone.call("100")
            _, leg, _ = await here.take()
            await leg.answer()
            await call.answered()
            # Gone without a word: the leg is never released.
        async with SipSide(running, Offers()) as side:
            assert await left_in(side.ari)
            assert await emptied(side.ari, 2 * GRACE_S)


async def test_a_sigkilled_node_leaves_no_asterisk_behind(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from gateway.sip.embedded import Asterisk\n"
        "from tests.asterisk_fixtures import SETTINGS\n"
        "async def main():\n"
        "    async with Asterisk(SETTINGS, Path(sys.argv[1])) as running:\n"
        "        sys.stderr.write(f'{running.pid}\\n')\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    node = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert node.stderr is not None
    pid = int(await node.stderr.readline())
    node.kill()
    await node.wait()
    await eventually(lambda: not _runs(pid), 5)


def _runs(pid: int) -> bool:
    try:
        return b"asterisk" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def test_a_stale_asterisk_is_ended_before_a_new_one_starts(tmp_path: Path) -> None:
    async with asterisk(tmp_path, ""):
        pass
    stale = await asyncio.create_subprocess_exec(
        *find(SETTINGS.prefix).argv, "-f", "-C", str(tmp_path / "etc/asterisk.conf"), stdout=subprocess.DEVNULL
    )
    await eventually((tmp_path / "run/asterisk.pid").exists, 5)
    async with asterisk(tmp_path, "") as running:
        assert running.pid != stale.pid
        await stale.wait()


async def test_an_occupied_sip_port_is_told_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, 0))
        port = other.getsockname()[1]
        settings = AsteriskSettings(bind=HOST, udp_port=port, tcp_port=None, tls_port=None)
        with pytest.raises(AsteriskError, match=rf"SIP over UDP can't use 127.0.0.1:{port}: address already in use"):
            async with Asterisk(settings, tmp_path):
                pass


async def test_two_gateways_on_one_folder_are_refused(tmp_path: Path) -> None:
    async with asterisk(tmp_path, ""):
        with pytest.raises(AsteriskError, match="Another gateway runs on the folder"):
            async with Asterisk(SETTINGS, tmp_path):
                pass


async def test_an_engineers_mistake_costs_his_own_file_alone_and_is_told_in_asterisks_words(tmp_path: Path) -> None:
    (tmp_path / "etc/siptg-custom").mkdir(parents=True)
    (tmp_path / "etc/siptg-custom/extensions.conf").write_text("#include nowhere.conf\n")
    with structlog.testing.capture_logs() as told:
        async with asterisk(tmp_path, registering_line(1)) as running, place(running) as here:
            call = here.phone.call("100")
            offer = await here.offers.next()
            await offer.refuse(Ending(HangupCause.BUSY))
            assert (await call.ended()).code == 486
    [complaint] = [event for event in told if event["event"] == "asterisk complained"]
    assert "The file 'nowhere.conf' was listed as a #include but it does not exist" in complaint["line"]


async def test_without_any_asterisk_the_way_to_one_is_told(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"prefix": tmp_path / "nothing"})
    with pytest.raises(AsteriskError, match="install"):
        async with Asterisk(settings, tmp_path / "state"):
            pass


async def test_an_operators_own_asterisk_that_is_not_there_is_told(tmp_path: Path) -> None:
    url = f"http://{HOST}:{free_port(HOST)}"
    settings = AsteriskSettings(ari_url=url, ari_password=SecretStr("x"), ami_secret=SecretStr("y"))
    with pytest.raises(AsteriskError, match=f"No Asterisk answers at {url}"):
        async with Asterisk(settings, tmp_path):
            pass


async def test_a_stranger_gets_the_same_challenge_as_a_line_and_never_a_call(tmp_path: Path) -> None:
    async with asterisk(tmp_path, registering_line(1)) as running, place(running) as here:
        server = (HOST, running.ports.udp or 0)
        challenges: list[list[str]] = []
        for user, password in (("admin", "1234"), ("line1", "wrong")):
            async with Phone(user, password, server) as stranger:
                with pytest.raises(PhoneError) as refused:
                    await stranger.register()
                assert refused.value.response is not None
                assert refused.value.response.code in {401, 403}
                call = stranger.call("100")
                with pytest.raises(PhoneError) as turned_away:
                    await call.answered()
                response = turned_away.value.response
                assert response is not None
                challenges.append([str(response.code), *sorted(name for name, _ in response.headers)])
        assert challenges[0] == challenges[1]
        assert here.offers.queue.empty()
        async with Phone("line1", PASSWORD, server) as known:
            await known.register()  # the door is open to those who know the word


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_pbx_may_come_over_a_connection(tmp_path: Path, transport: str) -> None:
    async with asterisk(tmp_path, registering_line(1)) as running, place(running) as here:
        port = running.ports.tcp if transport == "tcp" else running.ports.tls
        async with Phone("line1", PASSWORD, (HOST, port or 0), transport=transport) as phone:
            await phone.register()
            call = phone.call("100")
            _, near, _ = await here.take()
            await near.answer()
            await call.answered()
            far, _ = here.far()
            await far.dial("200", Party("1"), no_alerting)
            came = await phone.came.get()
            await asyncio.gather(near.release(NORMAL), far.release(NORMAL))
            await asyncio.gather(call.ended(), came.ended())

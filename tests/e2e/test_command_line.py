"""The gateway as an operator runs it: commands in processes of their own, against the local Telegram."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.demo.world import settings_for
from gateway.sandbox.phone import Phone, PhoneError
from gateway.sandbox.server import Sandbox
from gateway.telegram.settings import DATA_CENTRE
from tests.commands import environment_beside
from tests.user_app import emoji_of

NUMBER = "+15550100"
#: A command starts Python, the gateway Asterisk as well; a loaded machine takes its time.
START_S = 30.0


class Operator:
    """Somebody with a shell, whose settings name the sandbox."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.udp_port = _free_port()
        self.environment = environment_beside(
            sandbox, folder / "state", SIPTG_ASTERISK__UDP_PORT=str(self.udp_port), COLUMNS="200"
        )

    async def start(self, *words: str, **settings: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment | settings,
        )

    async def run(self, *words: str, **settings: str) -> str:
        """What a command prints; it must succeed."""
        code, out, err = await self.outcome(*words, **settings)
        assert code == 0, err
        return out

    async def outcome(self, *words: str, **settings: str) -> tuple[int, str, str]:
        process = await self.start(*words, **settings)
        async with asyncio.timeout(START_S):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def log_in(self) -> str:
        """`siptg session login`, with the code typed when it is asked for."""
        process = await self.start("session", "login", NUMBER)
        assert process.stdin is not None
        assert process.stderr is not None
        async with asyncio.timeout(START_S):
            await process.stderr.readuntil(b"has sent a code")
            process.stdin.write(b"00000\n" + self.sandbox.login_code(NUMBER).encode() + b"\n")
            out, err = await process.communicate()
        assert process.returncode == 0, err
        assert b"not the code" in err
        return out.decode()

    @asynccontextmanager
    async def serving(self, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """`siptg serve`, up; killed at the end if it has not stopped by itself."""
        process = await self.start("serve", **settings)
        assert process.stderr is not None
        try:
            async with asyncio.timeout(START_S):
                while b"gateway is up" not in (line := await process.stderr.readline()):
                    assert line, "the gateway ended while starting"
            drain = asyncio.create_task(process.stderr.read())  # its log must not fill the pipe
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), START_S)
            await drain

    async def phone(self, line: int) -> Phone:
        """A telephone with what `siptg line credentials` says."""
        shown = await self.run("line", "credentials", str(line))
        login, password = re.findall(r"^  (?:login|password) +(\S+)$", shown, re.MULTILINE)
        return Phone(login, password, ("127.0.0.1", self.udp_port))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def operator(sandbox: Sandbox, tmp_path: Path) -> Operator:
    sandbox.create_user(NUMBER, "Acme", username="acme")
    return Operator(sandbox, tmp_path)


@pytest.mark.timeout(180)
async def test_operator_connects_an_account_and_a_pbx_and_calls_go_both_on_and_out(operator: Operator) -> None:
    sandbox = operator.sandbox
    assert "None yet" in await operator.run("session", "list")
    assert "session 1" in await operator.log_in()
    assert "is added" in await operator.run("line", "add", "--session", "1", "--kind", "pbx-registers", "name=office")
    anna = await sandbox.robots.add(sandbox.create_user("+15550101", "Anna"))
    async with operator.serving() as gateway, await operator.phone(1) as phone:
        await phone.register()
        assert "online" in await operator.run("session", "list")
        call = phone.call("+15550101")
        await call.answered()
        # A line is added, changed and removed beside a call that is up.
        trunk = ("host=127.0.0.9:5060", "name=branch")
        assert "is added" in await operator.run("line", "add", "--session", "1", "--kind", "trunk", *trunk)
        assert "is changed" in await operator.run("line", "set", "2", "priority=20", "codecs=alaw")
        listed = await operator.run("line", "list")
        assert re.search(r"office.*up.*registered", listed)
        assert re.search(r"branch.*20", listed)
        assert "deleted" in await operator.run("line", "remove", "2")
        live = await operator.run("calls", "--live")
        assert "→ Telegram" in live
        assert emoji_of(await anna.wait("connected")) in live
        assert "tgcall" in await operator.run("calls", "--live", "--audio")
        # SIGTERM: the call goes on, new ones are refused, and the end of the call is the end of the gateway.
        gateway.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        refused = phone.call("+15550101")
        with pytest.raises(PhoneError):
            await refused.answered()
        assert (await refused.ended()).code == 503
        assert call.ended_at is None
        await call.hang_up()
        await anna.wait("ended")
        assert await asyncio.wait_for(gateway.wait(), START_S) == 0
    calls = await operator.run("calls")
    assert "normal" in calls
    assert "shutdown" in calls
    assert "call_id,direction" in await operator.run("calls", "--csv")
    assert "logged out" in await operator.run("session", "logout", "1", "--with-lines")
    assert "None yet" in await operator.run("session", "list")
    assert not [one for one in sandbox.authorizations(sandbox.user(NUMBER)) if one.calls_disabled]


@pytest.mark.timeout(120)
async def test_end_of_the_drain_tells_both_sides(operator: Operator) -> None:
    await operator.log_in()
    await operator.run("line", "add", "--session", "1", "--kind", "pbx-registers", "name=office")
    sandbox = operator.sandbox
    anna = await sandbox.robots.add(sandbox.create_user("+15550101", "Anna"))
    async with operator.serving(SIPTG_CALL__DRAIN_S="0.5") as gateway, await operator.phone(1) as phone:
        call = phone.call("+15550101")
        await call.answered()
        gateway.send_signal(signal.SIGTERM)
        assert (await asyncio.wait_for(call.ended(), 10)).by == "them"
        assert (await anna.wait("ended")).reason == "hangup"
        assert await asyncio.wait_for(gateway.wait(), START_S) == 0


@pytest.mark.parametrize(
    ("words", "settings", "sentence"),
    [
        (["serve"], {"SIPTG_TELEGRAM__API_ID": "x"}, "SIPTG_TELEGRAM__API_ID"),
        (["serve"], {"SIPTG_TELEGRAM__API_ID": "0"}, "my.telegram.org"),
        (["serve"], {"SIPTG_TELGRAM__API_ID": "1"}, "SIPTG_TELGRAM__API_ID"),
        (["serve"], {"SIPTG_CALL__DRAIN": "1"}, "SIPTG_CALL__DRAIN"),
        (["serve"], {"SIPTG_ENV_FILE": "/nowhere"}, "/nowhere"),
        (["serve"], {"SIPTG_ASTERISK__PREFIX": "/nowhere", "PATH": "/bin"}, "asterisk/install.sh"),
        (["serve"], {"SIPTG_STATE": "/proc/siptg"}, "/proc/siptg"),
        (["serve"], {"SIPTG_STORAGE__KEY": "short"}, "SIPTG_STORAGE__KEY"),
        (["line", "add", "--session", "9", "--kind", "trunk", "host=127.0.0.1"], {}, "no session account 9"),
        (["line", "set", "1", "colour=red"], {}, "is not field=value"),
        (["session", "logout", "4"], {}, "no session account 4"),
        (["session", "login", "123"], {}, "not a phone number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_what_is_wrong_is_said_in_a_sentence(
    operator: Operator, words: list[str], settings: dict[str, str], sentence: str
) -> None:
    code, out, err = await operator.outcome(*words, **settings)
    assert code != 0
    assert sentence in out + err
    assert "Traceback" not in err


async def test_occupied_port_is_named(operator: Operator) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", operator.udp_port))
        code, _, err = await operator.outcome("serve")
    assert code != 0
    assert f"127.0.0.1:{operator.udp_port}" in err
    assert "Traceback" not in err


async def test_corrupt_database_is_said_to_be_one(operator: Operator) -> None:
    state = Path(operator.environment["SIPTG_STATE"])
    state.mkdir()  # noqa: ASYNC240 - a moment, in a test
    (state / "siptg.db").write_bytes(b"rubbish" * 1000)
    code, _, err = await operator.outcome("session", "list")
    assert code != 0
    assert "siptg.db" in err
    assert "Traceback" not in err


async def test_second_gateway_on_the_same_state_is_refused(operator: Operator) -> None:
    async with operator.serving():
        code, _, err = await operator.outcome("serve", SIPTG_ASTERISK__UDP_PORT="0")
    assert code != 0
    assert "state folder" in err


async def test_check_names_what_is_missing_and_what_is_well(operator: Operator) -> None:
    code, out, _ = await operator.outcome("check", SIPTG_TELEGRAM__API_ID="0", SIPTG_ASTERISK__PREFIX="/nowhere")
    assert code == 1
    assert "my.telegram.org" in out
    assert "no session account yet" in out
    await operator.log_in()
    code, out, _ = await operator.outcome("check")
    assert code == 0, out
    assert f"Telegram at {operator.sandbox.server}: reached" in out
    assert "Ready" in out


async def test_check_looks_at_the_web_ports_where_there_are_any(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, _ = await operator.outcome(
            "check",
            SIPTG_WEB__METRICS_PORT="0",
            SIPTG_WEB__PUBLIC_URL="https://pbx.example.com",
            SIPTG_WEB__PAGES_PORT=str(port),
        )
    assert code == 1
    assert "/health and /metrics: any free port" in out
    assert f"Port {port} of 127.0.0.1 can't be listened at" in " ".join(out.split())
    assert "SIPTG_WEB__PAGES_PORT" in out
    _, out, _ = await operator.outcome("check")
    assert "pages" not in out


async def test_a_demo_knows_no_telegram_but_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    host, port = settings_for(sandbox, tmp_path).telegram.address or DATA_CENTRE
    assert f"{host}:{port}" == sandbox.server

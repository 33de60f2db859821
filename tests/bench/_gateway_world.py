"""A gateway as its operator runs it, in processes of its own, between a local Telegram and a telephone.

What is measured are its processes: the node, its workers, its Asterisk. Telegram and the telephone live in the
benchmark's process, Telegram's users in others again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import SOCK_DGRAM
from typing import Any, Final

import psutil
import structlog

from gateway.app import store_alone
from gateway.call.model import LineKind
from gateway.demo.world import BUSINESS_PHONE, OPERATOR, settings_for
from gateway.sandbox.audio import Pcm
from gateway.sandbox.phone import Phone, PhoneCall, PhoneError
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.settings import Settings
from gateway.sip.listen import free_port
from gateway.telegram.login import Login
from gateway.telegram.model import LoggedIn

Row = dict[str, Any]

#: The parts whose cost is told apart.
PARTS: Final = ("Asterisk", "node", "workers")
#: Python and Asterisk start, and an account comes online, in two seconds; a loaded machine takes its time.
START_S: Final = 60.0
#: One account carries all calls of a measurement.
CALLS: Final = 200


@dataclass(frozen=True, slots=True)
class Footprint:
    """What processes hold of the memory, in MB.

    Attributes:
        rss, pss: With the pages of files: RSS counts a shared one in each process, PSS shares it out among them.
        own: Without: nobody shares these.
    """

    rss: float = 0.0
    pss: float = 0.0
    own: float = 0.0

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(self.rss + other.rss, self.pss + other.pss, self.own + other.own)


@dataclass(slots=True)
class Served:
    """A gateway that runs, and who calls through it.

    Attributes:
        state: Its state folder.
        node: The process that all others of it descend from.
        said: The last lines of its log, as they came.
    """

    sandbox: Sandbox
    business: User
    phone: Phone
    state: Path
    node: psutil.Process
    said: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=200))
    _people: Iterator[int] = field(default_factory=lambda: iter(range(15_550_200, 15_560_000)))

    def person(self) -> User:
        """Somebody new on Telegram."""
        number = next(self._people)
        return self.sandbox.create_user(f"+{number}", f"P{number}", username=f"person_{number}")

    async def call(self, person: User, codec: str, play: Pcm | None = None) -> PhoneCall:
        """Let the telephone call somebody who answers.

        Raises:
            RuntimeError: The call failed; the gateway's last words are in the text.
        """
        call = self.phone.call(f"+{person.phone}", codecs=(codec,), play=play)
        try:
            await call.answered()
        except PhoneError as refused:
            reason = refused.response.get("Reason") if refused.response else ""
            raise RuntimeError(f"{refused}, {reason}; the gateway said {list(self.said)[-20:]}") from refused
        return call

    def pids(self) -> dict[str, list[int]]:
        """The processes of each part."""
        found: dict[str, list[int]] = {part: [] for part in PARTS}
        found["node"].append(self.node.pid)
        for child in self.node.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                command = " ".join(child.cmdline())
                if "gateway.media.worker" in command:
                    found["workers"].append(child.pid)
                elif "asterisk.conf" in command:
                    found["Asterisk"].append(child.pid)
        return found

    def footprint(self) -> dict[str, Footprint]:
        return {part: sum((_footprint(pid) for pid in pids), Footprint()) for part, pids in self.pids().items()}

    def held_alone(self) -> float:
        """The memory, in MB, that the gateway would hold on a machine where nobody shares files' pages with it.

        PSS is less where other programs run the same Python; RSS counts in each process what ours share.
        """
        anonymous, files = 0, Counter[tuple[str, str]]()
        for pid in itertools.chain.from_iterable(self.pids().values()):
            own, mapped = _mappings(pid)
            anonymous += own
            files |= mapped  # of each file the largest part that one of them holds
        return (anonymous + files.total()) * 1024 / 1e6

    async def processor_share(self, seconds: float) -> dict[str, float]:
        """What each part uses of one core while so many seconds pass, in percent."""
        pids = self.pids()
        began, before = time.monotonic(), {part: sum(map(processor_s, its)) for part, its in pids.items()}
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        return {part: 100 * (sum(map(processor_s, its)) - before[part]) / took for part, its in pids.items()}


def processor_s(pid: int) -> float:
    """What a process and all its threads, ended ones too, have used of the processors, to the nanosecond.

    /proc/<pid>/stat has the same in steps of 10 ms: too coarse for a call that takes half a percent of a core.

    Source: clock_getcpuclockid(3); how Linux makes a process's clock of its id: include/linux/posix-timers.h,
    MAKE_PROCESS_CPUCLOCK with CPUCLOCK_SCHED.
    """
    return time.clock_gettime(~pid << 3 | 2)


def _footprint(pid: int) -> Footprint:
    """Source: proc(5), /proc/pid/smaps_rollup."""
    kib = {"Rss": 0, "Pss": 0, "Anonymous": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in kib:
            kib[name] = int(value.split()[0])
    return Footprint(*(size * 1024 / 1e6 for size in kib.values()))


def _mappings(pid: int) -> tuple[int, Counter[tuple[str, str]]]:
    """Anonymous memory, and what is mapped of each file by device and inode, in KiB.

    Source: proc(5), /proc/pid/smaps.
    """
    anonymous, files, file = 0, Counter[tuple[str, str]](), ("", "")
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        match first:
            case "Rss:":
                files[file] += int(rest[0])
            case "Anonymous:":
                anonymous += int(rest[0])
                files[file] -= int(rest[0])
            case _ if not first.endswith(":"):
                file = rest[2], rest[3]
    return anonymous, files


@asynccontextmanager
async def serving(folder: Path, engine: str = "auto", workers: int | None = None) -> AsyncIterator[Served]:
    """`siptg serve` with an account that is online and a line; the telephone has registered there."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    async with Sandbox(folder / "telegram") as sandbox:
        business = sandbox.create_user(BUSINESS_PHONE, "Acme", username="acme")
        settings = settings_for(
            sandbox,
            folder / "gateway",
            asterisk={"udp_port": free_port("127.0.0.1", SOCK_DGRAM), "tls_port": 0},
            media={"engine": engine, "workers": workers},
        )
        login, password = await _furnish(sandbox, settings)
        said: deque[dict[str, Any]] = deque(maxlen=200)
        async with (
            _process(settings, said) as node,
            Phone(login, password, ("127.0.0.1", settings.asterisk.udp_port or 0)) as phone,
        ):
            await _register(phone)
            yield Served(sandbox, business, phone, settings.state, node, said)


async def _register(phone: Phone) -> None:
    """Register as telephones do: again, if it is refused while the gateway is only starting."""
    for _ in range(10):
        with contextlib.suppress(PhoneError):
            await phone.register()
            return
        await asyncio.sleep(0.5)
    await phone.register()


async def _furnish(sandbox: Sandbox, settings: Settings) -> tuple[str, str]:
    """Keep an account and a line in the gateway's store. Answers the line's login and password."""
    async with Login(settings.telegram) as conversation:
        await conversation.phone(BUSINESS_PHONE)
        outcome = await conversation.code(sandbox.login_code(BUSINESS_PHONE))
        assert isinstance(outcome, LoggedIn), outcome
    async with store_alone(settings) as house:
        account = (await house.accounts.keep(OPERATOR, outcome)).account
        await house.accounts.limit(OPERATOR, account.id, CALLS)
        line = (await house.lines.add(OPERATOR, account.id, LineKind.PBX_REGISTERS, {"name": "reception"})).line
        given = house.lines.credentials(OPERATOR, line.id)
    return given.login, given.password


@asynccontextmanager
async def _process(settings: Settings, said: deque[dict[str, Any]]) -> AsyncIterator[psutil.Process]:
    """The gateway's process tree, up and online; ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "serve"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=dict(_environment(settings)),
        limit=1 << 20,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(START_S):
            awaited = {"gateway is up", "session account came online"}
            while awaited:
                awaited.discard((await _next_said(process.stderr, said))["event"])
        listening = asyncio.create_task(_listen(process.stderr, said))  # its log must not fill the pipe
        yield psutil.Process(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(2)  # SIGINT: now
        await asyncio.wait_for(process.wait(), START_S)
    await listening


def _environment(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from ((name, value) for name, value in os.environ.items() if not name.startswith("SIPTG_"))
    yield "SIPTG_STATE", str(settings.state)
    yield "SIPTG_LOG__STYLE", "json"
    slices: Mapping[str, Mapping[str, Any]] = {
        "TELEGRAM": {
            "API_ID": settings.telegram.api_id,
            "API_HASH": "0" * 32,
            "SERVER": settings.telegram.server,
            "KEY_FILE": settings.telegram.key_file,
        },
        "ASTERISK": {"BIND": "127.0.0.1", "UDP_PORT": settings.asterisk.udp_port, "TCP_PORT": 0, "TLS_PORT": 0},
        "MEDIA": {"ENGINE": settings.media.engine, "WORKERS": settings.media.most_workers},
    }
    for name, fields in slices.items():
        yield from ((f"SIPTG_{name}__{key}", str(value)) for key, value in fields.items())


async def _next_said(log: asyncio.StreamReader, said: deque[dict[str, Any]]) -> dict[str, Any]:
    line = await log.readline()
    if not line:
        raise RuntimeError(f"the gateway ended; it said {list(said)}")
    try:
        told: dict[str, Any] = json.loads(line)
    except ValueError:
        told = {"event": line.decode(errors="replace").strip()}
    said.append(told)
    return told


async def _listen(log: asyncio.StreamReader, said: deque[dict[str, Any]]) -> None:
    with contextlib.suppress(RuntimeError):
        while True:
            await _next_said(log, said)


def load() -> float:
    """Of the machine in the last minute: what else it had to do blurs the figures."""
    return round(os.getloadavg()[0], 1)

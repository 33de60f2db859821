"""The administrator's bot with 200 sessions and 600 lines: how soon a press is answered, an edit live, all online.

The gateway runs in a process of its own; Telegram and the administrator are in the benchmark's.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from telethon.sessions import StringSession

from gateway import log
from gateway.bot.data import LineSet
from gateway.call.model import Account, Line, LineKind
from gateway.control.door import Operator
from gateway.provisioning.check import checked
from gateway.sandbox.person import Chat, Person
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store
from gateway.telegram.session import KeptSession
from tests.commands import environment_beside

Row = dict[str, Any]

SESSIONS: Final = 200
LINES_EACH: Final = 3
#: Of the sessions, how many are the pressing administrator's: more than he could look after.
OWN: Final = 20
PRESSES: Final = 200
EDITS: Final = 60
START_S: Final = 120.0
OPERATOR: Final = Operator()


@dataclass
class Served:
    """A gateway process, and what its log said.

    Attributes:
        up_s, online_s: From its start until it was up, and until the last session was online.
        handled_ms: How long each update took to handle, Telegram's answers to the bot included.
    """

    process: asyncio.subprocess.Process
    began: float
    sessions: int
    up_s: float = 0.0
    online_s: float = 0.0
    handled_ms: list[float] = field(default_factory=list)
    came_online: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            try:
                event = str(json.loads(line).get("event", ""))
            except ValueError:
                continue
            if event == "gateway is up":
                self.up_s = time.monotonic() - self.began
            elif event == "session account came online":
                self.came_online += 1
                self.online_s = time.monotonic() - self.began
            elif found := re.search(r"is handled. Duration (\d+) ms", event):
                self.handled_ms.append(float(found[1]))
            if self.up_s and self.came_online >= self.sessions:
                self.ready.set()


def run(quick: bool = False) -> list[Row]:
    log.configure("error")
    return asyncio.run(_run(20 if quick else SESSIONS, 40 if quick else PRESSES, 15 if quick else EDITS))


async def _run(sessions: int, presses: int, edits: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with Sandbox(Path(folder) / "telegram") as sandbox:
            bot = sandbox.create_bot("siptg_bot", "SIP gateway")
            boss = sandbox.create_user("+15550001", "Boss")
            state = Path(folder) / "state"
            await _fill(sandbox, state, boss, sessions)
            async with (
                _served(sandbox, bot, state, sessions) as served,
                Person(sandbox.client(boss), patience_s=10) as person,
            ):
                starting = _worked_s(served.process.pid)
                chat = await person.chat("siptg_bot")
                seen = await _press(chat, presses)
                handled, served.handled_ms = served.handled_ms, []
                before = _worked_s(served.process.pid)
                edited = await _edit(chat, edits)
                after = _worked_s(served.process.pid)
                node, asterisk = ((now - then) * 1000 / edits for now, then in zip(after, before, strict=True))
    size = {"sessions": sessions, "lines": sessions * LINES_EACH}
    return [
        _row("a press handled, p95", _p95(handled), "ms", presses=len(handled), **size),
        _row("a press handled, median", float(np.median(handled)), "ms", presses=len(handled), **size),
        _row("a press until its screen is seen, p95", _p95(seen), "ms", presses=len(seen), **size),
        _row("a line's edit live in Asterisk and seen, p95", _p95(edited), "ms", edits=len(edited), **size),
        _row("a line's edit live in Asterisk and seen, median", float(np.median(edited)), "ms", edits=edits, **size),
        _row("a line's edit, processor time of the node", node, "ms", edits=edits, **size),
        _row("a line's edit, processor time of Asterisk", asterisk, "ms", edits=edits, **size),
        _row("start until the gateway is up", served.up_s, "s", **size),
        _row("start until all sessions are online", served.online_s, "s", **size),
        _row("start until all are online, processor time of the node", starting[0], "s", **size),
        _row("start until all are online, processor time of Asterisk and worker", starting[1], "s", **size),
    ]


async def _fill(sandbox: Sandbox, state: Path, boss: User, sessions: int) -> None:
    """Sessions that are logged in, each with its lines, written as the gateway keeps them."""
    async with Store(StorageSettings(), state) as store:
        for number in range(sessions):
            user = sandbox.create_user(f"+1555{1000 + number}", f"Shop {number}")
            login = Account(0, user.phone or "", user.id, name=f"Shop {number}")
            kept = await store.accounts.keep(login, _secret(sandbox, user))
            await store.accounts.save(
                Account(
                    kept.id, kept.phone, kept.user_id, name=kept.name, administrator_id=boss.id if number < OWN else 1
                )
            )
            for line in range(LINES_EACH):
                fresh = Line(0, kept.id, f"line {line}", LineKind.PBX_REGISTERS, password=f"secret-{number}-{line}")
                await store.lines.save(checked(await store.lines.add(fresh)))


def _secret(sandbox: Sandbox, user: User) -> bytes:
    text = StringSession(sandbox.session(user, age_s=100_000))
    session = KeptSession()
    session.set_dc(text.dc_id, text.server_address, text.port)
    session.auth_key = text.auth_key
    return session.secret()


@asynccontextmanager
async def _served(sandbox: Sandbox, bot: User, state: Path, sessions: int) -> AsyncIterator[Served]:
    environment = environment_beside(
        sandbox,
        state,
        SIPTG_BOT__TOKEN=bot.bot_token or "",
        SIPTG_BOT__API_URL=sandbox.bot_api_url,
        SIPTG_CONTROL__ADMINISTRATORS="anyone",
        SIPTG_LOG__STYLE="json",
    )
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "serve"), stderr=asyncio.subprocess.PIPE, env=environment
    )
    served = Served(process, began, sessions)
    listening = asyncio.create_task(served.listen())
    try:
        async with asyncio.timeout(START_S):
            await served.ready.wait()
        yield served
    finally:
        process.terminate()
        await process.wait()
        await listening


async def _press(chat: Chat, presses: int) -> list[float]:
    """Walk through the menus; how long each press took to be answered and seen."""
    labels = (
        "Sessions",
        "Shop 1 ",
        "Lines: 3",
        "line 1",
        "Priority",
        "Cancel",
        "Number rules",
        "The line",
        "Delete",
        "The line",
        "Lines",
        "Back",
        "Sessions",
        "Menu",
        "Lines",
        "Menu",
    )
    await chat.send("/start")
    seen: list[float] = []
    while len(seen) < presses:
        for label in labels:
            began = time.monotonic()
            await chat.press(label)
            seen.append((time.monotonic() - began) * 1000)
    return seen


async def _edit(chat: Chat, edits: int) -> list[float]:
    """Change a line's codecs; a press is answered when Asterisk has been read back."""
    await chat.send("/lines")
    took: list[float] = []
    for number in range(edits):
        codecs = ("alaw,ulaw", "g722,alaw,ulaw")[number % 2]
        began = time.monotonic()
        await chat.forge(LineSet(id=1, field="codecs", value=codecs).pack().encode())
        took.append((time.monotonic() - began) * 1000)
    return took


def _worked_s(pid: int) -> tuple[float, float]:
    """Processor time of the node, and of what it has started, so far: other work on the machine does not change it."""
    node = psutil.Process(pid)
    own, others = node.cpu_times(), [one.cpu_times() for one in node.children(recursive=True)]
    return own.user + own.system, sum(time.user + time.system for time in others)


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def _row(name: str, value: float, unit: str, **parameters: Any) -> Row:
    return {"name": name, "value": value, "unit": unit, **parameters}

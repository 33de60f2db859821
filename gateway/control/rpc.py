"""How a command reaches the running gateway: one JSON line each way, on a Unix socket in the state folder.

    {"ask": "ListLines", "with": {…}}  →  {"answer": …} or {"error": "a sentence"}

Whoever may open the socket is the operator: it is for its owner alone, in a folder that is his too.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from gateway.control.ownership import OwnedError, own
from gateway.control.requests import Answer, KeepSession, Request, answer_form, request_form
from gateway.control.views import AccountView
from gateway.errors import GatewayError
from gateway.telegram.model import LoggedIn, LogOut

SOCKET: Final = "control.sock"
#: An export of ten thousand calls is the longest line.
LINE_BYTES: Final = 16 * 1024 * 1024
#: Logging out waits for Telegram, applying lines for Asterisk; nothing that is asked takes longer.
ANSWER_S: Final = 60.0
#: A gateway that dies at every hand-over is not helped by one more.
HAND_OVERS: Final = 3
#: A command that comes while a gateway starts or stops, or while another command runs, waits for so long.
BUSY_S: Final = 10.0
BUSY_POLL_S: Final = 0.1


class UnansweredError(GatewayError):
    """The gateway was asked, and nobody knows whether it did what was asked."""


class Ask(Protocol):
    """Asks for something, wherever it is done."""

    async def __call__(self, request: Request[Answer]) -> Answer: ...


#: Opens the store, to do there what is asked where no gateway runs.
Alone = Callable[[], AbstractAsyncContextManager[Ask]]


@asynccontextmanager
async def reaching(state: Path, alone: Alone) -> AsyncIterator[Ask]:
    """Reach the running gateway; when none runs, do the same on the store, which is ours for that time.

    Raises:
        GatewayError: A gateway is there, but does not listen; or the store can't be opened.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + BUSY_S
    while True:
        if (remote := await running(state)) is not None:
            yield remote
            return
        try:
            with own(state):
                async with alone() as ask:
                    yield ask
                    return
        except OwnedError:
            if loop.time() > until:
                raise GatewayError(
                    "A gateway is starting or stopping here, or another command runs; try again."
                ) from None
        await asyncio.sleep(BUSY_POLL_S)


async def hand_over(state: Path, alone: Alone, login: LoggedIn, log_out: LogOut) -> AccountView:
    """Give a login that was just made here to the running gateway, or to the store: after it, it is theirs alone.

    A gateway that goes away before it answers may have kept it: the login is handed over again, to the next one or to
    the store, and kept once. What is refused is ended at Telegram, so that no login is left that nobody has.

    Raises:
        GatewayError: It is not kept.
    """
    try:
        for _ in range(HAND_OVERS):
            with suppress(UnansweredError):
                async with reaching(state, alone) as ask:
                    return await ask(KeepSession.of(login))
    except GatewayError:
        with suppress(OSError, TimeoutError, GatewayError):
            await log_out(login.secret)
        raise
    raise GatewayError(
        "The gateway does not say whether it kept the login. If `siptg session list` doesn't show it, end it on the"
        " phone (Settings → Devices) and log in again."
    )


async def running(state: Path) -> Ask | None:
    """The gateway that runs on this state folder; None when none does."""
    return _remote(state) if await _listens(state) else None


def _remote(state: Path) -> Ask:
    async def ask(request: Request[Answer]) -> Answer:
        name = type(request).__name__
        sent = {"ask": name, "with": request_form(name).dump_python(request, mode="json")}
        try:
            async with asyncio.timeout(ANSWER_S):
                reply = await _exchange(state, json.dumps(sent).encode() + b"\n")
        except TimeoutError:
            raise UnansweredError("The gateway did not answer in time; see its log.") from None
        except (OSError, ValueError) as error:
            raise UnansweredError(f"The gateway went away before it answered ({error}).") from error
        if "error" in reply:
            raise GatewayError(reply["error"])
        answer: Answer = answer_form(name).validate_python(reply["answer"])
        return answer

    return ask


async def _exchange(state: Path, line: bytes) -> dict[str, Any]:
    with short(state) as folder:
        reader, writer = await asyncio.open_unix_connection(str(folder / SOCKET), limit=LINE_BYTES)
    try:
        writer.write(line)
        await writer.drain()
        reply: dict[str, Any] = json.loads(await reader.readline())
        return reply
    finally:
        writer.close()


async def _listens(state: Path) -> bool:
    try:
        with short(state) as folder:
            _, writer = await asyncio.open_unix_connection(str(folder / SOCKET))
    except OSError:
        return False
    writer.close()
    return True


@contextmanager
def short(folder: Path) -> Iterator[Path]:
    """Another name of a folder, so short that a socket in it has a name that the kernel takes (107 bytes)."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)

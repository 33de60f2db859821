"""The terminal's way to a running gateway: the use-cases, over a socket in the state folder.

One line of JSON asks ({"do": "lines.create", "with": {…}}), one answers ({"done": …} or {"refused": "…"}). Whoever
may open the socket (mode 600) is the operator. The signatures of the use-cases are the protocol: both ends read types
from them, so nothing is written twice.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, get_type_hints

import structlog
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from gateway.control.accounts import Accounts
from gateway.control.asker import OPERATOR
from gateway.control.calls import Calls
from gateway.control.lines import Lines
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

SOCKET: Final = "control.sock"
#: A login's secret and peers, and a day's call records, fit well.
LINE_BYTES: Final = 16 * 2**20

#: What may be asked, by its first name.
SUBJECTS: Final[dict[str, type]] = {"accounts": Accounts, "lines": Lines, "calls": Calls}


@asynccontextmanager
async def listening(state: Path, accounts: Accounts, lines: Lines, calls: Calls) -> AsyncIterator[None]:
    """Answer the terminal for as long as the block lasts."""
    subjects: dict[str, Any] = {"accounts": accounts, "lines": lines, "calls": calls}
    path = state / SOCKET
    path.unlink(missing_ok=True)

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(await _answered(subjects, line) + b"\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(hear, path, limit=LINE_BYTES)
    path.chmod(0o600)
    try:
        async with server:
            yield
    finally:
        path.unlink(missing_ok=True)


async def _answered(subjects: dict[str, Any], line: bytes) -> bytes:
    try:
        asked = json.loads(line)
        subject, _, name = str(asked["do"]).partition(".")
        case = _case(subject, name)
        given = {key: _read(case.get(key, Any), value) for key, value in asked["with"].items()}
        done = await getattr(subjects[subject], name)(OPERATOR, **given)
        return _packed({"done": done})
    except GatewayError as refused:
        return _packed({"refused": str(refused)})
    except (ValueError, KeyError, TypeError, ValidationError) as wrong:
        return _packed({"refused": f"The gateway does not understand: {wrong}"})
    except Exception:
        log.exception("a request of the terminal failed by a fault of ours")
        return _packed({"refused": "A fault of the gateway; its log says more."})


class Remote:
    """A use-case object of a running gateway, by its name in `SUBJECTS`; the methods are that class's own."""

    def __init__(self, subject: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._subject = subject
        self._reader = reader
        self._writer = writer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        case = _case(self._subject, name)
        method = getattr(SUBJECTS[self._subject], name)

        async def ask(*values: Any, **named: Any) -> Any:
            given = inspect.signature(method).bind(self, *values, **named).arguments
            fields = {key: value for key, value in given.items() if key not in ("self", "asker")}
            fields |= fields.pop("fields", {})  # a use-case's **fields
            self._writer.write(_packed({"do": f"{self._subject}.{name}", "with": fields}) + b"\n")
            await self._writer.drain()
            line = await self._reader.readline()
            if not line:
                raise GatewayError("The gateway stopped before it answered; look at its log.")
            answer = json.loads(line)
            if "refused" in answer:
                raise GatewayError(answer["refused"])
            return _read(case["return"], answer["done"])

        return ask


@asynccontextmanager
async def connected(state: Path) -> AsyncIterator[dict[str, Remote] | None]:
    """The use-cases of the gateway that runs on this state folder; None if none does."""
    try:
        reader, writer = await asyncio.open_unix_connection(state / SOCKET, limit=LINE_BYTES)
    except (FileNotFoundError, ConnectionRefusedError):
        yield None
        return
    except OSError as error:
        raise GatewayError(f"The gateway's socket {state / SOCKET} can't be used: {error.strerror}.") from error
    try:
        yield {name: Remote(name, reader, writer) for name in SUBJECTS}
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@cache
def _case(subject: str, name: str) -> dict[str, Any]:
    """The types of a use-case, by parameter, and "return". Raises `KeyError` for what is none."""
    method = None if name.startswith("_") else getattr(SUBJECTS[subject], name, None)
    if not inspect.iscoroutinefunction(method):
        raise KeyError(f"{subject}.{name}")
    return get_type_hints(method)


def _packed(message: dict[str, Any]) -> bytes:
    return json.dumps(to_jsonable_python(message, bytes_mode="base64")).encode()


def _read(kind: Any, value: Any) -> Any:
    return _adapter(kind).validate_python(value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)

"""How the running gateway answers commands; the way is `rpc`'s."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.control.requests import answer_form, request_form
from gateway.control.rpc import LINE_BYTES, SOCKET, short
from gateway.control.use_cases import UseCases
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

_WRONG_REQUEST: Final = "The gateway does not understand the command: it is of another version. Restart it."


@asynccontextmanager
async def serving(state: Path, house: UseCases) -> AsyncIterator[None]:
    """Answer commands for as long as the block lasts. The state folder must be ours (`ownership.own`)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not (line := await reader.readline()):
                return  # it only looked whether somebody listens
            writer.write(json.dumps(await _answer(house, line)).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError) as error:  # gone, or a line beyond all measure
            log.info("command went away", error=str(error))
        except Exception:
            log.exception("command failed by a fault of ours")
        finally:
            writer.close()

    with short(state) as folder:
        path = folder / SOCKET
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        path.chmod(0o600)  # before it listens: nobody could connect yet
        server = await asyncio.start_unix_server(serve, sock=listening, limit=LINE_BYTES)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)


async def _answer(house: UseCases, line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line)
        request = request_form(asked["ask"]).validate_python(asked["with"])
    except (ValueError, KeyError, TypeError):
        return {"error": _WRONG_REQUEST}
    try:
        answer = await house.ask(request)
    except GatewayError as error:
        return {"error": str(error)}
    except Exception:
        log.exception("command failed by a fault of ours", command=asked["ask"])
        return {"error": "The gateway failed by a fault of its own; see its log."}
    return {"answer": answer_form(asked["ask"]).dump_python(answer, mode="json")}

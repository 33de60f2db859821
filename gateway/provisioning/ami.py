"""AMI, through panoramisk: one connection that comes back by itself, actions with an answer or an error, events.

Source: https://docs.asterisk.org/Configuration/Interfaces/Asterisk-Manager-Interface-AMI/AMI-v2-Specification/
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import structlog
from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

from gateway.errors import GatewayError, SettingsError

log = structlog.get_logger(__name__)

CONNECT_S: Final = 5.0
#: A reload of many lines holds up AMI for a second; nothing of ours takes longer on a sound machine.
ACTION_S: Final = 15.0
#: A starting Asterisk listens before it has loaded everything.
BOOT_S: Final = 30.0
#: Asterisk reads a line of AMI into a buffer of 1025 bytes, and no more than 128 lines a message.
#: Source: main/manager.c (inbuf), include/asterisk/manager.h (AST_MAX_MANHEADERS).
LINE_BYTES: Final = 1000
MESSAGE_LINES: Final = 120

Fields = Mapping[str, str]


class AmiDoor(Protocol):
    """Where AMI is, and who we are there."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def user(self) -> str: ...

    @property
    def secret(self) -> str: ...


class AsteriskAwayError(GatewayError):
    """Asterisk can't be reached now; it may come back."""


class AmiError(GatewayError):
    """Asterisk refuses an action."""


class _Manager(Manager):  # type: ignore[misc]
    """Panoramisk's manager without its own reconnecting, which can't be stopped."""

    lost: asyncio.Event

    def connection_lost(self, exc: object) -> None:
        self.lost.set()


#: Panoramisk logs what it sends and receives, passwords too.
_SILENT: Final = logging.getLogger("gateway.provisioning.panoramisk")
_SILENT.disabled = True


class Ami:
    """One connection, logged in and with Asterisk fully booted. Made by `connected`."""

    def __init__(self, manager: _Manager) -> None:
        self._manager = manager

    async def lost(self) -> None:
        """Wait until the connection is gone."""
        await self._manager.lost.wait()

    async def act(self, action: str, **fields: str) -> list[Fields]:
        """Ask, and answer every message of the reply, the names of their fields in lower case.

        Raises:
            AmiError: Asterisk refuses.
            AsteriskAwayError: The connection went, or no answer came in time.
        """
        return await self.send({"Action": action, **fields})

    async def send(self, message: Mapping[str, str]) -> list[Fields]:
        """Like `act`, for fields whose names are no words of Python."""
        _guard(message)
        if self._manager.lost.is_set():
            raise AsteriskAwayError("Asterisk's management interface (AMI) is not reached.")
        reply = asyncio.ensure_future(self._manager.send_action(dict(message)))
        gone = asyncio.ensure_future(self._manager.lost.wait())
        try:
            await asyncio.wait({reply, gone}, timeout=ACTION_S, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done():
                self._manager.lost.set()  # an answer may still come, and be taken for another one's
                raise AsteriskAwayError(f"Asterisk did not answer {message['Action']}.")
            messages = reply.result()
        finally:
            reply.cancel()
            gone.cancel()
        answers = [_fields(one) for one in (messages if isinstance(messages, list) else [messages])]
        if answers[0].get("response") == "Error":
            raise AmiError(answers[0].get("message", f"Asterisk refuses {message['Action']}"))
        return answers


@asynccontextmanager
async def connected(door: AmiDoor, hear: Callable[[Fields], None]) -> AsyncIterator[Ami]:
    """Connect and log in; `hear` is given each event, in order, and must not wait.

    Raises:
        AsteriskAwayError: Nobody answers there.
        SettingsError: Asterisk refuses the user or the secret, or it is not on this machine.
    """
    if door.host != "localhost" and not _is_loopback(door.host):
        raise SettingsError(
            f"AMI on {door.host} is refused: it may only be on this machine, since it is not encrypted."
        )
    manager = _Manager(
        host=door.host,
        port=door.port,
        username=door.user,
        secret=door.secret,
        log=_SILENT,
        loop=asyncio.get_running_loop(),
    )
    manager.lost = asyncio.Event()
    booted = asyncio.Event()

    def event(_manager: Manager, message: Mapping[str, str]) -> None:
        fields = _fields(message)
        if fields.get("event") == "FullyBooted":
            booted.set()
        hear(fields)

    manager.register_event("*", event)
    try:
        await _log_in(manager, door)
        try:
            async with asyncio.timeout(BOOT_S):
                await booted.wait()
        except TimeoutError as error:
            raise AsteriskAwayError("Asterisk answers, but does not finish starting.") from error
        yield Ami(manager)
    finally:
        manager.lost.set()
        manager.close()


async def _log_in(manager: _Manager, door: AmiDoor) -> None:
    loop = asyncio.get_running_loop()
    _guard({"user": door.user, "secret": door.secret})
    opened: asyncio.Future[Any] = loop.create_future()
    try:
        async with asyncio.timeout(CONNECT_S):
            opened.set_result(await loop.create_connection(AMIProtocol, door.host, door.port))
            manager.connection_made(opened)
            answer = await manager.authenticated_future
    except (OSError, TimeoutError) as error:
        raise AsteriskAwayError(f"Asterisk's AMI does not answer on {door.host}:{door.port}.") from error
    if not answer.success:
        raise SettingsError(f"Asterisk's AMI on {door.host}:{door.port} refuses the user “{door.user}” or its secret.")


def _guard(message: Mapping[str, str]) -> None:
    """Panoramisk escapes nothing: a line break in a value would be another field, or another action."""
    for name, value in message.items():
        text = f"{name}: {value}"
        if any(forbidden in text for forbidden in "\r\n\0"):
            raise AmiError(f"A value for {name} has a line break in it; it is not sent.")
        if len(text.encode()) > LINE_BYTES:
            raise AmiError(f"A value for {name} is too long for Asterisk.")


def _fields(message: Mapping[str, str]) -> Fields:
    return {name.lower(): value for name, value in message.items()}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""The sandbox: a local Telegram that unmodified clients connect to. Only address and key file differ."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from gateway.sandbox.botapi.server import BotApi
from gateway.sandbox.connection import Connection
from gateway.sandbox.control import Control
from gateway.sandbox.faults import Faults
from gateway.sandbox.mtproto import ServerKey
from gateway.sandbox.robots import Robots
from gateway.sandbox.rpc import Telegram
from gateway.sandbox.scene import Scene
from gateway.sandbox.settings import Settings
from gateway.sandbox.world import World

log = structlog.get_logger(__name__)


class Sandbox(Scene):
    """A local Telegram on loopback, with its state in a folder, and the Bot API and HTTP control beside it.

    Leaving it raises an `ExceptionGroup` of the sandbox's own faults, if there were any: a test during which a handler
    failed has not shown what it seems to show.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        bot_api_port: int = 0,
        settings: Settings | None = None,
    ) -> None:
        self._state_dir = state_dir
        self._host = host
        self._port = port
        self._control_port = control_port
        self._bot_api_port = bot_api_port
        self.settings = settings or Settings()
        self.faults = Faults()
        self.key_file = state_dir / "public_key.pem"
        self._control: Control
        self._connections: set[Connection] = set()
        self._house = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as house:
            server_key = ServerKey.kept_in(self._state_dir)
            self.telegram = Telegram(World(self._state_dir / "world.db"), self.settings)
            house.callback(self.telegram.close)
            group = await house.enter_async_context(asyncio.TaskGroup())
            house.callback(self._hang_up_on_all)

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if not self.settings.accepts_connections:
                    writer.transport.abort()
                    return
                connection = Connection(self.telegram, server_key, self.faults, reader, writer)
                self._connections.add(connection)
                task = group.create_task(connection.run(), name="telegram connection")
                task.add_done_callback(lambda _: self._connections.discard(connection))

            server = await asyncio.start_server(connected, self._host, self._port)
            house.callback(server.close)
            self.telegram.address = server.sockets[0].getsockname()[:2]
            self.robots = Robots(self.key_file, self._state_dir / "recordings", self.session)
            await house.enter_async_context(self.robots)
            bot_api = BotApi(self.telegram, self.faults, self._host, self._bot_api_port)
            self.bot_api_url = (await house.enter_async_context(bot_api)).url
            self._control = await house.enter_async_context(Control(self, self._control_port))
            self._house = house.pop_all()
        log.info("sandbox opened", address=self.address, bot_api=self.bot_api_url, control=self.control_url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The error of who uses it is not told to the group inside, which would wrap it.
        await self._house.aclose()
        if self.telegram.cloud.failures and error is None:
            raise ExceptionGroup("the sandbox failed", self.telegram.cloud.failures)

    @property
    def control_url(self) -> str:
        return self._control.url

    def _hang_up_on_all(self) -> None:
        """Those, too, that have no key yet."""
        for connection in self._connections:
            connection.drop()


async def serve(state_dir: Path, host: str, port: int, control_port: int, bot_api_port: int = 0) -> None:
    """Keep a sandbox open until SIGINT or SIGTERM, having told how to use it."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Sandbox(
        state_dir, host=host, port=port, control_port=control_port, bot_api_port=bot_api_port
    ) as sandbox:
        control = sandbox.control_url
        sys.stdout.write(
            f"A local Telegram listens at {sandbox.server}\n"
            f"  its public key    {sandbox.key_file}\n"
            f"  its Bot API       {sandbox.bot_api_url}\n"
            f"  its control       {control}\n"
            "To add a user, to read the code he is sent, to let him be played by a robot that answers and echoes:\n"
            f'  curl {control}/users -d \'{{"phone": "+15550001", "first_name": "Ann"}}\'\n'
            f"  curl {control}/codes/15550001\n"
            f'  curl {control}/robots -d \'{{"user": "+15550001", "behaviour": {{"audio": "echo"}}}}\'\n'
            "To add a bot, whose token is in the answer:\n"
            f'  curl {control}/users -d \'{{"bot": true, "username": "our_bot", "inline": true}}\'\n'
            f"All that can be asked:  curl {control}/\n"
        )
        sys.stdout.flush()
        await stop.wait()


def run(state_dir: Path, host: str, port: int, control_port: int, bot_api_port: int = 0) -> None:
    """What `siptg sandbox` does."""
    asyncio.run(serve(state_dir, host, port, control_port, bot_api_port))

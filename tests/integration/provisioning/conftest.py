from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.state import LineHealth, LineState
from gateway.sip.embedded import Asterisk, AsteriskSettings
from tests.integration.provisioning.sip import SipClient

#: An extension that answers and keeps the channel, without the gateway.
DIALPLAN = "[siptg-in-custom]\nexten => 600,1,Answer()\n same => n,Wait(50)\n"


@asynccontextmanager
async def running_asterisk(state: Path) -> AsyncIterator[Asterisk]:
    settings = AsteriskSettings(bind="127.0.0.1", udp_port=0, tcp_port=0, tls_port=None)
    custom = state / "etc" / "siptg-custom"
    custom.mkdir(parents=True)
    (custom / "extensions.conf").write_text(DIALPLAN)
    async with Asterisk(settings, state) as asterisk:
        yield asterisk


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def asterisk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asterisk]:
    """One for all: each test's provisioner makes the lines its own."""
    async with running_asterisk(tmp_path_factory.mktemp("asterisk")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="package")
async def provisioner(asterisk: Asterisk) -> AsyncIterator[Provisioner]:
    async with Provisioner(lambda: asterisk.ami, asterisk.log_file) as opened:
        yield opened


OpenClient = Callable[..., Awaitable[SipClient]]


@pytest_asyncio.fixture(loop_scope="package")
async def open_client(asterisk: Asterisk) -> AsyncIterator[OpenClient]:
    """Makes SIP clients that talk to our Asterisk."""
    opened: list[SipClient] = []

    async def make(host: str = "127.0.0.1", *, answer_options: bool = True) -> SipClient:
        loop = asyncio.get_running_loop()
        server = ("127.0.0.1", sip_port(asterisk))
        _, client = await loop.create_datagram_endpoint(lambda: SipClient(server, answer_options), local_addr=(host, 0))
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()
    await asyncio.sleep(0)  # the loop closes sockets in its next round


def sip_port(asterisk: Asterisk) -> int:
    assert asterisk.ports.udp is not None
    return asterisk.ports.udp


async def reached(
    provisioner: Provisioner, line_id: int, health: LineHealth, detail: str = "", within_s: float = 20.0
) -> str:
    """Wait until a line is doing so, with `detail` in its detail; answers all of that."""
    changed = asyncio.Event()
    provisioner.watch(lambda _id, _state: changed.set())

    def there(state: LineState | None) -> bool:
        return state is not None and state.health is health and detail in state.detail

    async with asyncio.timeout(within_s):
        while not there(state := provisioner.states.get(line_id)):
            changed.clear()
            await changed.wait()
    assert state is not None
    return state.detail

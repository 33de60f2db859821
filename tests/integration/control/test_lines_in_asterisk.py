from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.call.model import LineKind
from gateway.control.door import LineHealth
from gateway.errors import GatewayError
from gateway.provisioning import config
from gateway.provisioning.ami import connected
from gateway.provisioning.check import checked
from gateway.provisioning.provisioner import Provisioner
from gateway.provisioning.render import render
from gateway.sip.embedded import Asterisk
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store
from tests.integration.control.conftest import OPERATOR, House, make_house
from tests.integration.provisioning.conftest import reached, running_asterisk

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asterisk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asterisk]:
    async with running_asterisk(tmp_path_factory.mktemp("asterisk")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def house(asterisk: Asterisk, tmp_path: Path) -> AsyncIterator[House]:
    """With a running Asterisk that is reached."""
    async with Store(StorageSettings(), tmp_path) as store, Provisioner(lambda: asterisk.ami) as provisioner:
        made = await make_house(store, provisioner)
        account = await made.session()
        first = await made.lines.add(OPERATOR, account, LineKind.PBX_REGISTERS, {"name": "first"})
        await reached(provisioner, first.line.id, LineHealth.DOWN)
        yield made


async def in_asterisk(asterisk: Asterisk) -> config.Sections:
    async with connected(asterisk.ami, lambda event: None) as ami:
        return await config.read(ami)


async def agree(house: House, asterisk: Asterisk) -> None:
    """The store, routing and Asterisk know the same lines."""
    stored = [checked(line) for line in await house.store.lines.all()]
    assert {line.id: line for line in stored} == {line.id: line for line in house.roster.lines}
    assert await in_asterisk(asterisk) == {line.id: render(line) for line in stored if line.enabled}


async def test_every_change_is_in_asterisk_when_it_is_answered(house: House, asterisk: Asterisk) -> None:
    [first] = house.lines.list(OPERATOR)
    await agree(house, asterisk)
    trunk = await house.lines.add(OPERATOR, first.line.account_id, LineKind.TRUNK, {"host": "127.0.0.7"})
    await agree(house, asterisk)
    await house.lines.edit(OPERATOR, trunk.line.id, {"host": "127.0.0.8:5999", "codecs": "ulaw"})
    await agree(house, asterisk)
    await house.lines.reset_password(OPERATOR, first.line.id)
    await agree(house, asterisk)
    assert (await house.lines.edit(OPERATOR, first.line.id, {"enabled": "off"})).state.health is LineHealth.OFF
    await agree(house, asterisk)
    await house.lines.delete(OPERATOR, trunk.line.id)
    await agree(house, asterisk)


async def test_a_new_line_that_asterisk_refuses_is_not_kept(house: House, asterisk: Asterisk) -> None:
    [first] = house.lines.list(OPERATOR)
    with pytest.raises(GatewayError, match=r"can't find the address of no-such-host\.invalid"):
        await house.lines.add(OPERATOR, first.line.account_id, LineKind.TRUNK, {"host": "no-such-host.invalid"})
    assert len(house.lines.list(OPERATOR)) == 1
    await agree(house, asterisk)


async def test_an_edit_that_asterisk_refuses_leaves_the_line_as_it_was(house: House, asterisk: Asterisk) -> None:
    [first] = house.lines.list(OPERATOR)
    trunk = await house.lines.add(OPERATOR, first.line.account_id, LineKind.TRUNK, {"host": "127.0.0.9"})
    with pytest.raises(GatewayError, match="can't find the address"):
        await house.lines.edit(OPERATOR, trunk.line.id, {"host": "no-such-host.invalid"})
    assert house.lines.show(OPERATOR, trunk.line.id).line == trunk.line
    assert house.lines.show(OPERATOR, trunk.line.id).state.health is not LineHealth.REFUSED
    await agree(house, asterisk)


async def test_after_a_crash_between_store_and_asterisk_the_next_start_applies_what_is_stored(
    house: House, asterisk: Asterisk
) -> None:
    [first] = house.lines.list(OPERATOR)
    gone = await make_house(house.store)  # its edit is stored, and never reaches Asterisk
    await gone.lines.edit(OPERATOR, first.line.id, {"codecs": "ulaw"})
    async with Provisioner(lambda: asterisk.ami) as provisioner:
        restarted = await make_house(house.store, provisioner)
        await restarted.lines.apply()
        await reached(provisioner, first.line.id, LineHealth.DOWN)
        await agree(restarted, asterisk)

"""A customer's PBX, a second Asterisk, is connected with nothing but what the bot displays, and calls go both ways."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from gateway.app import Gateway
from gateway.control import Operator
from gateway.demo.world import connect_account, settings_for
from gateway.sandbox.person import Chat, Person
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.sip.embedded import Asterisk
from gateway.sip.settings import AsteriskSettings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

HOST = "127.0.0.1"
#: Whoever is called from the gateway hears himself.
DIALPLAN = "[from-gateway]\nexten => _[+0-9].,1,Answer()\n same => n,Echo()\n"


@dataclass
class Office:
    """A gateway, its administrator in the chat with the bot, and the account that he has connected."""

    sandbox: Sandbox
    gateway: Gateway
    chat: Chat
    account: User


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path) -> AsyncIterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    (folder / "telegram").mkdir()
    shutil.copy(sandbox_key, folder / "telegram")
    async with Sandbox(folder / "telegram") as sandbox:
        bot = sandbox.create_bot("siptg_bot", "SIP gateway")
        boss = sandbox.create_user("+15550001", "Boss")
        account = sandbox.create_user("+15550100", "Acme")
        settings = settings_for(
            sandbox,
            folder / "gateway",
            asterisk={"tls_port": 0},
            bot={"token": bot.bot_token, "api_url": sandbox.bot_api_url, "administrators": "anyone"},
        )
        async with Gateway(settings) as gateway, Person(sandbox.client(boss), patience_s=15) as person:
            kept = await connect_account(gateway, sandbox, "+15550100")
            await gateway.accounts.assign(Operator(), kept.id, boss.id)
            yield Office(sandbox, gateway, await person.chat("siptg_bot"), account)


@asynccontextmanager
async def pbx(folder: Path, sections: str) -> AsyncIterator[Asterisk]:
    """The customer's Asterisk, with what he typed into it."""
    custom = folder / "etc" / "siptg-custom"
    custom.mkdir(parents=True)
    (custom / "pjsip.conf").write_text(sections)
    (custom / "extensions.conf").write_text(DIALPLAN)
    async with Asterisk(AsteriskSettings(bind=HOST, udp_port=0, tcp_port=0, tls_port=0), folder) as running:
        yield running


async def dial_from(pbx: Asterisk, number: str) -> None:
    """Somebody at the PBX dials a number through the gateway, and hears himself."""
    where = {"endpoint": f"PJSIP/{number}@gw", "context": "from-gateway", "extension": "100", "priority": "1"}
    url = f"{pbx.ari.url}/ari/channels"
    async with (
        aiohttp.ClientSession(headers=pbx.ari.headers) as session,
        session.post(url, params=where) as answer,
    ):
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_pbx_registers_and_calls_go_both_ways(office: Office, transport: str, tmp_path: Path) -> None:
    chat, sandbox = office.chat, office.sandbox
    await chat.send("/lines")
    await chat.press("New line")
    card = await chat.press("PBX → gateway")
    for before in {"UDP": (), "TCP": ("UDP",), "TLS": ("UDP", "TCP")}[transport]:
        card = await chat.press(f"Transport: {before}")
    if transport == "TLS":
        card = await chat.press("SRTP: off")
    await chat.press("Login and password")
    shown = (await chat.see("Type this into the PBX")).text
    server, login, password = re.findall(r"Server: (\S+) .*\nLogin: (\S+)\nPassword: (\S+)", shown)[0]
    await chat.press("Delete it now")

    by = f"{server};transport={transport.lower()}"
    sections = f"""[gw-reg]
type = registration
transport = transport-{transport.lower()}
outbound_auth = gw-auth
server_uri = sip:{by}
client_uri = sip:{login}@{server}
contact_user = gw
retry_interval = 1
[gw-auth]
type = auth
auth_type = userpass
username = {login}
password = {password}
[gw]
type = aor
contact = sip:{by}
[gw]
type = endpoint
transport = transport-{transport.lower()}
context = from-gateway
disallow = all
allow = alaw
aors = gw
outbound_auth = gw-auth
from_user = {login}
direct_media = no
media_encryption = {"sdes" if transport == "TLS" else "no"}
[gw-identify]
type = identify
endpoint = gw
match = {HOST}
"""
    async with pbx(tmp_path / "pbx", sections) as theirs:
        await chat.press("Refresh", on=card)
        await chat.see("🟢 Up")
        caller = sandbox.create_user(f"+155507{len(transport)}{ord(transport[1])}", "Caller")
        robot = await sandbox.robots.add(caller, audio="tone:440")
        await robot.call(office.account)
        await robot.wait("connected")
        await robot.hang_up()
        await robot.wait("ended")
        await dial_from(theirs, f"+{caller.phone}")
        await robot.wait("connected")
        await robot.hang_up()
        await robot.remove()
    await chat.send("/lines")
    await chat.press("Line 1")
    await chat.press("Delete")
    await chat.press("Yes, delete it")

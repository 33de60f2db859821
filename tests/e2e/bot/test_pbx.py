"""A customer's PBX, a second Asterisk, is connected with nothing but what the bot displays, and calls go both ways."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import Final

import aiohttp
import pytest
import pytest_asyncio

from gateway.app import Gateway
from gateway.control.door import Operator
from gateway.demo.world import connect_account, settings_for
from gateway.provisioning.ami import connected
from gateway.sandbox.person import Chat, Person
from gateway.sandbox.phone import Phone, PhoneError
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.sip.embedded import Asterisk
from gateway.sip.listen import free_port
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
            bot={"token": bot.bot_token, "api_url": sandbox.bot_api_url},
            control={"administrators": "anyone"},
        )
        async with Gateway(settings) as gateway, Person(sandbox.client(boss), patience_s=15) as person:
            kept = await connect_account(gateway, sandbox, "+15550100")
            await gateway.accounts.assign(Operator(), kept.id, boss.id)
            yield Office(sandbox, gateway, await person.chat("siptg_bot"), account)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def without_lines(office: Office) -> AsyncIterator[None]:
    """Each test makes its own line, and leaves none."""
    yield
    for view in office.gateway.lines.list(Operator()):
        await office.gateway.lines.delete(Operator(), view.line.id)


@asynccontextmanager
async def pbx(folder: Path, sections: str, **ports: int) -> AsyncIterator[Asterisk]:
    """The customer's Asterisk, with what he typed into it; `udp_port` and so on where they matter."""
    custom = folder / "etc" / "siptg-custom"
    custom.mkdir(parents=True)
    (custom / "pjsip.conf").write_text(sections)
    (custom / "extensions.conf").write_text(DIALPLAN)
    settings = AsteriskSettings.model_validate({"bind": HOST, "udp_port": 0, "tcp_port": 0, "tls_port": 0} | ports)
    async with Asterisk(settings, folder) as running:
        yield running


async def dial_from(pbx: Asterisk, number: str, endpoint: str = "") -> None:
    """Somebody at the PBX dials a number through the gateway, and hears himself."""
    whom = endpoint or f"PJSIP/{number}@gw"
    where = {"endpoint": whom, "context": "from-gateway", "extension": "100", "priority": "1"}
    url = f"{pbx.ari.url}/ari/channels"
    async with (
        aiohttp.ClientSession(headers=pbx.ari.headers) as session,
        session.post(url, params=where) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def call_both_ways(office: Office, theirs: Asterisk, caller: User) -> None:
    """A user calls the account, and the PBX the user."""
    robot = await office.sandbox.robots.add(caller, audio="tone:440")
    try:
        await robot.call(office.account)
        await robot.wait("connected")
        await robot.hang_up()
        await robot.wait("ended")
        await dial_from(theirs, f"+{caller.phone}")
        await robot.wait("connected")
        await robot.hang_up()
    finally:
        await robot.remove()


#: What the transport button shows on the way to each.
BEFORE: Final[dict[str, tuple[str, ...]]] = {"UDP": (), "TCP": ("UDP",), "TLS": ("UDP", "TCP")}


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_pbx_registers_and_calls_go_both_ways(office: Office, transport: str, tmp_path: Path) -> None:
    chat, sandbox = office.chat, office.sandbox
    await chat.say("/lines")
    await chat.see("No line yet")
    await chat.press("New line")
    card = await chat.press("PBX → gateway")
    for before in BEFORE[transport]:
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
        caller = sandbox.create_user(f"+1555070{len(BEFORE[transport])}", "Caller")
        await call_both_ways(office, theirs, caller)


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_pbx_that_is_known_by_its_address_calls_and_is_called(
    office: Office, transport: str, tmp_path: Path
) -> None:
    chat, sandbox = office.chat, office.sandbox
    port = free_port(HOST, SOCK_DGRAM if transport == "UDP" else SOCK_STREAM)
    await chat.say("/lines")
    await chat.see("No line yet")
    await chat.press("New line")
    await chat.press("IP ⇿ IP")
    await chat.send(f"{HOST}:{port}")
    card = await chat.see("sends its calls to")
    for before in BEFORE[transport]:
        card = await chat.press(f"Transport: {before}")
    if transport == "TLS":
        card = await chat.press("SRTP: off")
    [ours] = re.findall(rf"sends its calls to (\S+) \({transport}\)", card.text)
    sections = f"""[gw]
type = aor
contact = sip:{ours};transport={transport.lower()}
[gw]
type = endpoint
transport = transport-{transport.lower()}
context = from-gateway
disallow = all
allow = alaw
aors = gw
direct_media = no
media_encryption = {"sdes" if transport == "TLS" else "no"}
[gw-identify]
type = identify
endpoint = gw
match = {HOST}
"""
    async with pbx(tmp_path / "pbx", sections, **{f"{transport.lower()}_port": port}) as theirs:
        if transport != "UDP":
            # It was not there when the line was made, and a connection was refused; off and on, the line is tried anew.
            await chat.press("On", on=card)
            await chat.press("Off")
        await chat.see("🟢 Up")
        caller = sandbox.create_user(f"+1555079{len(BEFORE[transport])}", "Caller")
        await call_both_ways(office, theirs, caller)


async def test_a_pbx_that_does_not_answer_is_said_not_to(office: Office) -> None:
    chat = office.chat
    await chat.say("/lines")
    await chat.see("No line yet")
    await chat.press("New line")
    await chat.press("IP ⇿ IP")
    await chat.send(f"{HOST}:{free_port(HOST, SOCK_DGRAM)}")
    await chat.see("🔴 Down")


async def test_wrong_password_and_untrusted_address_are_refused_and_explained(office: Office) -> None:
    chat = office.chat
    await chat.say("/lines")
    await chat.see("No line yet")
    await chat.press("New line")
    card = await chat.press("PBX → gateway")
    [view] = office.gateway.lines.list(Operator())
    given = office.gateway.lines.credentials(Operator(), view.line.id)
    async with Phone(given.login, "not-the-password", (HOST, given.port)) as stranger:
        with pytest.raises(PhoneError):
            await stranger.register()
    await chat.press("Refresh", on=card)
    await chat.see("the password is wrong")
    await chat.press("Trusted IPs: –")
    await chat.send("203.0.113.5")
    await chat.see("Trusted IPs: 203.0.113.5")
    async with Phone(given.login, given.password, (HOST, given.port)) as elsewhere:
        with pytest.raises(PhoneError):
            await elsewhere.register()
    await chat.see("not one of the trusted addresses")


async def test_the_gateway_registers_with_a_pbx_and_wrong_answers_are_explained(office: Office, tmp_path: Path) -> None:
    chat = office.chat
    port = free_port(HOST, SOCK_DGRAM)
    sections = """[100]
type = aor
max_contacts = 1
[100-auth]
type = auth
auth_type = userpass
username = 100
password = right-secret
[100]
type = endpoint
context = from-gateway
disallow = all
allow = alaw
aors = 100
auth = 100-auth
direct_media = no
"""
    async with pbx(tmp_path / "pbx", sections, udp_port=port) as theirs:
        await chat.say("/lines")
        await chat.see("No line yet")
        await chat.press("New line")
        await chat.press("Gateway → PBX")
        await chat.send(f"{HOST}:{port}")
        await chat.send("100")
        await chat.send("wrong-secret")
        await chat.see("does not accept the login or the password")
        await chat.press("Password: •••")
        await chat.send("right-secret")
        await chat.see("🟢 Up")
        robot = await office.sandbox.robots.add(office.sandbox.create_user("+15550788", "Caller"), audio="tone:440")
        try:
            await robot.call(office.account)
            await robot.wait("connected")
            await robot.hang_up()
            await robot.wait("ended")
            # What the gateway registered, but for the user part: there goes whom the PBX means.
            async with connected(theirs.ami, lambda event: None) as ami:
                [contact] = [one["uri"] for one in await ami.act("PJSIPShowContacts") if "uri" in one]
            await dial_from(theirs, "", f"PJSIP/100/{contact.replace('sip:100@', 'sip:+15550788@')}")
            await robot.wait("connected")
            await robot.hang_up()
        finally:
            await robot.remove()

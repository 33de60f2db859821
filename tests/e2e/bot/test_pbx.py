"""A customer's PBX, a second Asterisk, is connected with nothing but what the bot displays, and calls go both ways."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM, SOCK_STREAM
from typing import Final

import pytest
import pytest_asyncio

from gateway.app import Gateway
from gateway.control.door import Operator
from gateway.demo.world import connect_account, settings_for
from gateway.provisioning.ami import connected
from gateway.provisioning.state import LineHealth
from gateway.sandbox.audio import tone
from gateway.sandbox.person import Chat, Person, Screen
from gateway.sandbox.phone import Phone, PhoneError
from gateway.sandbox.phone.sound import rate_of
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.sip.embedded import Asterisk
from gateway.sip.listen import free_port
from gateway.sip.settings import AsteriskSettings
from tests.e2e.stage import heard_by_phone, heard_by_user

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

HOST = "127.0.0.1"
#: The PBX knows the gateway by its address, so the telephone behind it has another one.
DESK_HOST = "127.0.0.5"
#: Somebody's telephone at the customer's, and how he calls out: 9 by the trunk or as a user of the gateway, 8 by what
#: the gateway has registered, where the user part says whom the PBX means.
DIALPLAN = """[from-gateway]
exten => _[+0-9].,1,Dial(PJSIP/desk)
[from-desk]
exten => _9[+0-9].,1,Dial(PJSIP/${EXTEN:1}@gw)
exten => _8[+0-9].,1,Set(uri=${PJSIP_CONTACT(${PJSIP_AOR(gw,contact)},uri)})
 same => n,Dial(PJSIP/gw/sip:${EXTEN:1}@${CUT(uri,@,2)})
"""
DESK = """[desk]
type = aor
max_contacts = 1
remove_existing = yes
[desk-auth]
type = auth
username = desk
password = desk-secret
[desk]
type = endpoint
context = from-desk
disallow = all
allow = alaw
aors = desk
auth = desk-auth
direct_media = no
"""
#: What the transport button shows on the way to each.
BEFORE: Final[dict[str, tuple[str, ...]]] = {"UDP": (), "TCP": ("UDP",), "TLS": ("UDP", "TCP")}
NEXT: Final = {"UDP": "TCP", "TCP": "TLS"}
#: What each says: to the account, from the account; at the desk, when called and when calling.
TONES: Final = (440.0, 620.0, 850.0, 1130.0)
TALK_S = 1.2
#: A tone has nearly all of the power, and half where a loaded machine tore it; another one's less than a twentieth.
CLEAR = 0.5


class Pbx:
    """The customer's Asterisk, the same for all tests: each types other things into it."""

    def __init__(self, asterisk: Asterisk, custom: Path, desk: Phone) -> None:
        self.asterisk = asterisk
        self.desk = desk
        self._typed = custom / "pjsip-gateway.conf"

    def port(self, transport: str) -> int:
        port = getattr(self.asterisk.ports, transport.lower())
        assert isinstance(port, int)
        return port

    async def contacts(self) -> list[str]:
        """Who has registered here as the gateway."""
        async with connected(self.asterisk.ami, lambda event: None) as ami:
            listed = await ami.act("PJSIPShowContacts")
        return [one["uri"] for one in listed if one.get("endpoint") == "gw"]

    async def type(self, sections: str) -> None:
        """Type this in, and nothing else."""
        self._typed.write_text(sections)
        async with connected(self.asterisk.ami, lambda event: None) as ami:
            await ami.act("Reload", Module="res_pjsip.so")


@dataclass
class Office:
    """A gateway, its administrator in the chat with the bot, and the account that he has connected."""

    sandbox: Sandbox
    gateway: Gateway
    chat: Chat
    account: User
    pbx: Pbx


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory, sandbox_key: Path) -> AsyncIterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    (folder / "telegram").mkdir()
    shutil.copy(sandbox_key, folder / "telegram")
    custom = folder / "pbx" / "etc" / "siptg-custom"
    custom.mkdir(parents=True)
    (custom / "pjsip.conf").write_text(DESK)
    (custom / "extensions.conf").write_text(DIALPLAN)
    ports = AsteriskSettings.model_validate({"bind": HOST, "udp_port": 0, "tcp_port": 0, "tls_port": 0})
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
        async with (
            Gateway(settings) as gateway,
            Asterisk(ports, folder / "pbx") as theirs,
            Phone("desk", "desk-secret", (HOST, theirs.ports.udp or 0), host=DESK_HOST, codecs=("alaw",)) as desk,
            Person(sandbox.client(boss), patience_s=15) as person,
        ):
            await desk.register()
            kept = await connect_account(gateway, sandbox, "+15550100")
            await gateway.accounts.assign(Operator(), kept.id, boss.id)
            yield Office(sandbox, gateway, await person.chat("siptg_bot"), account, Pbx(theirs, custom, desk))


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def without_lines(office: Office) -> AsyncIterator[None]:
    """Each test makes its own line, and leaves none."""
    yield
    for view in office.gateway.lines.list(Operator()):
        await office.gateway.lines.delete(Operator(), view.line.id)


# What the administrator does


async def new_line(office: Office, kind: str, *answers: str) -> Screen:
    """Make a line in the bot; its card."""
    await office.chat.say("/lines")
    await office.chat.see("No line yet")
    await office.chat.press("New line")
    await office.chat.press(kind)
    for answer in answers:
        await office.chat.send(answer)
    await office.chat.see("Line 1")
    return await office.chat.screen()


async def over(office: Office, transport: str, card: Screen) -> Screen:
    """Tap the transport button, and for TLS SRTP too."""
    for before in BEFORE[transport]:
        await office.chat.press(f"Transport: {before}", on=card)
        card = await office.chat.see(f"Transport: {NEXT[before]}")
    if transport == "TLS":
        await office.chat.press("SRTP: off", on=card)
        card = await office.chat.see("SRTP: on")
    return card


async def credentials(office: Office, card: Screen) -> tuple[str, str, str]:
    """Server, login and password, as the bot shows them."""
    await office.chat.press("Login and password", on=card)
    shown = (await office.chat.see("Type this into the PBX")).text
    await office.chat.press("Delete it now")
    [(server, login, password)] = re.findall(r"Server: (\S+) .*\nLogin: (\S+)\nPassword: (\S+)", shown)
    return server, login, password


# What he types into his PBX


def endpoint(transport: str, *options: str) -> str:
    encryption = "sdes" if transport == "TLS" else "no"  # with "sdes" Asterisk takes no call without SRTP
    return "\n".join(
        (
            *("[gw]", "type = endpoint", f"transport = transport-{transport.lower()}", "context = from-gateway"),
            *("disallow = all", "allow = alaw", "aors = gw", "direct_media = no", f"media_encryption = {encryption}"),
            *options,
            "",
        )
    )


def known_by_address(server: str, transport: str) -> str:
    contact = f"[gw]\ntype = aor\ncontact = sip:{server};transport={transport.lower()}\n"
    return contact + f"[gw-identify]\ntype = identify\nendpoint = gw\nmatch = {HOST}\n"


def registering(server: str, login: str, password: str, transport: str) -> str:
    return f"""[gw-reg]
type = registration
transport = transport-{transport.lower()}
outbound_auth = gw-auth
server_uri = sip:{server};transport={transport.lower()}
client_uri = sip:{login}@{server}
contact_user = gw
max_random_initial_delay = 0
retry_interval = 1
forbidden_retry_interval = 1
auth_rejection_permanent = no
[gw-auth]
type = auth
username = {login}
password = {password}
""" + endpoint(transport, "outbound_auth = gw-auth", f"from_user = {login}")


def registered_with(password: str, transport: str) -> str:
    """An extension of the PBX's own, that the gateway registers as."""
    return f"""[gw]
type = aor
max_contacts = 1
remove_existing = yes
[gw-auth]
type = auth
username = gw
password = {password}
""" + endpoint(transport, "auth = gw-auth")


# Calls


async def calls_go_both_ways(office: Office, prefix: str, numbers: Iterable[int]) -> None:
    """At the same time somebody calls the account, and the desk somebody; each hears the other, and nobody else."""
    sandbox, desk = office.sandbox, office.pbx.desk
    caller, called = (sandbox.create_user(f"+{number}", "Somebody") for number in numbers)
    first = await sandbox.robots.add(caller, audio=f"tone:{TONES[0]}")
    second = await sandbox.robots.add(called, audio=f"tone:{TONES[1]}")
    try:
        desk.plays = tone(TONES[2], 1, rate_of("alaw"))
        await first.call(office.account)
        async with asyncio.timeout(15):
            incoming = await desk.came.get()
        outgoing = desk.call(f"{prefix}+{called.phone}", play=tone(TONES[3], 1, rate_of("alaw")))
        await asyncio.gather(
            incoming.answered(), outgoing.answered(), first.wait("connected"), second.wait("connected")
        )
        await asyncio.sleep(TALK_S)
        await asyncio.gather(first.hang_up(), outgoing.hang_up())
        reports = await asyncio.gather(first.wait("ended"), second.wait("ended"))
        await incoming.ended()
        assert heard_by_phone(incoming, TONES[0]) > CLEAR
        assert heard_by_phone(outgoing, TONES[1]) > CLEAR
        assert heard_by_user(reports[0], TONES[2]) > CLEAR
        assert heard_by_user(reports[1], TONES[3]) > CLEAR
    finally:
        await first.remove()
        await second.remove()


@pytest.mark.parametrize("transport", BEFORE)
async def test_a_pbx_registers_with_us(office: Office, transport: str) -> None:
    card = await over(office, transport, await new_line(office, "PBX → gateway"))
    server, login, password = await credentials(office, card)
    contact = f"[gw]\ntype = aor\ncontact = sip:{server};transport={transport.lower()}\n"
    identify = f"[gw-identify]\ntype = identify\nendpoint = gw\nmatch = {HOST}\n"
    await office.pbx.type(registering(server, login, password, transport) + contact + identify)
    await office.chat.press("Refresh", on=card)
    await office.chat.see("🟢 Up")
    at = 15550700 + 2 * len(BEFORE[transport])
    await calls_go_both_ways(office, "9", (at, at + 1))


@pytest.mark.parametrize("transport", BEFORE)
async def test_we_register_with_a_pbx(office: Office, transport: str) -> None:
    await office.pbx.type(registered_with("right-secret", transport))
    address = f"{HOST}:{office.pbx.port(transport)}"
    card = await new_line(office, "Gateway → PBX", address, "gw", "right-secret")
    await over(office, transport, card)
    await office.chat.see("🟢 Up")
    assert f"Registered with {address} as gw" in (await office.chat.screen()).text
    at = 15550720 + 2 * len(BEFORE[transport])
    await calls_go_both_ways(office, "8", (at, at + 1))
    assert await office.pbx.contacts(), "registered"
    await office.chat.press("Delete")
    await office.chat.press("Yes, delete it")
    async with asyncio.timeout(5):
        while await office.pbx.contacts():  # noqa: ASYNC110 - Asterisk is asked
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("transport", BEFORE)
async def test_each_knows_the_other_by_its_address(office: Office, transport: str) -> None:
    card = await new_line(office, "IP ⇿ IP", f"{HOST}:{office.pbx.port(transport)}")
    card = await over(office, transport, card)
    [ours] = re.findall(rf"sends its calls to (\S+) \({transport}\)", card.text)
    await office.pbx.type(endpoint(transport) + known_by_address(ours, transport))
    await office.chat.see("🟢 Up")
    at = 15550740 + 2 * len(BEFORE[transport])
    await calls_go_both_ways(office, "9", (at, at + 1))


# What goes wrong, and what is said of it


async def test_a_pbx_that_registers_with_a_wrong_password_or_from_elsewhere(office: Office) -> None:
    card = await new_line(office, "PBX → gateway")
    server, login, password = await credentials(office, card)
    await office.pbx.type(registering(server, login, "not-the-password", "UDP"))
    await office.chat.press("Refresh", on=card)
    await office.chat.see("the password is wrong")
    await office.chat.press("Trusted IPs: –")
    await office.chat.say("203.0.113.5")
    await office.chat.see("Trusted IPs: 203.0.113.5")
    await office.pbx.type(registering(server, login, password, "UDP"))
    await office.chat.see("not one of the trusted addresses")
    await office.chat.press("Trusted IPs: 203.0.113.5")
    await office.chat.say(HOST)
    await office.chat.see("🟢 Up")


async def test_a_pbx_that_we_register_with_refuses_the_password(office: Office) -> None:
    await office.pbx.type(registered_with("right-secret", "UDP"))
    await new_line(office, "Gateway → PBX", f"{HOST}:{office.pbx.port('UDP')}", "gw", "wrong-secret")
    await office.chat.see("does not accept the login or the password")
    await office.chat.press("Password: •••")
    await office.chat.say("right-secret")
    await office.chat.see("🟢 Up")


async def test_nobody_is_at_the_address_that_we_register_with(office: Office) -> None:
    nobody = f"{HOST}:{free_port(HOST, SOCK_STREAM)}"
    await over(office, "TCP", await new_line(office, "Gateway → PBX", nobody, "gw", "right-secret"))
    await office.chat.see(f"{nobody} does not answer the registration")
    [view] = office.gateway.lines.list(Operator())
    assert view.state.health is LineHealth.DOWN


async def test_nobody_is_at_the_address_of_a_trunk(office: Office) -> None:
    nobody = f"{HOST}:{free_port(HOST, SOCK_DGRAM)}"
    await new_line(office, "IP ⇿ IP", nobody)
    await office.chat.see(f"The PBX does not answer at {nobody} over UDP")


async def test_a_trunk_s_pbx_calls_from_another_address_than_was_given(office: Office) -> None:
    card = await new_line(office, "IP ⇿ IP", f"127.0.0.77:{office.pbx.port('UDP')}")
    [ours] = re.findall(r"sends its calls to (\S+) \(UDP\)", card.text)
    await office.pbx.type(endpoint("UDP") + known_by_address(ours, "UDP"))
    somebody = office.sandbox.create_user("+15550760", "Somebody")
    robot = await office.sandbox.robots.add(somebody)
    try:
        with pytest.raises(PhoneError):
            await office.pbx.desk.call(f"9+{somebody.phone}").answered()
        await office.chat.see(f"A call from {HOST} was refused")
        await office.chat.press("Trusted IPs: –")
        await office.chat.send(HOST)
        assert "was refused" not in (await office.chat.see(f"Trusted IPs: {HOST}")).text
        call = office.pbx.desk.call(f"9+{somebody.phone}")
        await call.answered()
        await call.hang_up()
    finally:
        await robot.remove()

"""A gateway among a local Telegram and a local phone, ready to call. For the demo, for tests and for measurements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.app import Gateway
from gateway.call.model import Account, Line, LineKind
from gateway.control.asking import Operator
from gateway.demo import bot
from gateway.sandbox.phone import Phone
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from gateway.settings import Settings
from gateway.telegram.login import Login
from gateway.telegram.model import LoggedIn

OPERATOR: Final = Operator()
#: The session account: a business's own Telegram account.
BUSINESS_PHONE: Final = "+15550100"
#: The number on the PBX that Telegram users reach.
EXTENSION: Final = "100"
#: An account comes online in a fraction of a second, an overloaded machine apart.
ONLINE_S: Final = 20.0


@dataclass(slots=True)
class World:
    """All that takes part.

    Attributes:
        business: The sandbox's user that the session account is.
        phone: A SIP telephone, registered on `line` as a PBX would be.
    """

    sandbox: Sandbox
    gateway: Gateway
    business: User
    account: Account
    line: Line
    phone: Phone


def settings_for(sandbox: Sandbox, state: Path, **slices: Mapping[str, Any]) -> Settings:
    """Settings of a gateway that lives beside a sandbox: its own ports, loopback only."""
    return Settings.model_validate(
        {
            "state": state,
            "telegram": {
                "api_id": 1,
                "api_hash": "0" * 32,
                "server": sandbox.server,
                "key_file": sandbox.key_file,
                **slices.get("telegram", {}),
            },
            "asterisk": {
                "bind": "127.0.0.1",
                "udp_port": 0,
                "tcp_port": 0,
                "tls_port": None,
                **slices.get("asterisk", {}),
            },
            **{name: slice_ for name, slice_ in slices.items() if name not in ("telegram", "asterisk")},
        }
    )


@asynccontextmanager
async def open_world(folder: Path, **slices: Mapping[str, Any]) -> AsyncIterator[World]:
    """Open all of it: users, the session account logged in with its code, a line, the phone registered."""
    async with Sandbox(folder / "telegram") as sandbox:
        business = make_business(sandbox)
        async with Gateway(settings_for(sandbox, folder / "gateway", **slices)) as gateway:
            account = await connect_account(gateway, sandbox, BUSINESS_PHONE)
            line = (await gateway.lines.add(OPERATOR, account.id, LineKind.PBX_REGISTERS, {"name": "reception"})).line
            async with phone_on(gateway, line) as phone:
                yield World(sandbox, gateway, business, account, line, phone)


@asynccontextmanager
async def open_world_by_bot(folder: Path, tell: Callable[[str], None]) -> AsyncIterator[World]:
    """The same, but account and line are made by an administrator in the bot; `tell` is given that conversation."""
    async with Sandbox(folder / "telegram") as sandbox:
        business, players = make_business(sandbox), bot.cast(sandbox)
        async with Gateway(settings_for(sandbox, folder / "gateway", **players.settings)) as gateway:
            tell(str(await bot.conversation(sandbox, players, BUSINESS_PHONE, EXTENSION)))
            account = gateway.accounts.list(OPERATOR)[0].account
            await _online(gateway, account)
            line = gateway.lines.list(OPERATOR)[0].line
            async with phone_on(gateway, line) as phone:
                yield World(sandbox, gateway, business, account, line, phone)


def make_business(sandbox: Sandbox) -> User:
    return sandbox.create_user(BUSINESS_PHONE, "Acme", "Support", username="acme_support")


async def connect_account(gateway: Gateway, sandbox: Sandbox, number: str) -> Account:
    """Log a user of the sandbox in as a session account, with the code that he is sent."""
    async with Login(gateway.settings.telegram) as login:
        await login.phone(number)
        outcome = await login.code(sandbox.login_code(number))
        assert isinstance(outcome, LoggedIn), outcome
    account = (await gateway.accounts.keep(OPERATOR, outcome)).account
    await _online(gateway, account)
    return account


async def _online(gateway: Gateway, account: Account) -> None:
    async with asyncio.timeout(ONLINE_S):
        await gateway.online(account.id)


@asynccontextmanager
async def phone_on(gateway: Gateway, line: Line, *, register: bool = True, **options: Any) -> AsyncIterator[Phone]:
    """A telephone with the login and password of a line, registered there unless it only calls out."""
    given = gateway.lines.credentials(OPERATOR, line.id)
    async with Phone(given.login, given.password, ("127.0.0.1", given.port), **options) as phone:
        if register:
            await phone.register()
        yield phone

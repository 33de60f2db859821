from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.call.model import Account, Transport
from gateway.control.door import (
    Accounts,
    Calls,
    Handovers,
    Lines,
    LiveCall,
    Notices,
    Operator,
    Recommendations,
    Roster,
    Routings,
    Subscriptions,
    UseCases,
)
from gateway.provisioning.provisioner import Provisioner
from gateway.storage.settings import StorageSettings
from gateway.storage.store import Store
from gateway.telegram.model import AccountState, AccountStatus, LoggedIn
from gateway.telegram.ports import Peer

OPERATOR = Operator()
ALICE = LoggedIn(Account(0, "79990000001", 101, "alice", "Alice"), b"\xff\x00first", (Peer(5, -6, "bob", "7", "Bob"),))
CAROL = LoggedIn(Account(0, "79990000002", 102, "carol", "Carol"), b"second")


def again(login: LoggedIn, secret: bytes) -> LoggedIn:
    """The same user, logged in anew."""
    return dataclasses.replace(login, secret=secret)


@dataclass
class Telegram:
    """A scripted Telegram side: who is online, and which logins were ended."""

    online: dict[int, Account] = field(default_factory=dict)
    ended: list[bytes] = field(default_factory=list)
    reachable: bool = True

    def add(self, account: Account) -> None:
        assert account.id not in self.online, "a session has one owner"
        self.online[account.id] = account

    async def remove(self, account_id: int) -> None:
        self.online.pop(account_id, None)

    async def update(self, account: Account) -> None:
        self.online[account.id] = account

    def status(self, account_id: int) -> AccountStatus:
        return AccountStatus(AccountState.ONLINE if account_id in self.online else AccountState.OFFLINE)

    async def log_out(self, secret: bytes) -> bool:
        if not self.reachable:
            raise ConnectionRefusedError("no route")
        self.ended.append(secret)
        return True


@dataclass(frozen=True)
class House(UseCases):
    """The use-cases on a real store, with what is behind them."""

    store: Store
    roster: Roster
    telegram: Telegram
    living: list[LiveCall]

    async def session(self, login: LoggedIn = ALICE, administrator: int | None = None) -> int:
        """Keep a login; answers the account's id."""
        kept = await self.accounts.keep(OPERATOR, login)
        if administrator is not None:
            await self.accounts.assign(OPERATOR, kept.account.id, administrator)
        return kept.account.id


def offered(transport: Transport) -> tuple[str, int] | None:
    return None if transport is Transport.TLS else ("gateway.example.com", 5060)


async def make_house(store: Store, provisioner: Provisioner | None = None, *, running: bool = True) -> House:
    """Loaded from the store, as at a start."""
    roster, telegram, living = Roster(), Telegram(), []  # type: tuple[Roster, Telegram, list[LiveCall]]
    await roster.load(store)
    lines = Lines(store, roster, provisioner, offered)
    accounts = Accounts(store, roster, lines, telegram if running else None, telegram.log_out)
    accounts.bring_online()
    notices = Notices(store, roster)
    return House(
        accounts,
        lines,
        Calls(store, roster, lambda: living),
        Handovers(store, roster, accounts, notices, lambda user_id: user_id < 1000),
        Subscriptions(store, roster),
        Recommendations(store, roster, lambda account_id: None, notices),
        notices,
        Routings(store, roster, provisioner),
        store,
        roster,
        telegram,
        living,
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(StorageSettings(), tmp_path / "state") as opened:
        yield opened


@pytest.fixture
async def house(store: Store) -> House:
    return await make_house(store)

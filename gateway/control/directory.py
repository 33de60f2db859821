"""Accounts and lines as they are now, in memory: routing never waits for the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from gateway.call.model import Account, Line
from gateway.control.asker import Asker, NotYoursError
from gateway.storage import Store


class HouseDirectory:
    """Implements `gateway.call.ports.Directory`. Changed by the use-cases alone, after the store was."""

    def __init__(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.lines: dict[int, Line] = {}

    @classmethod
    async def load(cls, store: Store) -> Self:
        directory = cls()
        directory.accounts = {stored.account.id: stored.account for stored in await store.accounts.all()}
        directory.lines = {line.id: line for line in await store.lines.all()}
        return directory

    def account(self, account_id: int) -> Account | None:
        return self.accounts.get(account_id)

    def line(self, endpoint: str) -> Line | None:
        number = endpoint.removeprefix("line")
        return self.lines.get(int(number)) if number.isdecimal() else None

    def lines_of(self, account_id: int) -> Sequence[Line]:
        mine = [line for line in self.lines.values() if line.account_id == account_id and line.enabled]
        return sorted(mine, key=lambda line: (line.priority, line.id))

    def account_for(self, asker: Asker, account_id: int) -> Account:
        """Raises `NotYoursError`."""
        account = self.accounts.get(account_id)
        if account is None or not asker.may(account):
            raise NotYoursError(f"There is no session account {account_id}.")
        return account

    def line_for(self, asker: Asker, line_id: int) -> Line:
        """Raises `NotYoursError`."""
        line = self.lines.get(line_id)
        account = self.accounts.get(line.account_id) if line else None
        if line is None or account is None or not asker.may(account):
            raise NotYoursError(f"There is no line {line_id}.")
        return line

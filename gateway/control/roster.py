"""Accounts and lines as they are now, in memory: routing never waits. Implements `call.ports.Directory`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog

from gateway.call.model import Account, Line
from gateway.control.asking import Asker, NotFoundError, owns
from gateway.provisioning.check import checked
from gateway.provisioning.grammar import GrammarError
from gateway.storage.model import Handover, StoredAccount, Subscription
from gateway.storage.store import Store

log = structlog.get_logger(__name__)


class Roster:
    """Filled from the store once; the use-cases keep it equal to the store from then on."""

    def __init__(self) -> None:
        self._accounts: dict[int, StoredAccount] = {}
        self._lines: dict[str, Line] = {}
        self._recipes: dict[int, Mapping[str, Any]] = {}
        self._handovers: dict[int, Handover] = {}
        self._subscriptions: dict[int, Subscription] = {}

    async def load(self, store: Store) -> None:
        """Raises `GatewayError`, when the store fails."""
        self._accounts = {stored.account.id: stored for stored in await store.accounts.all()}
        self._lines = {line.endpoint: _whole(line) for line in await store.lines.all()}
        self._recipes = await store.lines.recipes()
        # An offer of somebody who is not its administrator any more was answered, or overtaken.
        self._handovers = {
            offer.account_id: offer
            for offer in await store.handovers.all()
            if self._accounts[offer.account_id].account.administrator_id == offer.from_id
        }
        self._subscriptions = {one.administrator_id: one for one in await store.subscriptions.all()}

    # What routing asks (call.ports.Directory)

    def account(self, account_id: int) -> Account | None:
        stored = self._accounts.get(account_id)
        return stored.account if stored else None

    def line(self, endpoint: str) -> Line | None:
        return self._lines.get(endpoint)

    def lines_of(self, account_id: int) -> Sequence[Line]:
        own = (line for line in self._lines.values() if line.account_id == account_id and line.enabled)
        return sorted(own, key=lambda line: (line.priority, line.id))

    # What the use-cases ask

    @property
    def accounts(self) -> Collection[StoredAccount]:
        return self._accounts.values()

    @property
    def lines(self) -> Collection[Line]:
        return self._lines.values()

    @property
    def recipes(self) -> Mapping[int, Mapping[str, Any]]:
        """How lines are routed in the dialplan, by id, of those that have a recipe."""
        return MappingProxyType(self._recipes)

    @property
    def handovers(self) -> Mapping[int, Handover]:
        """Accounts that are offered to somebody, by id."""
        return MappingProxyType(self._handovers)

    @property
    def subscriptions(self) -> Mapping[int, Subscription]:
        """By administrator."""
        return MappingProxyType(self._subscriptions)

    def stored(self, account_id: int) -> StoredAccount | None:
        return self._accounts.get(account_id)

    def accounts_for(self, asker: Asker) -> list[StoredAccount]:
        return [stored for stored in self._accounts.values() if owns(asker, stored.account)]

    def account_for(self, asker: Asker, account_id: int) -> StoredAccount:
        """Raises `NotFoundError`, also when it is another's."""
        stored = self._accounts.get(account_id)
        if stored is None or not owns(asker, stored.account):
            raise NotFoundError(f"There is no session account {account_id}.")
        return stored

    def line_for(self, asker: Asker, line_id: int) -> Line:
        """Raises `NotFoundError`, also when it is another's."""
        line = self._lines.get(f"line{line_id}")
        account = self.account(line.account_id) if line else None
        if line is None or account is None or not owns(asker, account):
            raise NotFoundError(f"There is no line {line_id}.")
        return line

    # What the use-cases say

    def put_account(self, account: Account, *, logged_in: bool) -> None:
        known = self._accounts.get(account.id, StoredAccount(account, logged_in))
        self._accounts[account.id] = known._replace(account=account, logged_in=logged_in)

    def put_stored(self, stored: StoredAccount) -> None:
        self._accounts[stored.account.id] = stored

    def drop_account(self, account_id: int) -> None:
        self._accounts.pop(account_id, None)
        self._handovers.pop(account_id, None)

    def put_line(self, line: Line) -> None:
        self._lines[line.endpoint] = line

    def drop_line(self, line: Line) -> None:
        self._lines.pop(line.endpoint, None)
        self._recipes.pop(line.id, None)

    def put_recipe(self, line_id: int, recipe: Mapping[str, Any] | None) -> None:
        self._recipes.pop(line_id, None)
        if recipe is not None:
            self._recipes[line_id] = recipe

    def put_handover(self, handover: Handover) -> None:
        self._handovers[handover.account_id] = handover

    def drop_handover(self, account_id: int) -> None:
        self._handovers.pop(account_id, None)

    def put_subscription(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.administrator_id] = subscription

    def drop_subscription(self, administrator_id: int) -> None:
        self._subscriptions.pop(administrator_id, None)


def _whole(line: Line) -> Line:
    """The line in its one true form; one that an older version let in stays as it is, and Asterisk won't get it."""
    try:
        return checked(line)
    except GrammarError as error:
        log.warning("line is not valid any more", line=line.id, reason=str(error))
        return line

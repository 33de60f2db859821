"""Giving a session to another administrator: offered, then accepted or declined (C6). Kept over restarts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import structlog

from gateway.control.accounts import Accounts
from gateway.control.asking import Administrator, Asker, NotFoundError, Operator
from gateway.control.notices import NoticeKind, Notices
from gateway.control.roster import Roster
from gateway.control.views import AccountView
from gateway.errors import GatewayError
from gateway.storage.model import Handover
from gateway.storage.store import Store

log = structlog.get_logger(__name__)

#: Whether the operator lets this Telegram user be an administrator (R3).
Admits = Callable[[int], bool]


class Handovers:
    """Use-cases. Each takes who asks, and raises `GatewayError` with a sentence."""

    def __init__(self, store: Store, roster: Roster, accounts: Accounts, notices: Notices, admits: Admits) -> None:
        self._store = store
        self._roster = roster
        self._accounts = accounts
        self._notices = notices
        self._admits = admits

    def offered_to(self, asker: Administrator) -> list[AccountView]:
        """The sessions that he is offered. He sees no more of them than their names before he accepts."""
        offers = [offer for offer in self._roster.handovers.values() if offer.to_id == asker.id]
        return [self._accounts.show(Operator(), offer.account_id) for offer in offers]

    async def offer(self, asker: Asker, account_id: int, to_id: int) -> AccountView:
        """Offer it to another administrator, instead of whomever it was offered to before."""
        account = self._roster.account_for(asker, account_id).account
        if not 0 < to_id < 2**52:
            raise GatewayError("An administrator is a Telegram user id, such as 123456789.")
        if to_id == account.administrator_id:
            raise GatewayError("He administers this session already.")
        if not self._admits(to_id):
            raise GatewayError("The operator of this gateway does not let him be an administrator.")
        handover = Handover(account_id, account.administrator_id, to_id, dt.datetime.now(dt.UTC))
        await self._store.handovers.save(handover)
        self._roster.put_handover(handover)
        facts = {"from": str(handover.from_id or ""), "name": account.name, "phone": account.phone}
        self._notices.tell(NoticeKind.HANDOVER_OFFERED, account_id, facts, to=to_id)
        log.info("session offered", account=account_id, to=to_id)
        return self._accounts.show(asker, account_id)

    async def withdraw(self, asker: Asker, account_id: int) -> AccountView:
        """Take the offer back, if there is one."""
        self._roster.account_for(asker, account_id)
        await self._drop(account_id)
        return self._accounts.show(asker, account_id)

    async def accept(self, asker: Administrator, account_id: int) -> AccountView:
        """It is his from now on, with its lines; whoever gave it sees it no more."""
        handover = self._offered(asker, account_id)
        view = await self._accounts.assign(Operator(), account_id, asker.id)
        self._answered(handover, NoticeKind.HANDOVER_ACCEPTED)
        return view

    async def decline(self, asker: Administrator, account_id: int) -> None:
        handover = self._offered(asker, account_id)
        await self._drop(account_id)
        self._answered(handover, NoticeKind.HANDOVER_DECLINED)

    async def give_up(self, asker: Asker, account_id: int) -> None:
        """Leave it without administrator; the operator may give it to somebody."""
        await self._accounts.give_up(asker, account_id)

    def _offered(self, asker: Administrator, account_id: int) -> Handover:
        handover = self._roster.handovers.get(account_id)
        if handover is None or handover.to_id != asker.id:
            raise NotFoundError(f"Session account {account_id} is not offered to you.")
        return handover

    def _answered(self, handover: Handover, kind: NoticeKind) -> None:
        account = self._roster.account(handover.account_id)
        if handover.from_id is not None and account is not None:
            facts = {"to": str(handover.to_id), "name": account.name}
            self._notices.tell(kind, handover.account_id, facts, to=handover.from_id)

    async def _drop(self, account_id: int) -> None:
        await self._store.handovers.delete(account_id)
        self._roster.drop_handover(account_id)

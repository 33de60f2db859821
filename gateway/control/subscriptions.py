"""Subscriptions (C7): granted by the operator, shared by administrators, enforced on calls.

Without any, nothing is limited.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Final, Self

import structlog

from gateway.call.model import Account, CallRecord, CallState
from gateway.control.asking import Administrator, Asker, NotFoundError, Operator
from gateway.control.coverage import coverage, covered, subscription_of
from gateway.control.roster import Roster
from gateway.control.views import EVERYBODY, Coverage, SubscriptionView
from gateway.errors import CallError, Ending, GatewayError, HangupCause
from gateway.storage.model import Subscription
from gateway.storage.store import Store

log = structlog.get_logger(__name__)

#: Ends a running call, if there is such a call.
HangUp = Callable[[str, Ending], bool]

_REFUSALS: Final = {
    Coverage.NOT_SHARED: "the administrator's subscription is not shared with this session account",
    Coverage.TOO_MANY: "the administrator's subscription covers fewer session accounts",
    Coverage.EXPIRED: "the administrator's subscription has expired",
}
_USED_UP: Final = Ending(HangupCause.OVER_LIMIT, "the subscription's minutes of this month are used up")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Subscriptions:
    """Use-cases, and the switchboard's `call.ports.Admission`. Opened with `async with`, after the roster is loaded.

    Args:
        hang_up: Of the switchboard; None where no gateway runs.
    """

    def __init__(
        self, store: Store, roster: Roster, hang_up: HangUp | None = None, now: Callable[[], dt.datetime] = _now
    ) -> None:
        self._store = store
        self._roster = roster
        self._hang_up = hang_up
        self._now = now
        self._month = ""
        self._used_s: dict[int, float] = {}
        self._up: dict[str, tuple[int, dt.datetime]] = {}  # whose running calls, and since when
        self._limits: dict[int, asyncio.TimerHandle] = {}
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        self._month = _month(self._now())
        self._used_s = await self._store.subscriptions.usage(self._month)
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for limit in self._limits.values():
            limit.cancel()
        # What is being written is written; the error of who uses this is not the group's.
        await self._group.__aexit__(None, None, None)

    # What is asked

    def mine(self, asker: Administrator) -> SubscriptionView | None:
        """What counts for him; None where nothing is limited."""
        subscription = subscription_of(self._roster, asker.id)
        return None if subscription is None else self._view(subscription, asker.id)

    def list(self, asker: Asker) -> list[SubscriptionView]:
        """All that were granted; the one for everybody (administrator 0) first. Only the operator may see them."""
        _only_operator(asker)
        granted = sorted(self._roster.subscriptions.values(), key=lambda one: one.administrator_id)
        return [self._view(one, one.administrator_id) for one in granted]

    async def grant(self, asker: Asker, subscription: Subscription) -> SubscriptionView:
        """Grant it, instead of what its administrator had. Running calls go on."""
        _only_operator(asker)
        if not 0 <= subscription.administrator_id < 2**52:
            raise GatewayError("An administrator is a Telegram user id, such as 123456789; 0 is everybody.")
        for limit in (subscription.calls, subscription.sessions, subscription.minutes):
            if limit is not None and not 0 <= limit <= 10**9:
                raise GatewayError("A limit is a number from 0, such as 10.")
        await self._store.subscriptions.save(subscription)
        self._roster.put_subscription(subscription)
        log.info("subscription granted", administrator=subscription.administrator_id)
        self._watch_all_minutes()
        return self._view(subscription, subscription.administrator_id)

    async def revoke(self, asker: Asker, administrator_id: int) -> None:
        """From now on what counts for everybody counts for him."""
        _only_operator(asker)
        if administrator_id not in self._roster.subscriptions:
            raise NotFoundError(f"Administrator {administrator_id} has no subscription of his own.")
        await self._store.subscriptions.delete(administrator_id)
        self._roster.drop_subscription(administrator_id)
        log.info("subscription revoked", administrator=administrator_id)
        self._watch_all_minutes()

    # What the switchboard asks (call.ports.Admission)

    def admit(self, account: Account, calls_of: Callable[[int], int]) -> None:
        """Raises `CallError` when the subscription does not allow one more call of this account."""
        allowed = coverage(self._roster, account.id, self._now())
        if not allowed.allows_calls:
            raise CallError(HangupCause.OVER_LIMIT, _REFUSALS[allowed])
        administrator_id = account.administrator_id
        subscription = subscription_of(self._roster, administrator_id)
        if administrator_id is None or subscription is None:
            return
        calls = sum(calls_of(one) for one in covered(self._roster, administrator_id))
        if subscription.calls is not None and calls >= subscription.calls:
            detail = f"the subscription's {subscription.calls} simultaneous calls are up already"
            raise CallError(HangupCause.OVER_LIMIT, detail)
        if subscription.minutes is not None and self._used(administrator_id) >= subscription.minutes * 60:
            raise CallError.of(_USED_UP)

    def moved(self, record: CallRecord, state: CallState) -> None:
        """Count conversations; for `Switchboard.watch`."""
        if state is CallState.UP and record.account_id is not None:
            account = self._roster.account(record.account_id)
            if account is not None and account.administrator_id is not None:
                self._up[record.call_id] = (account.administrator_id, self._now())
                self._watch_minutes(account.administrator_id)
        elif state is CallState.ENDED and (call := self._up.pop(record.call_id, None)) is not None:
            administrator_id, since = call
            talked_s = (self._now() - since).total_seconds()
            self._turn_month()
            self._used_s[administrator_id] = self._used_s.get(administrator_id, 0.0) + talked_s
            self._group.create_task(self._add(administrator_id, talked_s), name="count minutes")
            self._watch_minutes(administrator_id)

    # Inside

    def _view(self, subscription: Subscription, administrator_id: int) -> SubscriptionView:
        expired = subscription.expires_at is not None and subscription.expires_at <= self._now()
        sessions = () if administrator_id == EVERYBODY else tuple(covered(self._roster, administrator_id))
        return SubscriptionView(subscription, sessions, self._used(administrator_id), expired)

    def _used(self, administrator_id: int) -> float:
        self._turn_month()
        running = [self._now() - since for owner, since in self._up.values() if owner == administrator_id]
        return self._used_s.get(administrator_id, 0.0) + sum(running, dt.timedelta()).total_seconds()

    def _turn_month(self) -> None:
        if (month := _month(self._now())) != self._month:
            self._month, self._used_s = month, {}

    def _watch_minutes(self, administrator_id: int) -> None:
        """See that running calls end when the minutes do: together they use so many seconds a second."""
        if (limit := self._limits.pop(administrator_id, None)) is not None:
            limit.cancel()
        subscription = subscription_of(self._roster, administrator_id)
        running = [call_id for call_id, (owner, _) in self._up.items() if owner == administrator_id]
        if subscription is None or subscription.minutes is None or not running:
            return
        left_s = (subscription.minutes * 60 - self._used(administrator_id)) / len(running)
        loop = asyncio.get_running_loop()
        self._limits[administrator_id] = loop.call_later(max(left_s, 0.0), self._minutes_over, administrator_id)

    def _watch_all_minutes(self) -> None:
        for administrator_id in {owner for owner, _ in self._up.values()}:
            self._watch_minutes(administrator_id)

    def _minutes_over(self, administrator_id: int) -> None:
        for call_id, (owner, _) in tuple(self._up.items()):
            if owner == administrator_id and self._hang_up is not None:
                self._hang_up(call_id, _USED_UP)

    async def _add(self, administrator_id: int, seconds: float) -> None:
        try:
            await self._store.subscriptions.add_usage(administrator_id, self._month, seconds)
        except GatewayError:
            log.exception("minutes were not counted", administrator=administrator_id, seconds=seconds)


def _month(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m}"


def _only_operator(asker: Asker) -> None:
    if not isinstance(asker, Operator):
        raise NotFoundError("Only the operator grants subscriptions.")

"""Which sessions a subscription covers (C7). Pure: the roster in, words out."""

from __future__ import annotations

import datetime as dt

from gateway.control.roster import Roster
from gateway.control.views import EVERYBODY, Coverage
from gateway.storage.model import Subscription


def subscription_of(roster: Roster, administrator_id: int | None) -> Subscription | None:
    """An administrator's own, or everybody's; None where nothing is limited."""
    if administrator_id is None:
        return None
    return roster.subscriptions.get(administrator_id) or roster.subscriptions.get(EVERYBODY)


def sharing(roster: Roster, administrator_id: int) -> list[int]:
    """His sessions that share his subscription, the oldest first."""
    return sorted(
        stored.account.id
        for stored in roster.accounts
        if stored.account.administrator_id == administrator_id and stored.shares_subscription
    )


def covered(roster: Roster, administrator_id: int) -> list[int]:
    """His sessions that the subscription covers."""
    subscription = subscription_of(roster, administrator_id)
    return sharing(roster, administrator_id)[: None if subscription is None else subscription.sessions]


def has_room(roster: Roster, administrator_id: int | None, account_id: int) -> bool:
    """Whether his subscription would cover this session, too, besides those that share it already."""
    subscription = subscription_of(roster, administrator_id)
    if administrator_id is None or subscription is None or subscription.sessions is None:
        return True
    return len([one for one in sharing(roster, administrator_id) if one != account_id]) < subscription.sessions


def coverage(roster: Roster, account_id: int, now: dt.datetime) -> Coverage:
    stored = roster.stored(account_id)
    administrator_id = stored.account.administrator_id if stored else None
    subscription = subscription_of(roster, administrator_id)
    if stored is None or administrator_id is None or subscription is None:
        return Coverage.UNLIMITED
    if not stored.shares_subscription:
        return Coverage.NOT_SHARED
    if subscription.expires_at is not None and subscription.expires_at <= now:
        return Coverage.EXPIRED
    return Coverage.COVERED if account_id in covered(roster, administrator_id) else Coverage.TOO_MANY

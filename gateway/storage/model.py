"""What is stored, as data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from gateway.call.model import Account


class StoredAccount(NamedTuple):
    """An account, and what is kept beside it.

    Attributes:
        logged_in: At Telegram.
        kept_by: Who keeps its Telegram session (C2): "gateway", or "own", the customer's broker. Never changes.
        chat: How it behaves in its chats (T1-T3), as JSON says it.
        shares_subscription: Whether its administrator's subscription covers it (C7).
    """

    account: Account
    logged_in: bool
    kept_by: str = "gateway"
    chat: Mapping[str, Any] = MappingProxyType({})
    shares_subscription: bool = True


class Handover(NamedTuple):
    """An offer.

    Attributes:
        from_id: Who was its administrator then; None: nobody.
    """

    account_id: int
    from_id: int | None
    to_id: int
    offered_at: dt.datetime


class Job(NamedTuple):
    """Of a kind, an account and a subject there is one.

    Attributes:
        detail: Why it was not done at the last attempt.
    """

    kind: str
    account_id: int
    subject: str
    due_at: dt.datetime
    attempts: int
    detail: str


class KeptNotice(NamedTuple):
    """A notice; what the fields mean is control's."""

    id: str
    kind: str
    account_id: int
    subject: str
    facts: Mapping[str, str]
    since: dt.datetime
    tell_at: dt.datetime
    addressee: int | None
    told_to: int | None
    over: bool


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an administrator may use; None is no limit.

    Attributes:
        administrator_id: 0: everybody who has none of his own.
        calls: Simultaneous, of all his covered sessions together.
        sessions: How many it covers.
        minutes: Of conversation in a calendar month (UTC).
    """

    administrator_id: int
    calls: int | None = None
    sessions: int | None = None
    minutes: int | None = None
    expires_at: dt.datetime | None = None

"""Accounts, lines, calls, subscriptions and routings as they are shown: data alone."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from gateway.call.model import Account, CallRecord, CallState, Line, Transport
from gateway.control.chat_settings import ChatSettings
from gateway.media.model import MediaReport
from gateway.provisioning.recipes import Recipe
from gateway.provisioning.state import LineState
from gateway.storage.model import Handover, Subscription
from gateway.telegram.model import AccountStatus

#: Whose subscription counts for administrators who have none of their own.
EVERYBODY: Final = 0


class Coverage(enum.StrEnum):
    """Whether a session account may have calls, by its administrator's subscription."""

    UNLIMITED = "unlimited"  # no subscription is asked for
    COVERED = "covered"
    NOT_SHARED = "not_shared"  # the administrator does not share his subscription with it
    TOO_MANY = "too_many"  # the subscription covers fewer sessions than share it; the oldest are covered
    EXPIRED = "expired"

    @property
    def allows_calls(self) -> bool:
        return self in (Coverage.UNLIMITED, Coverage.COVERED)


class KeptBy(enum.StrEnum):
    """Who keeps the Telegram session (C2): chosen at creation, never moved later."""

    GATEWAY = "gateway"
    OWN = "own"  # the customer's own storage, which this version does not have yet


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as it is shown.

    Attributes:
        status: At Telegram, as the running gateway sees it.
        lines: How many it has.
        calls: That it has now.
        coverage: Whether it may have calls, by its administrator's subscription.
        handover: Set while it is offered to another administrator, who has not answered yet.
    """

    account: Account
    logged_in: bool
    status: AccountStatus
    lines: int
    calls: int = 0
    kept_by: KeptBy = KeptBy.GATEWAY
    chat: ChatSettings = field(default_factory=ChatSettings)
    shares_subscription: bool = True
    coverage: Coverage = Coverage.UNLIMITED
    handover: Handover | None = None


@dataclass(frozen=True, slots=True)
class LineView:
    """A line as it is shown: its password is not in it."""

    line: Line
    state: LineState


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is typed into the PBX, of a line whose PBX registers with us."""

    login: str
    password: str = field(repr=False)
    host: str
    port: int
    transport: Transport


@dataclass(frozen=True, slots=True)
class RoutingView:
    """How a line is routed.

    Attributes:
        recipe: None: its calls go straight to its number.
        text: The context in the dialplan; empty without a recipe.
        refused: Why Asterisk does not run it, in a sentence; empty if it does, or is away.
    """

    line_id: int
    recipe: Recipe | None
    text: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """A subscription as it is shown.

    Attributes:
        sessions: The session accounts that it covers, by id.
        used_s: Conversation in this calendar month (UTC), running calls included.
    """

    subscription: Subscription
    sessions: tuple[int, ...]
    used_s: float
    expired: bool


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that lives now.

    Attributes:
        record: What is known of it so far.
        emoji: The four pictures of its key, once it has one. If the Telegram user sees others, somebody sits between.
        audio: What its audio is like so far, where that was asked for.
    """

    record: CallRecord
    state: CallState
    emoji: str = ""
    audio: MediaReport | None = None

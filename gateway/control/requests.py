"""What the command line may ask, as data: the one place that maps requests to use-cases.

A request's fields are what goes over the socket, `perform` is what is done with them, there or here, and its return
type is what comes back. Whoever sends one is the operator.
"""

from __future__ import annotations

import base64
import datetime as dt
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, TypeVar, get_type_hints

from pydantic import TypeAdapter

from gateway.call.model import Account, CallRecord, LineKind
from gateway.control.accounts import Accounts, AccountView
from gateway.control.asking import Operator
from gateway.control.calls import Calls
from gateway.control.handovers import Handovers
from gateway.control.lines import Credentials, Lines, LineView
from gateway.control.notices import Notices
from gateway.control.recommendations import Recommendations
from gateway.control.routings import Routings, RoutingView
from gateway.control.subscriptions import Subscriptions, SubscriptionView
from gateway.provisioning import RecipeKind
from gateway.storage import Subscription
from gateway.telegram.login import LoggedIn
from gateway.telegram.ports import Peer

Answer = TypeVar("Answer")

_OPERATOR: Final = Operator()


@dataclass(frozen=True, slots=True)
class UseCases:
    accounts: Accounts
    lines: Lines
    calls: Calls
    handovers: Handovers
    subscriptions: Subscriptions
    recommendations: Recommendations
    notices: Notices
    routings: Routings


class Request(ABC, Generic[Answer]):
    """Something that the operator asks."""

    @abstractmethod
    async def perform(self, house: UseCases) -> Answer:
        """Do it. Raises `GatewayError` with a sentence."""


@dataclass(frozen=True)
class ListSessions(Request[list[AccountView]]):
    async def perform(self, house: UseCases) -> list[AccountView]:
        return house.accounts.list(_OPERATOR)


@dataclass(frozen=True)
class KeepSession(Request[AccountView]):
    """Take over a login; who sends this has closed his own connection, and forgets it once it is answered."""

    account: Account
    secret: str = field(repr=False)  # base64
    peers: tuple[Peer, ...] = field(repr=False)

    @classmethod
    def of(cls, login: LoggedIn) -> Self:
        return cls(login.account, base64.b64encode(login.secret).decode(), tuple(login.peers))

    async def perform(self, house: UseCases) -> AccountView:
        login = LoggedIn(self.account, base64.b64decode(self.secret), self.peers)
        return await house.accounts.keep(_OPERATOR, login)


@dataclass(frozen=True)
class ChangeSession(Request[AccountView]):
    """What is None stays as it is; administrator 0 is nobody."""

    account_id: int
    enabled: bool | None = None
    call_limit: int | None = None
    administrator_id: int | None = None

    async def perform(self, house: UseCases) -> AccountView:
        if self.call_limit is not None:
            await house.accounts.limit(_OPERATOR, self.account_id, self.call_limit)
        if self.administrator_id is not None:
            await house.accounts.assign(_OPERATOR, self.account_id, self.administrator_id or None)
        if self.enabled is not None:
            await house.accounts.enable(_OPERATOR, self.account_id, self.enabled)
        return house.accounts.show(_OPERATOR, self.account_id)


@dataclass(frozen=True)
class LogOutSession(Request[None]):
    account_id: int
    with_lines: bool = False

    async def perform(self, house: UseCases) -> None:
        await house.accounts.log_out(_OPERATOR, self.account_id, with_lines=self.with_lines)


@dataclass(frozen=True)
class ListLines(Request[list[LineView]]):
    account_id: int | None = None

    async def perform(self, house: UseCases) -> list[LineView]:
        return house.lines.list(_OPERATOR, self.account_id)


@dataclass(frozen=True)
class AddLine(Request[LineView]):
    account_id: int
    kind: LineKind
    fields: dict[str, str] = field(default_factory=dict, repr=False)

    async def perform(self, house: UseCases) -> LineView:
        return await house.lines.add(_OPERATOR, self.account_id, self.kind, self.fields)


@dataclass(frozen=True)
class EditLine(Request[LineView]):
    line_id: int
    fields: dict[str, str] = field(repr=False)

    async def perform(self, house: UseCases) -> LineView:
        return await house.lines.edit(_OPERATOR, self.line_id, self.fields)


@dataclass(frozen=True)
class ShowCredentials(Request[Credentials]):
    line_id: int
    reset: bool = False

    async def perform(self, house: UseCases) -> Credentials:
        if self.reset:
            return await house.lines.reset_password(_OPERATOR, self.line_id)
        return house.lines.credentials(_OPERATOR, self.line_id)


@dataclass(frozen=True)
class RemoveLine(Request[None]):
    line_id: int

    async def perform(self, house: UseCases) -> None:
        await house.lines.delete(_OPERATOR, self.line_id)


@dataclass(frozen=True)
class ListCalls(Request[list[CallRecord]]):
    """Records of ended calls, the newest first; or of the calls that live now."""

    living: bool = False
    account_id: int | None = None
    since: dt.datetime | None = None
    limit: int = 50

    async def perform(self, house: UseCases) -> list[CallRecord]:
        if self.living:
            return house.calls.living(_OPERATOR)
        return await house.calls.records(_OPERATOR, account_id=self.account_id, since=self.since, limit=self.limit)


@dataclass(frozen=True)
class ExportCalls(Request[str]):
    since: dt.datetime | None = None

    async def perform(self, house: UseCases) -> str:
        return await house.calls.csv(_OPERATOR, since=self.since)


@dataclass(frozen=True)
class ListSubscriptions(Request[list[SubscriptionView]]):
    async def perform(self, house: UseCases) -> list[SubscriptionView]:
        return house.subscriptions.list(_OPERATOR)


@dataclass(frozen=True)
class GrantSubscription(Request[SubscriptionView]):
    subscription: Subscription

    async def perform(self, house: UseCases) -> SubscriptionView:
        return await house.subscriptions.grant(_OPERATOR, self.subscription)


@dataclass(frozen=True)
class RevokeSubscription(Request[None]):
    administrator_id: int

    async def perform(self, house: UseCases) -> None:
        await house.subscriptions.revoke(_OPERATOR, self.administrator_id)


@dataclass(frozen=True)
class ShowRouting(Request[RoutingView]):
    line_id: int

    async def perform(self, house: UseCases) -> RoutingView:
        return house.routings.show(_OPERATOR, self.line_id)


@dataclass(frozen=True)
class ChooseRouting(Request[RoutingView]):
    """Without `apply` nothing is changed: it is only shown what would be written. Kind None: no recipe."""

    line_id: int
    kind: RecipeKind | None = None
    fields: dict[str, str] = field(default_factory=dict)
    apply: bool = True

    async def perform(self, house: UseCases) -> RoutingView:
        if self.kind is None:
            return await house.routings.clear(_OPERATOR, self.line_id)
        if not self.apply:
            return house.routings.preview(_OPERATOR, self.line_id, self.kind, self.fields)
        return await house.routings.choose(_OPERATOR, self.line_id, self.kind, self.fields)


#: By the names that go over the socket.
REQUESTS: Final[dict[str, TypeAdapter[Any]]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        *(ListSessions, KeepSession, ChangeSession, LogOutSession),
        *(ListLines, AddLine, EditLine, ShowCredentials, RemoveLine),
        *(ListCalls, ExportCalls),
        *(ShowRouting, ChooseRouting),
        *(ListSubscriptions, GrantSubscription, RevokeSubscription),
    )
}

#: The forms of their answers.
ANSWERS: Final[dict[str, TypeAdapter[Any]]] = {
    name: TypeAdapter(get_type_hints(globals()[name].perform)["return"]) for name in REQUESTS
}

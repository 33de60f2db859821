"""What the command line may ask, as data: a request's fields are what goes over the socket.

What is done with one, there or here, says `use_cases`. Whoever sends one is the operator.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, Self, TypeVar, get_args

from pydantic import TypeAdapter

from gateway.call.model import Account, CallRecord, LineKind
from gateway.control.views import AccountView, Credentials, LineView, LiveCall, RoutingView, SubscriptionView
from gateway.provisioning.recipes import RecipeKind
from gateway.storage.model import Subscription
from gateway.telegram.model import LoggedIn
from gateway.telegram.ports import Peer

Answer = TypeVar("Answer")


class Request(Generic[Answer]):
    """Something that the operator asks, and the form of what he is answered."""


@dataclass(frozen=True)
class ListSessions(Request[list[AccountView]]):
    pass


@dataclass(frozen=True)
class KeepSession(Request[AccountView]):
    """Take over a login; who sends this has closed his own connection, and forgets it once it is answered."""

    account: Account
    secret: str = field(repr=False)  # base64
    peers: tuple[Peer, ...] = field(repr=False)

    @classmethod
    def of(cls, login: LoggedIn) -> Self:
        return cls(login.account, base64.b64encode(login.secret).decode(), tuple(login.peers))


@dataclass(frozen=True)
class ChangeSession(Request[AccountView]):
    """What is None stays as it is; administrator 0 is nobody."""

    account_id: int
    enabled: bool | None = None
    call_limit: int | None = None
    administrator_id: int | None = None


@dataclass(frozen=True)
class LogOutSession(Request[None]):
    account_id: int
    with_lines: bool = False


@dataclass(frozen=True)
class ListLines(Request[list[LineView]]):
    account_id: int | None = None


@dataclass(frozen=True)
class AddLine(Request[LineView]):
    account_id: int
    kind: LineKind
    fields: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class EditLine(Request[LineView]):
    line_id: int
    fields: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class ShowCredentials(Request[Credentials]):
    line_id: int
    reset: bool = False


@dataclass(frozen=True)
class RemoveLine(Request[None]):
    line_id: int


@dataclass(frozen=True)
class ListCalls(Request[list[CallRecord]]):
    """Records of ended calls, the newest first."""

    account_id: int | None = None
    since: dt.datetime | None = None
    limit: int = 50


@dataclass(frozen=True)
class ListLiveCalls(Request[list[LiveCall]]):
    audio: bool = False


@dataclass(frozen=True)
class ExportCalls(Request[str]):
    since: dt.datetime | None = None


@dataclass(frozen=True)
class ListSubscriptions(Request[list[SubscriptionView]]):
    pass


@dataclass(frozen=True)
class GrantSubscription(Request[SubscriptionView]):
    subscription: Subscription


@dataclass(frozen=True)
class RevokeSubscription(Request[None]):
    administrator_id: int


@dataclass(frozen=True)
class ShowRouting(Request[RoutingView]):
    line_id: int


@dataclass(frozen=True)
class ChooseRouting(Request[RoutingView]):
    """Without `apply` nothing is changed: it is only shown what would be written. Kind None: no recipe."""

    line_id: int
    kind: RecipeKind | None = None
    fields: dict[str, str] = field(default_factory=dict)
    apply: bool = True


#: By the names that go over the socket.
REQUESTS: Final[Mapping[str, type[Request[Any]]]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            *(ListSessions, KeepSession, ChangeSession, LogOutSession),
            *(ListLines, AddLine, EditLine, ShowCredentials, RemoveLine),
            *(ListCalls, ListLiveCalls, ExportCalls),
            *(ShowRouting, ChooseRouting),
            *(ListSubscriptions, GrantSubscription, RevokeSubscription),
        )
    }
)


@functools.cache
def request_form(name: str) -> TypeAdapter[Any]:
    """How a request goes over the socket, by its name there. Raises `KeyError`."""
    return TypeAdapter(REQUESTS[name])


@functools.cache
def answer_form(name: str) -> TypeAdapter[Any]:
    """How what it is answered with comes back."""
    (asked,) = vars(REQUESTS[name])["__orig_bases__"]  # `types.get_original_bases`, from Python 3.12 on
    return TypeAdapter(*get_args(asked))

"""All use-cases, and the one place that maps what the command line asks to them. Whoever asks there is the operator."""

from __future__ import annotations

import base64
import functools
from dataclasses import dataclass
from typing import Any, Final

from gateway.call.model import CallRecord
from gateway.control.accounts import Accounts
from gateway.control.asking import Operator
from gateway.control.calls import Calls
from gateway.control.handovers import Handovers
from gateway.control.lines import Lines
from gateway.control.notices import Notices
from gateway.control.recommendations import Recommendations
from gateway.control.requests import (
    AddLine,
    Answer,
    ChangeSession,
    ChooseRouting,
    EditLine,
    ExportCalls,
    GrantSubscription,
    KeepSession,
    ListCalls,
    ListLines,
    ListLiveCalls,
    ListSessions,
    ListSubscriptions,
    LogOutSession,
    RemoveLine,
    Request,
    RevokeSubscription,
    ShowCredentials,
    ShowRouting,
)
from gateway.control.routings import Routings
from gateway.control.subscriptions import Subscriptions
from gateway.control.views import AccountView, Credentials, LineView, LiveCall, RoutingView, SubscriptionView
from gateway.telegram.model import LoggedIn

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

    async def ask(self, request: Request[Answer]) -> Answer:
        """Do what the operator asks. Raises `GatewayError` with a sentence."""
        answer: Answer = await _do(request, self)
        return answer


@functools.singledispatch
async def _do(request: Any, house: UseCases) -> Any:
    raise NotImplementedError(f"nobody does {request}")


@_do.register
async def _(request: ListSessions, house: UseCases) -> list[AccountView]:
    return house.accounts.list(_OPERATOR)


@_do.register
async def _(request: KeepSession, house: UseCases) -> AccountView:
    login = LoggedIn(request.account, base64.b64decode(request.secret), request.peers)
    return await house.accounts.keep(_OPERATOR, login)


@_do.register
async def _(request: ChangeSession, house: UseCases) -> AccountView:
    if request.call_limit is not None:
        await house.accounts.limit(_OPERATOR, request.account_id, request.call_limit)
    if request.administrator_id is not None:
        await house.accounts.assign(_OPERATOR, request.account_id, request.administrator_id or None)
    if request.enabled is not None:
        await house.accounts.enable(_OPERATOR, request.account_id, request.enabled)
    return house.accounts.show(_OPERATOR, request.account_id)


@_do.register
async def _(request: LogOutSession, house: UseCases) -> None:
    await house.accounts.log_out(_OPERATOR, request.account_id, with_lines=request.with_lines)


@_do.register
async def _(request: ListLines, house: UseCases) -> list[LineView]:
    return house.lines.list(_OPERATOR, request.account_id)


@_do.register
async def _(request: AddLine, house: UseCases) -> LineView:
    return await house.lines.add(_OPERATOR, request.account_id, request.kind, request.fields)


@_do.register
async def _(request: EditLine, house: UseCases) -> LineView:
    return await house.lines.edit(_OPERATOR, request.line_id, request.fields)


@_do.register
async def _(request: ShowCredentials, house: UseCases) -> Credentials:
    if request.reset:
        return await house.lines.reset_password(_OPERATOR, request.line_id)
    return house.lines.credentials(_OPERATOR, request.line_id)


@_do.register
async def _(request: RemoveLine, house: UseCases) -> None:
    await house.lines.delete(_OPERATOR, request.line_id)


@_do.register
async def _(request: ListCalls, house: UseCases) -> list[CallRecord]:
    return await house.calls.records(_OPERATOR, account_id=request.account_id, since=request.since, limit=request.limit)


@_do.register
async def _(request: ListLiveCalls, house: UseCases) -> list[LiveCall]:
    return await house.calls.living_audio(_OPERATOR) if request.audio else house.calls.living(_OPERATOR)


@_do.register
async def _(request: ExportCalls, house: UseCases) -> str:
    return await house.calls.csv(_OPERATOR, since=request.since)


@_do.register
async def _(request: ListSubscriptions, house: UseCases) -> list[SubscriptionView]:
    return house.subscriptions.list(_OPERATOR)


@_do.register
async def _(request: GrantSubscription, house: UseCases) -> SubscriptionView:
    return await house.subscriptions.grant(_OPERATOR, request.subscription)


@_do.register
async def _(request: RevokeSubscription, house: UseCases) -> None:
    await house.subscriptions.revoke(_OPERATOR, request.administrator_id)


@_do.register
async def _(request: ShowRouting, house: UseCases) -> RoutingView:
    return house.routings.show(_OPERATOR, request.line_id)


@_do.register
async def _(request: ChooseRouting, house: UseCases) -> RoutingView:
    if request.kind is None:
        return await house.routings.clear(_OPERATOR, request.line_id)
    if not request.apply:
        return house.routings.preview(_OPERATOR, request.line_id, request.kind, request.fields)
    return await house.routings.choose(_OPERATOR, request.line_id, request.kind, request.fields)

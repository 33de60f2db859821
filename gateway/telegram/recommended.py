"""The four settings that a session account should have (C5): read back from Telegram, and applied.

Telegram refuses some of them to a login younger than a day; then it says, or we know, until when.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from telethon import errors
from telethon.errors import RPCError
from telethon.tl import functions, types

from gateway.errors import GatewayError
from gateway.telegram.account import SessionAccount
from gateway.telegram.causes import error_name

#: How long Telegram calls a login fresh, where it does not say.
#: Source: https://core.telegram.org/method/account.resetAuthorization (FRESH_RESET_AUTHORISATION_FORBIDDEN).
FRESH: Final = dt.timedelta(hours=24)


class Recommended(enum.StrEnum):
    CALLS_ELSEWHERE_OFF = "calls_elsewhere_off"  # other devices of the account don't ring
    CALLS_FROM_ALL = "calls_from_all"
    P2P_FROM_ALL = "p2p_from_all"
    NO_GROUPS = "no_groups"  # nobody may add the account to groups


@dataclass(frozen=True, slots=True)
class Applied:
    """It is so now, as read back."""


@dataclass(frozen=True, slots=True)
class TooFresh:
    """Telegram refuses it until then: the login, or the password, is too new."""

    until: dt.datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Flooded:
    until: dt.datetime
    detail: str


@dataclass(frozen=True, slots=True)
class NotApplied:
    """Refused, or not so when read back; `detail` is Telegram's name for it, or a sentence."""

    detail: str


Outcome = Applied | TooFresh | Flooded | NotApplied

_PRIVACY: Final[Mapping[Recommended, tuple[type[Any], type[Any], type[Any]]]] = MappingProxyType(
    {
        Recommended.CALLS_FROM_ALL: (
            types.InputPrivacyKeyPhoneCall,
            types.InputPrivacyValueAllowAll,
            types.PrivacyValueAllowAll,
        ),
        Recommended.P2P_FROM_ALL: (
            types.InputPrivacyKeyPhoneP2P,
            types.InputPrivacyValueAllowAll,
            types.PrivacyValueAllowAll,
        ),
        Recommended.NO_GROUPS: (
            types.InputPrivacyKeyChatInvite,
            types.InputPrivacyValueDisallowAll,
            types.PrivacyValueDisallowAll,
        ),
    }
)


async def is_applied(account: SessionAccount, setting: Recommended) -> bool:
    """Whether the account has the setting, as Telegram says now. Raises as `SessionAccount.ask`."""
    if setting is Recommended.CALLS_ELSEWHERE_OFF:
        return all(one.current or one.call_requests_disabled for one in await _logins(account))
    key, _, wanted = _PRIVACY[setting]
    rules = (await account.ask(functions.account.GetPrivacyRequest(key()))).rules
    return len(rules) == 1 and isinstance(rules[0], wanted)


async def states(account: SessionAccount) -> dict[Recommended, bool]:
    """All four, as Telegram says now. Raises `GatewayError` with a sentence."""
    try:
        applied = await asyncio.gather(*(is_applied(account, setting) for setting in Recommended))
    except RPCError as refused:
        raise GatewayError(f"Telegram does not tell the account's settings now ({error_name(refused)}).") from refused
    except (OSError, TimeoutError) as lost:
        raise GatewayError("The account's settings can't be read: it is not connected to Telegram now.") from lost
    return dict(zip(Recommended, applied, strict=True))


async def apply(account: SessionAccount, setting: Recommended) -> Outcome:
    """Make it so, and read it back. Raises only OSError and TimeoutError, as `SessionAccount.ask`."""
    try:
        if setting is Recommended.CALLS_ELSEWHERE_OFF:
            await _silence_others(account)
        else:
            key, value, _ = _PRIVACY[setting]
            await account.ask(functions.account.SetPrivacyRequest(key(), [value()]))
        return Applied() if await is_applied(account, setting) else NotApplied("Telegram kept the old setting")
    except RPCError as refused:
        return await _why(account, refused)


async def _silence_others(account: SessionAccount) -> None:
    """Raises RPCError: the last refusal, after all were tried."""
    refusal: RPCError | None = None
    for login in await _logins(account):
        if login.current or login.call_requests_disabled:
            continue
        request = functions.account.ChangeAuthorizationSettingsRequest(login.hash, call_requests_disabled=True)
        try:
            await account.ask(request)
        except RPCError as refused:
            refusal = refused
    if refusal is not None:
        raise refusal


async def _logins(account: SessionAccount) -> list[Any]:
    return list((await account.ask(functions.account.GetAuthorizationsRequest())).authorizations)


async def _why(account: SessionAccount, refused: RPCError) -> Outcome:
    name, now = error_name(refused), dt.datetime.now(dt.UTC)
    match refused:
        case errors.FloodError():
            return Flooded(now + dt.timedelta(seconds=getattr(refused, "seconds", 0)), name)
        case errors.PasswordTooFreshError() | errors.SessionTooFreshError():
            return TooFresh(now + dt.timedelta(seconds=refused.seconds), name)
        case _ if name.startswith("FRESH_"):
            return TooFresh(await _fresh_until(account), name)
        case _:
            return NotApplied(name)


async def _fresh_until(account: SessionAccount) -> dt.datetime:
    """A day from our login, by Telegram's clock."""
    try:
        began = next((one.date_created for one in await _logins(account) if one.current), account.server_now())
    except RPCError:
        began = account.server_now()
    return dt.datetime.now(dt.UTC) + max(began + FRESH - account.server_now(), dt.timedelta(minutes=1))

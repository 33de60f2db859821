"""The words of the Telegram side, for those who need nothing else of it."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.call.model import Account
from gateway.telegram.ports import Peer


class AccountState(enum.StrEnum):
    OFFLINE = "offline"  # not connected, or switched off; `detail` says why
    ONLINE = "online"
    FLOOD_LIMITED = "flood_limited"  # online, but calls out are refused until `until`
    LOGGED_OUT = "logged_out"  # the login is gone for good: log in again
    BANNED = "banned"


@dataclass(frozen=True, slots=True)
class AccountStatus:
    state: AccountState
    detail: str = ""
    until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The login is made and the conversation closed. Whoever got this keeps it, or logs it out again.

    Attributes:
        account: Who it is; `id` is 0, the store gives it.
        secret: For `SessionVault.save_session`.
        peers: For `SessionVault.save_peers`.
    """

    account: Account
    secret: bytes = field(repr=False)
    peers: Sequence[Peer] = field(default=(), repr=False)


#: Ends a login that nobody uses; False when Telegram had ended it already. It is `telegram.login.log_out`.
LogOut = Callable[[bytes], Awaitable[bool]]

"""Session accounts: keep a login, change settings, hand over, log out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from gateway.call.model import Account
from gateway.control.asking import Administrator, Asker, Operator, owns
from gateway.control.lines import Lines
from gateway.control.roster import Roster
from gateway.errors import GatewayError
from gateway.storage import Store, WrongKeyError
from gateway.telegram.account import AccountState, AccountStatus
from gateway.telegram.login import LoggedIn
from gateway.telegram.session import SessionFormError

log = structlog.get_logger(__name__)

#: Far beyond what a Telegram account can carry; it only keeps a slip of the keyboard out.
CALL_LIMIT_MAX: Final = 1000

#: Ends a login that nobody uses; False when Telegram had ended it already. It is `telegram.login.log_out`.
LogOut = Callable[[bytes], Awaitable[bool]]


class Sessions(Protocol):
    """What the use-cases ask of the running Telegram side: to keep an account online, or not."""

    def add(self, account: Account) -> None: ...

    async def remove(self, account_id: int) -> None: ...

    async def update(self, account: Account) -> None: ...

    def status(self, account_id: int) -> AccountStatus: ...


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as it is shown.

    Attributes:
        status: At Telegram, as the running gateway sees it.
        lines: How many it has.
    """

    account: Account
    logged_in: bool
    status: AccountStatus
    lines: int


class Accounts:
    """Use-cases of session accounts. Each takes who asks, and raises `GatewayError` with a sentence.

    Args:
        sessions: The running Telegram side; None when no gateway runs, and only the store is changed.
    """

    def __init__(self, store: Store, roster: Roster, lines: Lines, sessions: Sessions | None, log_out: LogOut) -> None:
        self._store = store
        self._roster = roster
        self._lines = lines
        self._sessions = sessions
        self._log_out = log_out
        self._turn = asyncio.Lock()

    def bring_online(self) -> None:
        """At the start: all that are logged in and enabled."""
        for stored in self._roster.accounts:
            if stored.logged_in and self._sessions is not None:
                self._sessions.add(stored.account)

    def list(self, asker: Asker) -> list[AccountView]:
        """His accounts, the oldest first."""
        return [self._view(stored.account.id) for stored in self._roster.accounts_for(asker)]

    def show(self, asker: Asker, account_id: int) -> AccountView:
        self._roster.account_for(asker, account_id)
        return self._view(account_id)

    async def keep(self, asker: Asker, login: LoggedIn) -> AccountView:
        """Take over a login that was just made: from now on it is ours alone, and online.

        Whoever made it has closed his connection, and forgets it when this returns. If the answer is lost on its way he
        may hand over the same login again: it is kept once. A login of a user that another administrator has is
        refused, and ended at Telegram.
        """
        async with self._turn:
            known = next((s.account for s in self._roster.accounts if s.account.user_id == login.account.user_id), None)
            if known is not None and known.administrator_id is not None and not owns(asker, known):
                await self._end(login.secret)
                raise GatewayError("This Telegram user is already connected by another administrator.")
            old = None
            if known is not None:
                if self._sessions is not None:
                    await self._sessions.remove(known.id)  # it would save the old session over the new one
                old = await self._readable_session(known.id)
            account = await self._store.accounts.keep(login.account, login.secret)
            await self._store.telegram.save_peers(account.id, login.peers)
            if account.administrator_id is None and isinstance(asker, Administrator):
                account = dataclasses.replace(account, administrator_id=asker.id)
                await self._store.accounts.save(account)
            self._roster.put_account(account, logged_in=True)
            if self._sessions is not None:
                self._sessions.add(account)
            log.info("session kept", account=account.id, renewed=known is not None)
        if old not in (None, login.secret):
            await self._end(old)
        return self._view(account.id)

    async def enable(self, asker: Asker, account_id: int, enabled: bool) -> AccountView:
        """Switch it on or off. Off: it goes offline, and its calls end."""
        return await self._change(asker, account_id, enabled=enabled)

    async def limit(self, asker: Asker, account_id: int, call_limit: int) -> AccountView:
        """Set how many calls it may have at once."""
        if not 1 <= call_limit <= CALL_LIMIT_MAX:
            raise GatewayError(f"A limit of simultaneous calls is a number from 1 to {CALL_LIMIT_MAX}, such as 10.")
        return await self._change(asker, account_id, call_limit=call_limit)

    async def assign(self, asker: Asker, account_id: int, administrator_id: int | None) -> AccountView:
        """Give it to another administrator, or to none (C6). Whoever gave it away sees it no more."""
        if administrator_id is not None and not 0 < administrator_id < 2**52:
            raise GatewayError("An administrator is a Telegram user id, such as 123456789.")
        return await self._change(asker, account_id, administrator_id=administrator_id)

    async def log_out(self, asker: Asker, account_id: int, *, with_lines: bool) -> None:
        """Disconnect it: end the login at Telegram, and forget it.

        With its lines nothing is left. Otherwise the account stays, without its login, as the owner of its lines, until
        the same Telegram user is connected again.

        Telegram is told first: if it can't be reached nothing is changed, rather than a login left behind there.
        """
        async with self._turn:
            account = self._roster.account_for(asker, account_id).account
            if self._sessions is not None:
                await self._sessions.remove(account_id)
            secret = await self._readable_session(account_id)
            try:
                if secret is not None:
                    await self._log_out(secret)
            except (OSError, TimeoutError) as error:
                if self._sessions is not None:
                    self._sessions.add(account)
                raise GatewayError(f"Telegram can't be reached to end the login ({error}). Try again.") from error
            except SessionFormError as error:
                log.warning("unreadable session was dropped", account=account_id, error=str(error))
            await self._store.telegram.forget_session(account_id)
            if with_lines:
                await self._lines.delete_of(account_id)
            if self._lines.count_of(account_id):
                self._roster.put_account(account, logged_in=False)
            else:
                await self._store.accounts.delete(account_id)
                self._roster.drop_account(account_id)
            log.info("session logged out", account=account_id, with_lines=with_lines)

    async def _change(self, asker: Asker, account_id: int, **changes: Any) -> AccountView:
        async with self._turn:
            stored = self._roster.account_for(asker, account_id)
            account = dataclasses.replace(stored.account, **changes)
            await self._store.accounts.save(account)
            self._roster.put_account(account, logged_in=stored.logged_in)
            if stored.logged_in and self._sessions is not None:
                await self._sessions.update(account)
        return self._view(account_id)

    def _view(self, account_id: int) -> AccountView:
        account, logged_in = self._roster.account_for(Operator(), account_id)
        if not logged_in:
            status = AccountStatus(AccountState.LOGGED_OUT, "disconnected")
        elif self._sessions is None:
            status = AccountStatus(AccountState.OFFLINE, "the gateway is not running")
        else:
            status = self._sessions.status(account_id)
        return AccountView(account, logged_in, status, self._lines.count_of(account_id))

    async def _readable_session(self, account_id: int) -> bytes | None:
        """The kept session; one that nobody can read any more, us included, counts as none."""
        try:
            return await self._store.telegram.load_session(account_id)
        except WrongKeyError as error:
            log.warning("unreadable session was dropped", account=account_id, error=str(error))
            return None

    async def _end(self, secret: bytes) -> None:
        """End a login that nobody needs; if that fails, it is one more device in its owner's list."""
        try:
            await self._log_out(secret)
        except (OSError, TimeoutError, SessionFormError) as error:
            log.warning("superfluous session could not be logged out", error=str(error))

"""Session accounts: keep a login, change settings, hand over, log out."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import structlog

from gateway.call.model import Account
from gateway.control.asking import Administrator, Asker, Operator, owns
from gateway.control.chat_settings import ChatSettings
from gateway.control.coverage import coverage, has_room
from gateway.control.lines import Lines
from gateway.control.roster import Roster
from gateway.control.views import AccountView, KeptBy
from gateway.errors import GatewayError
from gateway.storage.seal import WrongKeyError
from gateway.storage.store import Store
from gateway.telegram.model import AccountState, AccountStatus, LoggedIn, LogOut
from gateway.telegram.session import SessionFormError

log = structlog.get_logger(__name__)

#: Far beyond what a Telegram account can carry; it only keeps a slip of the keyboard out.
CALL_LIMIT_MAX: Final = 1000


class Sessions(Protocol):
    """What the use-cases ask of the running Telegram side: to keep an account online, or not."""

    def add(self, account: Account) -> None: ...

    async def remove(self, account_id: int) -> None: ...

    async def update(self, account: Account) -> None: ...

    def status(self, account_id: int) -> AccountStatus: ...


class Accounts:
    """Use-cases of session accounts. Each takes who asks, and raises `GatewayError` with a sentence.

    Args:
        sessions: The running Telegram side; None when no gateway runs, and only the store is changed.
        calls_of: How many calls an account has now.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        lines: Lines,
        sessions: Sessions | None,
        log_out: LogOut,
        *,
        calls_of: Callable[[int], int] = lambda account_id: 0,
    ) -> None:
        self._store = store
        self._roster = roster
        self._lines = lines
        self._sessions = sessions
        self._log_out = log_out
        self._calls_of = calls_of
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
            owner = asker.id if isinstance(asker, Administrator) else None
            made = dataclasses.replace(login.account, administrator_id=owner)
            account = await self._store.accounts.keep(made, login.secret)
            await self._store.telegram.save_peers(account.id, login.peers)
            self._roster.put_account(account, logged_in=True)
            if owner is not None and (known is None or known.administrator_id is None):
                account = await self._assign(account, owner)
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

    async def set_chat(self, asker: Asker, account_id: int, fields: Mapping[str, str]) -> AccountView:
        """Change how it behaves in its chats (T1-T3), from texts by name (`CHAT_FIELDS`): all of them, or none."""
        async with self._turn:
            stored = self._roster.account_for(asker, account_id)
            chat = dataclasses.asdict(ChatSettings.read(stored.chat).changed(fields))
            await self._store.accounts.save_chat(account_id, chat)
            self._roster.put_stored(stored._replace(chat=chat))
        return self._view(account_id)

    async def share_subscription(self, asker: Asker, account_id: int, shares: bool) -> AccountView:
        """Say whether its administrator's subscription covers it, too (C7)."""
        async with self._turn:
            stored = self._roster.account_for(asker, account_id)
            begins = shares and not stored.shares_subscription
            if begins and not has_room(self._roster, stored.account.administrator_id, account_id):
                raise GatewayError("The subscription covers no more sessions. Stop sharing it with another one first.")
            await self._store.accounts.save_sharing(account_id, shares)
            self._roster.put_stored(stored._replace(shares_subscription=shares))
        return self._view(account_id)

    async def give_up(self, asker: Asker, account_id: int) -> None:
        """Leave it without administrator (C6); the operator may give it to somebody."""
        async with self._turn:
            await self._assign(self._roster.account_for(asker, account_id).account, None)
            await self._tell(account_id)

    async def assign(self, asker: Asker, account_id: int, administrator_id: int | None) -> AccountView:
        """Give it to an administrator, or to none. An administrator can't: the other must accept (`Handovers`)."""
        account = self._roster.account_for(asker, account_id).account
        if not isinstance(asker, Operator):
            raise GatewayError("Offer the session to the other administrator, who then accepts it.")
        if administrator_id is not None and not 0 < administrator_id < 2**52:
            raise GatewayError("An administrator is a Telegram user id, such as 123456789.")
        async with self._turn:
            await self._assign(account, administrator_id)
            await self._tell(account_id)
        return self._view(account_id)

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
            await self._tell(account_id)
        return self._view(account_id)

    async def _assign(self, account: Account, administrator_id: int | None) -> Account:
        """Give it over. The new administrator's subscription covers it, if there is room; an offer of it is void."""
        stored = self._roster.account_for(Operator(), account.id)
        shares = has_room(self._roster, administrator_id, account.id)
        account = dataclasses.replace(account, administrator_id=administrator_id)
        await self._store.accounts.save(account)
        await self._store.accounts.save_sharing(account.id, shares)
        self._roster.put_stored(stored._replace(account=account, shares_subscription=shares))
        await self._store.handovers.delete(account.id)
        self._roster.drop_handover(account.id)
        log.info("session assigned", account=account.id, administrator=administrator_id)
        return account

    async def _tell(self, account_id: int) -> None:
        """Let the Telegram side know of an account's changes."""
        stored = self._roster.account_for(Operator(), account_id)
        if stored.logged_in and self._sessions is not None:
            await self._sessions.update(stored.account)

    def _view(self, account_id: int) -> AccountView:
        stored = self._roster.account_for(Operator(), account_id)
        account, logged_in = stored.account, stored.logged_in
        if not logged_in:
            status = AccountStatus(AccountState.LOGGED_OUT, "disconnected")
        elif self._sessions is None:
            status = AccountStatus(AccountState.OFFLINE, "the gateway is not running")
        else:
            status = self._sessions.status(account_id)
        return AccountView(
            account,
            logged_in,
            status,
            lines=self._lines.count_of(account_id),
            calls=self._calls_of(account_id),
            kept_by=KeptBy(stored.kept_by),
            chat=ChatSettings.read(stored.chat),
            shares_subscription=stored.shares_subscription,
            coverage=coverage(self._roster, account_id, dt.datetime.now(dt.UTC)),
            handover=self._roster.handovers.get(account_id),
        )

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

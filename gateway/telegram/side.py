"""Telegram, as the switchboard sees it: the session accounts, their incoming calls, and legs that call out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self

import structlog
from telethon.errors import RPCError
from telethon.tl import functions, types

from gateway.call.model import Account, Direction, Party, Route, TelegramUser
from gateway.call.ports import Leg, Media, Offer, Switch
from gateway.errors import Ending, GatewayError, HangupCause
from gateway.telegram.account import SessionAccount
from gateway.telegram.book import CallBook
from gateway.telegram.client import prepare
from gateway.telegram.leg import FarLeg, NearLeg, OfflineLeg, Versions
from gateway.telegram.model import AccountState, AccountStatus
from gateway.telegram.ports import TelegramStore
from gateway.telegram.resolve import telegram_user
from gateway.telegram.settings import TelegramSettings

log = structlog.get_logger(__name__)

Watch = Callable[[int, AccountStatus], None]


@dataclass(slots=True)
class _Kept:
    """An account that this side keeps online, and its calls."""

    account: SessionAccount
    life: asyncio.Task[None]
    leaving: bool = False


class TelegramSide:
    """All session accounts of this node. Opened with `async with`, which raises `SettingsError` when it can't work.

    Args:
        versions: What the media engine speaks, asked for each call.
        watch: Is told of each account's changes of status.
    """

    def __init__(
        self,
        settings: TelegramSettings,
        store: TelegramStore,
        switch: Switch,
        versions: Versions,
        watch: Watch = lambda account_id, status: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._switch = switch
        self._versions = versions
        self._watch = watch
        self._kept: dict[int, _Kept] = {}
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        prepare(self._settings)
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await asyncio.gather(*(self.remove(account_id) for account_id in tuple(self._kept)))
        finally:
            await self._group.__aexit__(None, None, None)

    # Accounts

    def add(self, account: Account) -> None:
        """Keep an account online from now on, unless it is disabled. Returns at once.

        Raises:
            GatewayError: It is kept already: a login that is used twice is destroyed by Telegram.
        """
        if not account.enabled:
            return
        for kept in self._kept.values():
            if kept.account.account.id == account.id or kept.account.account.user_id == account.user_id:
                raise GatewayError(f"session account {account.id} is kept online already")
        book = CallBook(lambda call, users: self._requested(account.id, call, users))
        kept_account = SessionAccount(
            account,
            self._settings,
            self._store,
            book,
            lambda status: self._status_changed(account.id, status),
        )
        life = self._group.create_task(self._live(kept_account), name=f"account {account.id}")
        self._kept[account.id] = _Kept(kept_account, life)

    async def remove(self, account_id: int) -> None:
        """Take an account offline; its calls end."""
        kept = self._kept.get(account_id)
        if kept is None:
            return
        kept.leaving = True
        kept.account.book.abandon_all("the session account was switched off")
        try:
            await kept.account.farewells.settle()
        finally:
            kept.life.cancel()
        # Its place is taken until the last connection is closed: a login has one owner.
        await asyncio.wait({kept.life})
        self._kept.pop(account_id, None)

    async def update(self, account: Account) -> None:
        """An account's settings changed; its connection and calls stay, unless it was enabled or disabled."""
        kept = self._kept.get(account.id)
        if kept is not None and account.enabled:
            kept.account.account = account
        elif kept is not None:
            await self.remove(account.id)
        else:
            self.add(account)

    def account(self, account_id: int) -> SessionAccount | None:
        """The account, to ask Telegram other things in its name; None when it is not kept."""
        kept = self._kept.get(account_id)
        return kept.account if kept else None

    def status(self, account_id: int) -> AccountStatus:
        kept = self._kept.get(account_id)
        return kept.account.status if kept else AccountStatus(AccountState.OFFLINE, "switched off")

    @property
    def statuses(self) -> Mapping[int, AccountStatus]:
        return MappingProxyType({account_id: kept.account.status for account_id, kept in self._kept.items()})

    # Calls

    def far_leg(self, route: Route, media: Media) -> Leg:
        kept = self._kept.get(route.account.id)
        if kept is None or kept.leaving:
            return OfflineLeg(f"telegram account {route.account.id}")
        return FarLeg(kept.account, self._versions, media)

    def key_emoji(self, call_id: str) -> str:
        """The four pictures of a call's key, which its user sees as well; empty while it has none."""
        found = (kept.account.key_emoji.get(call_id, "") for kept in self._kept.values())
        return next(filter(None, found), "")

    def _requested(self, account_id: int, call: types.PhoneCallRequested, users: Mapping[int, Any]) -> None:
        """A user calls. From here on news of the call goes to the leg; the offer may wait for who he is."""
        kept = self._kept.get(account_id)
        if kept is None or kept.leaving:
            return
        leg = NearLeg(kept.account, self._versions, call)
        age_s = (kept.account.server_now() - call.date).total_seconds()
        if age_s > kept.account.farewells.ring_s:
            log.info("stale call was discarded", account=account_id, telegram_call=call.id, age_s=round(age_s))
            stale = Ending(HangupCause.NO_ANSWER, "the call came while the gateway was away")
            kept.account.spawn(leg.release(stale), "discard a stale call")
        elif isinstance(user := users.get(call.admin_id), types.User):
            self._offer(account_id, leg, telegram_user(user))
        else:
            kept.account.spawn(self._offer_stranger(kept.account, leg, call.admin_id), "ask who calls")

    async def _offer_stranger(self, account: SessionAccount, leg: NearLeg, user_id: int) -> None:
        """The update did not say who calls: ask. A call is offered even if that fails."""
        user = TelegramUser(user_id)
        if row := account.session.get_entity_rows_by_id(user_id):
            try:
                found = await account.ask(functions.users.GetUsersRequest([types.InputUser(*row)]))
                user = next((telegram_user(one) for one in found if isinstance(one, types.User)), user)
            except (RPCError, OSError, TimeoutError) as failed:
                log.warning("caller's name was not found", account=account.account.id, error=str(failed))
        self._offer(account.account.id, leg, user)

    def _offer(self, account_id: int, leg: NearLeg, user: TelegramUser) -> None:
        self._switch.offered(
            Offer(
                call_id=secrets.token_hex(8),
                direction=Direction.TELEGRAM_TO_SIP,
                via=str(account_id),
                dialled="",
                caller=Party(user=user),
                accept=leg.accept,
                refuse=leg.release,
            )
        )

    # Life

    async def _live(self, account: SessionAccount) -> None:
        try:
            await account.run()
        except Exception:
            log.exception("session account failed by a fault of ours", account=account.account.id)
            self._watch(account.account.id, AccountStatus(AccountState.OFFLINE, "a fault of the gateway"))

    def _status_changed(self, account_id: int, status: AccountStatus) -> None:
        kept = self._kept.get(account_id)
        if kept is not None and status.state in (AccountState.LOGGED_OUT, AccountState.BANNED):
            kept.account.book.abandon_all(f"the session account was logged out: {status.detail}")
        self._watch(account_id, status)

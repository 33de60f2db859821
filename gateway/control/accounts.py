"""Session accounts: kept after their login, changed, logged out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from gateway.call.model import Account
from gateway.control.asker import Asker
from gateway.control.directory import HouseDirectory
from gateway.control.lines import Lines
from gateway.errors import GatewayError
from gateway.storage import Store
from gateway.telegram.account import AccountState, AccountStatus
from gateway.telegram.login import LoggedIn, log_out
from gateway.telegram.settings import TelegramSettings
from gateway.telegram.side import TelegramSide

#: More calls than this at once no Telegram account ever had.
CALL_LIMIT_MAX: Final = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class AccountView:
    """An account as it is shown.

    Attributes:
        lines: How many it has.
    """

    account: Account
    status: AccountStatus
    lines: int


class Accounts:
    """With no Telegram side the gateway is not running: what is asked is done to the store alone."""

    def __init__(
        self,
        store: Store,
        directory: HouseDirectory,
        lines: Lines,
        settings: TelegramSettings,
        telegram: TelegramSide | None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._lines = lines
        self._settings = settings
        self._telegram = telegram

    async def list(self, asker: Asker) -> list[AccountView]:
        """His accounts, the oldest first."""
        views = []
        for account, logged_in in await self._store.accounts.all():
            if not asker.may(account):
                continue
            lines = sum(line.account_id == account.id for line in self._directory.lines.values())
            views.append(AccountView(account, self._status(account, logged_in), lines))
        return views

    def _status(self, account: Account, logged_in: bool) -> AccountStatus:
        if not logged_in:
            return AccountStatus(AccountState.LOGGED_OUT, "log in again")
        if not account.enabled:
            return AccountStatus(AccountState.OFFLINE, "switched off")
        if self._telegram is None:
            return AccountStatus(AccountState.OFFLINE, "the gateway is not running")
        return self._telegram.status(account.id)

    async def add(self, asker: Asker, login: LoggedIn) -> Account:
        """Keep a login, and bring its account online. A new login of a known account replaces the old one.

        Raises:
            GatewayError: The account is another administrator's.
        """
        known = next((one for one in self._directory.accounts.values() if one.user_id == login.account.user_id), None)
        if known is not None and not asker.may(known):
            raise GatewayError("This Telegram account is connected already, by another administrator.")
        if known is not None and self._telegram is not None:
            await self._telegram.remove(known.id)  # its session would write over the new one
        fresh = dataclasses.replace(login.account, administrator_id=asker.administrator_id)
        account = await self._store.accounts.keep(fresh, login.secret)
        await self._store.telegram.save_peers(account.id, login.peers)
        self._directory.accounts[account.id] = account
        if self._telegram is not None:
            self._telegram.add(account)
        return account

    async def change(
        self, asker: Asker, account_id: int, *, enabled: bool | None = None, call_limit: int | None = None
    ) -> Account:
        """Change what is given. Raises `GatewayError`."""
        account = self._directory.account_for(asker, account_id)
        if call_limit is not None and not 1 <= call_limit <= CALL_LIMIT_MAX:
            raise GatewayError(f"A limit of calls is a number from 1 to {CALL_LIMIT_MAX}.")
        account = dataclasses.replace(
            account,
            enabled=account.enabled if enabled is None else enabled,
            call_limit=call_limit or account.call_limit,
        )
        await self._store.accounts.save(account)
        self._directory.accounts[account.id] = account
        if self._telegram is not None:
            await self._telegram.update(account)
        return account

    async def log_out(self, asker: Asker, account_id: int, *, with_lines: bool = False) -> Sequence[str]:
        """End the login at Telegram and forget it (C6); the account goes too, unless lines of it are kept.

        Returns:
            What is worth telling: that Telegram could not be asked, that lines are kept.
        """
        account = self._directory.account_for(asker, account_id)
        told: list[str] = []
        if self._telegram is not None:
            await self._telegram.remove(account.id)
        secret = await self._store.telegram.load_session(account.id)
        if secret is not None:
            try:
                if not await log_out(self._settings, secret):
                    told.append("Telegram had ended this login already.")
            except (OSError, TimeoutError, GatewayError) as error:
                told.append(
                    f"Telegram could not be told ({error}). End the login on the phone: Settings → Devices → "
                    f"{self._settings.device_model}."
                )
        await self._store.telegram.forget_session(account.id)
        lines = [line for line in self._directory.lines.values() if line.account_id == account.id]
        if with_lines:
            for line in lines:
                await self._lines.delete(asker, line.id)
            lines = []
        if lines:
            told.append(f"{len(lines)} lines are kept; they work again when the account logs in.")
        else:
            await self._store.accounts.delete(account.id)
            del self._directory.accounts[account.id]
        return told

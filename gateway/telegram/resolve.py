"""Who is dialled: from `id:<n>`, `@name` or `+digits` to a Telegram user that the account may call (K6)."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

import structlog
from telethon import errors
from telethon.errors import RPCError
from telethon.tl import functions, types

from gateway.call.model import TelegramUser
from gateway.errors import CallError, GatewayError, HangupCause
from gateway.telegram.account import SessionAccount
from gateway.telegram.causes import error_name
from gateway.telegram.ports import KnownNumber

log = structlog.get_logger(__name__)

_ID: Final = re.compile(r"id:([1-9]\d{0,18})")
#: Source: https://core.telegram.org/method/account.checkUsername (Latin letters, digits, underscores, 4-32 of them).
_NAME: Final = re.compile(r"@([A-Za-z]\w{3,31})", re.ASCII)
#: Source: ITU-T E.164 §6 (at most 15 digits).
_PHONE: Final = re.compile(r"\+(\d{5,15})")


async def resolve(account: SessionAccount, to: str) -> types.InputUser:
    """Find whom to call. By id only those whom the account has met can be found.

    Raises:
        CallError: INVALID_NUMBER, UNKNOWN_NUMBER, SELF_CALL.
        RPCError, OSError, TimeoutError: As `SessionAccount.ask`.
    """
    if match := _ID.fullmatch(to):
        return _met(account, int(match[1]))
    if match := _NAME.fullmatch(to):
        number, name, phone = f"@{match[1].lower()}", match[1], ""
    elif match := _PHONE.fullmatch(to):
        number, name, phone = to, "", match[1]
    else:
        raise CallError(HangupCause.INVALID_NUMBER, f"{to!r} is not a Telegram user, name or phone number")
    known = await _known(account, number)
    if known is None:
        known = KnownNumber(await _find(account, name, phone), dt.datetime.now(dt.UTC))
        await _keep(account, number, known)
    if known.user_id is None:
        raise CallError(HangupCause.UNKNOWN_NUMBER, "PHONE_NOT_OCCUPIED" if phone else "USERNAME_NOT_OCCUPIED")
    return _met(account, known.user_id)


async def forget(account: SessionAccount, to: str) -> None:
    """What was known of this number turned out wrong."""
    if to.startswith(("@", "+")):
        await _keep(account, to.lower(), KnownNumber(None, dt.datetime.fromtimestamp(0, dt.UTC)))


def telegram_user(user: types.User) -> TelegramUser:
    """A Telegram user, in the words of a call."""
    names = [user.username, *(name.username for name in user.usernames or () if name.active)]
    return TelegramUser(
        id=user.id,
        username=next((name for name in names if name), ""),
        phone=user.phone or "",
        first_name=user.first_name or "",
        last_name=user.last_name or "",
    )


def _met(account: SessionAccount, user_id: int) -> types.InputUser:
    if user_id == account.account.user_id:
        raise CallError(HangupCause.SELF_CALL, "a session account can't call itself")
    row = account.session.get_entity_rows_by_id(user_id)
    if row is None:
        raise CallError(HangupCause.UNKNOWN_NUMBER, f"the session account has not met the user {user_id}")
    return types.InputUser(*row)


async def _find(account: SessionAccount, name: str, phone: str) -> int | None:
    """Ask Telegram. None when nobody has that name or number."""
    try:
        found = await _resolve_phone(account, phone) if phone else await _resolve_name(account, name)
    except (errors.UsernameNotOccupiedError, errors.PhoneNotOccupiedError):
        return None
    user = next((one for one in found if isinstance(one, types.User)), None)
    if user is None or user.deleted:
        return None
    if user.bot:
        raise CallError(HangupCause.INVALID_NUMBER, "bots take no calls")
    return int(user.id)


async def _resolve_name(account: SessionAccount, name: str) -> list[Any]:
    found = await account.ask(functions.contacts.ResolveUsernameRequest(name))
    return list(found.users) if isinstance(found.peer, types.PeerUser) else []


async def _resolve_phone(account: SessionAccount, phone: str) -> list[Any]:
    """By `contacts.resolvePhone`; where it refuses, by importing a contact, which has a limit of its own."""
    try:
        found = await account.ask(functions.contacts.ResolvePhoneRequest(phone))
    except (errors.PhoneNotOccupiedError, errors.FloodError) as refused:
        contact = types.InputPhoneContact(client_id=0, phone=f"+{phone}", first_name=f"+{phone}", last_name="")
        try:
            imported = await account.ask(functions.contacts.ImportContactsRequest([contact]))
        except RPCError:
            raise refused from None
        if imported.retry_contacts:  # too many were imported, says Telegram, and not until when
            raise CallError(HangupCause.FLOOD, "contacts.importContacts") from refused
        if not imported.users:
            if isinstance(refused, errors.FloodError):
                raise
            return []
        # As a contact he would bear the number for a name, to the account's owner and to every PBX.
        strangers = [types.InputUser(user.id, user.access_hash) for user in imported.users]
        account.spawn(_delete_contacts(account, strangers), "delete an imported contact")
        return list(imported.users)
    return list(found.users)


async def _delete_contacts(account: SessionAccount, users: list[types.InputUser]) -> None:
    try:
        await account.ask(functions.contacts.DeleteContactsRequest(users))
    except RPCError as refused:
        log.warning("imported contact was not deleted", account=account.account.id, error=error_name(refused))
    except OSError as lost:
        log.warning("imported contact was not deleted", account=account.account.id, error=str(lost))


async def _known(account: SessionAccount, number: str) -> KnownNumber | None:
    try:
        row = await account.store.load_number(account.account.id, number)
    except GatewayError as failed:
        log.error("known numbers can't be read", account=account.account.id, error=str(failed))
        return None
    if row is None:
        return None
    known = KnownNumber(*row)
    kept_s = account.settings.unknown_for_s if known.user_id is None else account.settings.known_for_s
    fresh = dt.datetime.now(dt.UTC) - known.found_at < dt.timedelta(seconds=kept_s)
    met = known.user_id is None or account.session.get_entity_rows_by_id(known.user_id) is not None
    return known if fresh and met else None


async def _keep(account: SessionAccount, number: str, known: KnownNumber) -> None:
    try:
        await account.store.save_number(account.account.id, number, known)
    except GatewayError as failed:
        log.error("known number was not saved", account=account.account.id, error=str(failed))

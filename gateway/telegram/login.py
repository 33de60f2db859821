"""The login conversation: phone → code → password, or a QR code. For the terminal, the bot and the web alike.

Every step answers with what happened, as data; a refusal leaves the conversation where it can go on. Nothing that
is typed into it is logged.

Source: https://core.telegram.org/api/auth, https://core.telegram.org/api/srp, https://core.telegram.org/api/qr-login
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import enum
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

import structlog
from telethon import errors, events
from telethon.errors import RPCError
from telethon.password import compute_check, compute_digest
from telethon.tl import TLRequest, functions, types

from gateway.call.model import Account
from gateway.telegram.causes import error_name
from gateway.telegram.client import Client, close, connection_errors, make_client, prepare
from gateway.telegram.model import LoggedIn
from gateway.telegram.resolve import telegram_user
from gateway.telegram.session import KeptSession
from gateway.telegram.settings import TelegramSettings

log = structlog.get_logger(__name__)

#: Telethon repeats a request at most this often; a change of data centre is a repetition.
RETRIES: Final = 2
#: Whatever the clocks say, a QR code is shown for no less and no longer than this.
QR_MIN_S, QR_MAX_S = 1.0, 60.0


class Step(enum.StrEnum):
    PHONE = "phone"  # a phone number is wanted, or a QR code
    CODE = "code"
    PASSWORD = "password"  # two-step verification is on  # noqa: S105
    RECOVERY = "recovery"  # the code from the e-mail is wanted; the password still does
    DONE = "done"


class Refusal(enum.StrEnum):
    """Why a step did not succeed; each wants its own words and its own way on."""

    NUMBER_INVALID = "number_invalid"
    NUMBER_BANNED = "number_banned"
    NOT_REGISTERED = "not_registered"  # no account with this number; it is made in an app
    FLOOD = "flood"  # too many attempts; again after `retry_after_s`, if known
    WRONG_CODE = "wrong_code"
    CODE_EXPIRED = "code_expired"  # ask for a new one
    NO_OTHER_WAY = "no_other_way"  # the code can't be sent by yet another way
    EMAIL_WANTED = "email_wanted"  # Telegram wants a login e-mail set up first, in an app
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    UNFIT_PASSWORD = "unfit_password"  # noqa: S105
    NO_RECOVERY = "no_recovery"  # no e-mail address was set with the password
    API_REFUSED = "api_refused"  # the gateway's API id or hash is wrong
    OFFLINE = "offline"  # Telegram can't be reached
    OUT_OF_STEP = "out_of_step"  # not what is wanted now
    FAILED = "failed"  # anything else; `detail` is Telegram's name for it


@dataclass(frozen=True, slots=True)
class CodeSent:
    """Telegram has sent a code.

    Attributes:
        way: "app", "sms", "call", "email_code", …
        length: How many digits it has, if known.
        resend_after_s: When `resend` will do something, if known.
    """

    way: str
    length: int | None = None
    resend_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class PasswordNeeded:
    hint: str = ""
    has_recovery: bool = False


@dataclass(frozen=True, slots=True)
class RecoverySent:
    """`email` is a pattern, such as "a***z@example.org"."""

    email: str


@dataclass(frozen=True, slots=True)
class QrShown:
    """A link to be shown as a QR code, and scanned by an app that is logged in, before it expires."""

    url: str = field(repr=False)
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Refused:
    why: Refusal
    detail: str = ""
    retry_after_s: int | None = None


#: No number is longer; what is, Telegram is not asked about, because it counts every attempt. Source: ITU-T E.164.
E164_MAX: Final = 15

#: Source: https://core.telegram.org/method/auth.sendCode, auth.signIn, auth.checkPassword, auth.recoverPassword.
REFUSALS: Final[Mapping[str, Refusal]] = MappingProxyType(
    {
        "PHONE_NUMBER_INVALID": Refusal.NUMBER_INVALID,
        "PHONE_NUMBER_BANNED": Refusal.NUMBER_BANNED,
        "USER_DEACTIVATED": Refusal.NUMBER_BANNED,
        "USER_DEACTIVATED_BAN": Refusal.NUMBER_BANNED,
        "PHONE_NUMBER_UNOCCUPIED": Refusal.NOT_REGISTERED,
        "PHONE_NUMBER_FLOOD": Refusal.FLOOD,
        "PHONE_PASSWORD_FLOOD": Refusal.FLOOD,
        "PHONE_CODE_INVALID": Refusal.WRONG_CODE,
        "PHONE_CODE_EMPTY": Refusal.WRONG_CODE,
        "PHONE_CODE_EXPIRED": Refusal.CODE_EXPIRED,
        "SEND_CODE_UNAVAILABLE": Refusal.NO_OTHER_WAY,
        "PASSWORD_HASH_INVALID": Refusal.WRONG_PASSWORD,
        "CODE_INVALID": Refusal.WRONG_CODE,
        "CODE_EMPTY": Refusal.WRONG_CODE,
        "PASSWORD_RECOVERY_EXPIRED": Refusal.CODE_EXPIRED,
        "PASSWORD_RECOVERY_NA": Refusal.NO_RECOVERY,
        "NEW_SETTINGS_INVALID": Refusal.UNFIT_PASSWORD,
        "NEW_SALT_INVALID": Refusal.UNFIT_PASSWORD,
        "API_ID_INVALID": Refusal.API_REFUSED,
        "API_ID_PUBLISHED_FLOOD": Refusal.API_REFUSED,
    }
)

CodeOutcome = CodeSent | LoggedIn | Refused
Outcome = LoggedIn | PasswordNeeded | Refused
QrOutcome = QrShown | LoggedIn | PasswordNeeded | Refused


class Login:
    """One conversation. Opened with `async with`, which raises `SettingsError` when it can't work.

    Leaving it unfinished leaves nothing behind at Telegram.
    """

    def __init__(self, settings: TelegramSettings) -> None:
        self.step = Step.PHONE
        self._settings = settings
        self._session = KeptSession()
        self._client: Client | None = None
        self._phone = ""
        self._code_hash = ""
        self._scanned = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        prepare(self._settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.step is Step.CODE and self._client is not None and self._client.is_connected():
            try:
                await self._ask(functions.auth.CancelCodeRequest(self._phone, self._code_hash))
            except (RPCError, OSError, TimeoutError) as failed:
                log.debug("login code was not cancelled", error=repr(failed))
        await self._close()

    # The steps

    async def phone(self, number: str) -> CodeOutcome:
        """Ask Telegram for a code. May start over at any time."""
        digits = re.sub(r"\D", "", number)
        if self.step is Step.DONE:
            return Refused(Refusal.OUT_OF_STEP)
        if not 0 < len(digits) <= E164_MAX:
            return Refused(Refusal.NUMBER_INVALID)
        async with self._one_at_a_time:
            return await self._send_code(digits)

    async def resend(self) -> CodeOutcome:
        """Ask for the code by the next way that Telegram has."""
        if self.step is not Step.CODE:
            return Refused(Refusal.OUT_OF_STEP)
        async with self._one_at_a_time:
            try:
                sent = await self._ask(functions.auth.ResendCodeRequest(self._phone, self._code_hash))
                return await self._sent(sent)
            except (RPCError, OSError, TimeoutError) as failed:
                return self._refused(failed)

    async def code(self, code: str) -> Outcome:
        if self.step is not Step.CODE:
            return Refused(Refusal.OUT_OF_STEP)
        digits = re.sub(r"\W", "", code)
        async with self._one_at_a_time:
            try:
                answer = await self._ask(functions.auth.SignInRequest(self._phone, self._code_hash, digits))
                if isinstance(answer, types.auth.AuthorizationSignUpRequired):
                    self.step = Step.PHONE
                    return Refused(Refusal.NOT_REGISTERED)
                return await self._done(answer.user)
            except errors.SessionPasswordNeededError:
                return await self._password_needed()
            except (RPCError, OSError, TimeoutError) as failed:
                return self._refused(failed)

    async def password(self, password: str) -> LoggedIn | Refused:
        if self.step not in (Step.PASSWORD, Step.RECOVERY):
            return Refused(Refusal.OUT_OF_STEP)
        async with self._one_at_a_time:
            try:
                for last in (False, True):
                    try:
                        answer = await self._check_password(password)
                        break
                    except (errors.SrpIdInvalidError, errors.SrpPasswordChangedError):
                        if last:  # the challenge was overtaken by another; a fresh one, but not for ever
                            raise
                return await self._done(answer.user)
            except (RPCError, OSError, TimeoutError) as failed:
                return self._refused(failed)

    async def ask_recovery(self) -> RecoverySent | Refused:
        """Have a code sent to the e-mail address that was set with the password."""
        if self.step not in (Step.PASSWORD, Step.RECOVERY):
            return Refused(Refusal.OUT_OF_STEP)
        async with self._one_at_a_time:
            try:
                sent = await self._ask(functions.auth.RequestPasswordRecoveryRequest())
            except (RPCError, OSError, TimeoutError) as failed:
                return self._refused(failed)
            self.step = Step.RECOVERY
            return RecoverySent(sent.email_pattern)

    async def recover(self, code: str, new_password: str | None = None, hint: str = "") -> LoggedIn | Refused:
        """Log in by the code from the e-mail. Without a new password two-step verification is off from now on."""
        if self.step is not Step.RECOVERY:
            return Refused(Refusal.OUT_OF_STEP)
        async with self._one_at_a_time:
            try:
                settings = await self._new_password(new_password, hint) if new_password else None
                answer = await self._ask(functions.auth.RecoverPasswordRequest(code.strip(), settings))
                return await self._done(answer.user)
            except (RPCError, OSError, TimeoutError) as failed:
                return self._refused(failed)

    async def qr(self) -> AsyncIterator[QrOutcome]:
        """Show QR codes, each when the one before has expired, until one is scanned or the caller stops.

        The last outcome is one that is not `QrShown`.
        """
        while self.step is Step.PHONE:
            async with self._one_at_a_time:
                outcome = await self._next_qr()
            yield outcome
            if not isinstance(outcome, QrShown):
                return
            left_s = (outcome.expires_at - dt.datetime.now(dt.UTC)).total_seconds()
            await self._until_scanned(min(max(left_s, QR_MIN_S), QR_MAX_S))

    # Inside

    async def _send_code(self, digits: str) -> CodeOutcome:
        self.step, self._phone = Step.PHONE, digits
        settings = self._settings
        request = functions.auth.SendCodeRequest(
            digits, settings.api_id, settings.api_hash.get_secret_value(), types.CodeSettings()
        )
        try:
            try:
                sent = await self._ask(request)
            except errors.AuthRestartError:
                sent = await self._ask(request)
            return await self._sent(sent)
        except (RPCError, OSError, TimeoutError) as failed:
            return self._refused(failed)

    async def _sent(self, sent: Any) -> CodeOutcome:
        if isinstance(sent, types.auth.SentCodeSuccess):
            return await self._done(sent.authorization.user)
        if not isinstance(sent, types.auth.SentCode):
            return Refused(Refusal.FAILED, type(sent).__name__)
        if isinstance(sent.type, types.auth.SentCodeTypeSetUpEmailRequired):
            return Refused(Refusal.EMAIL_WANTED)
        self._code_hash, self.step = sent.phone_code_hash, Step.CODE
        way = type(sent.type).__name__.removeprefix("SentCodeType")
        way = re.sub(r"(?<!^)(?=[A-Z])", "_", way).lower()
        return CodeSent(way, getattr(sent.type, "length", None), sent.timeout)

    async def _check_password(self, password: str) -> Any:
        challenge = await self._ask(functions.account.GetPasswordRequest())
        # A tenth of a second of arithmetic on purpose: not in the loop.
        proof = await asyncio.to_thread(compute_check, challenge, password)
        return await self._ask(functions.auth.CheckPasswordRequest(proof))

    async def _new_password(self, password: str, hint: str) -> types.account.PasswordInputSettings:
        algorithm = (await self._ask(functions.account.GetPasswordRequest())).new_algo
        algorithm.salt1 += os.urandom(32)
        digest = await asyncio.to_thread(compute_digest, algorithm, password)
        return types.account.PasswordInputSettings(new_algo=algorithm, new_password_hash=digest, hint=hint)

    async def _password_needed(self) -> PasswordNeeded | Refused:
        self.step = Step.PASSWORD
        try:
            kept = await self._ask(functions.account.GetPasswordRequest())
        except (RPCError, OSError, TimeoutError) as failed:
            return self._refused(failed)
        return PasswordNeeded(kept.hint or "", bool(kept.has_recovery))

    async def _next_qr(self) -> QrOutcome:
        settings = self._settings
        self._scanned.clear()
        request = functions.auth.ExportLoginTokenRequest(
            settings.api_id, settings.api_hash.get_secret_value(), except_ids=[]
        )
        try:
            answer = await self._ask(request)
            if isinstance(answer, types.auth.LoginTokenMigrateTo):
                with connection_errors():
                    await (await self._connected()).move(answer.dc_id)
                answer = await self._ask(functions.auth.ImportLoginTokenRequest(answer.token))
            if isinstance(answer, types.auth.LoginTokenSuccess):
                return await self._done(answer.authorization.user)
        except errors.SessionPasswordNeededError:
            return await self._password_needed()
        except (RPCError, OSError, TimeoutError) as failed:
            return self._refused(failed)
        token = base64.urlsafe_b64encode(answer.token).decode().rstrip("=")
        return QrShown(f"tg://login?token={token}", answer.expires)

    async def _until_scanned(self, seconds: float) -> None:
        """Wait for the app to scan the code; no longer than it is good, or than the connection holds."""
        if self._client is None:
            return
        lost = self._client.disconnected
        scanned = asyncio.ensure_future(self._scanned.wait())
        try:
            await asyncio.wait({scanned, lost}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            scanned.cancel()

    async def _on_token(self, update: Any) -> None:
        self._scanned.set()

    async def _done(self, user: types.User) -> LoggedIn:
        with connection_errors():
            await (await self._connected()).begin_session(user)
        await self._close()
        self.step = Step.DONE
        who = telegram_user(user)
        account = Account(id=0, phone=who.phone, user_id=who.id, username=who.username, name=who.name)
        log.info("session account logged in", user_id=who.id)
        return LoggedIn(account, self._session.secret(), self._session.take_peers())

    def _refused(self, error: Exception) -> Refused:
        if not isinstance(error, RPCError):
            return Refused(Refusal.OFFLINE, str(error))
        name = error_name(error)
        if isinstance(error, errors.FloodError):
            return Refused(Refusal.FLOOD, name, getattr(error, "seconds", None))
        return Refused(REFUSALS.get(name, Refusal.FAILED), name)

    # The connection

    async def _ask(self, request: TLRequest) -> Any:
        """Ask through Telethon's own way, which changes data centres when told to."""
        client = await self._connected()
        with connection_errors():
            async with asyncio.timeout(self._settings.request_timeout_s * (RETRIES + 1)):
                return await client(request)

    async def _connected(self) -> Client:
        """The client, with a new connection if the last one broke."""
        if self._client is not None and self._client.is_connected():
            return self._client
        await self._close()
        client = self._client = make_client(self._settings, self._session, retries=RETRIES)
        client.add_event_handler(self._on_token, events.Raw(types.UpdateLoginToken))
        with connection_errors():
            async with asyncio.timeout(self._settings.connect_timeout_s + self._settings.request_timeout_s):
                await client.connect()
        return client

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await close(client)


async def log_out(settings: TelegramSettings, secret: bytes) -> bool:
    """End a login whose account is not online here. False when Telegram had ended it already.

    Raises:
        OSError, TimeoutError: Telegram could not be reached; the login lives on.
        SessionFormError: The kept session can't be read.
    """
    session = KeptSession.restored(secret, ())
    client = make_client(settings, session)
    try:
        with connection_errors():
            async with asyncio.timeout(settings.connect_timeout_s + settings.request_timeout_s):
                await client.connect()
                await client.ask(functions.auth.LogOutRequest())
    except (errors.UnauthorizedError, errors.AuthKeyError):
        return False
    finally:
        await close(client)
    return True

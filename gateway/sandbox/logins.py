"""How somebody becomes logged in: by code, by password, by e-mail, by a QR code on another device.

Source: https://core.telegram.org/api/auth, https://core.telegram.org/api/srp, https://core.telegram.org/api/qr-login.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
from dataclasses import dataclass
from typing import Final

from telethon.tl import types

from gateway.sandbox import srp
from gateway.sandbox.cloud import Cloud
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpcerror import RememberedError, RpcError
from gateway.sandbox.world import SERVICE_USER_ID, Authorization, Code, Password, User, digits

#: Source: ITU-T E.164 §6 (at most 15 digits); Telegram's shortest numbers have seven.
MIN_DIGITS, MAX_DIGITS = 7, 15
CODE_LENGTH: Final = 5


@dataclass(slots=True)
class LoginToken:
    """What a QR code holds."""

    token: bytes
    key: int
    expires: float
    accepted_by: int | None = None


class Logins:
    def __init__(self, cloud: Cloud, mailbox: Mailbox) -> None:
        self._cloud = cloud
        self._world = cloud.world
        self._mailbox = mailbox
        self._challenges: dict[int, srp.Challenge] = {}
        self._tokens: dict[bytes, LoginToken] = {}

    # By code

    def send_code(self, phone: str) -> TL:
        number = _valid(phone)
        user = self._world.find_user("phone", number)
        if user and user.banned:
            raise RpcError(400, "PHONE_NUMBER_BANNED")
        now = self._cloud.now()
        before = self._world.code(number)
        if before and before.flood_until > now:
            raise RpcError(420, f"FLOOD_WAIT_{int(before.flood_until - now) + 1}")
        code = Code(number, secrets.token_hex(9), f"{secrets.randbelow(10**CODE_LENGTH):05}", now, 0, 0)
        self._world.set_code(code)
        kind = types.auth.SentCodeTypeSms
        if user and self._world.authorizations("user", user.id):
            kind = types.auth.SentCodeTypeApp
            self._mailbox.post(SERVICE_USER_ID, user.id, message=f"Login code: {code.code}. Do not give it to anyone.")
        return types.auth.SentCode(kind(CODE_LENGTH), code.hash, timeout=60)

    def sign_in(self, key: int, phone: str, code_hash: str, code: str) -> TL:
        number = _valid(phone)
        if not code:
            raise RpcError(400, "PHONE_CODE_EMPTY")
        sent = self._world.code(number)
        now = self._cloud.now()
        if sent and sent.flood_until > now:
            raise RpcError(420, f"FLOOD_WAIT_{int(sent.flood_until - now) + 1}")
        if sent is None or sent.hash != code_hash or now > sent.sent + self._cloud.settings.code_lifetime_s:
            raise RpcError(400, "PHONE_CODE_EXPIRED")
        if sent.code != code:
            raise self._wrong(sent)
        user = self._world.find_user("phone", number)
        if user is None:
            return types.auth.AuthorizationSignUpRequired()
        self._world.forget_code(number)
        return self._first_step_done(key, user)

    def _wrong(self, sent: Code) -> RpcError:
        wrong = sent.wrong + 1
        flood_until = 0.0
        if wrong >= self._cloud.settings.code_attempts:
            flood_until = self._cloud.now() + self._cloud.settings.code_flood_s
        # A refusal undoes the request, but a wrong attempt is to be remembered.
        return RememberedError(
            400,
            "PHONE_CODE_INVALID",
            lambda: self._world.set_code(dataclasses.replace(sent, wrong=wrong, flood_until=flood_until)),
        )

    def void_codes_in(self, sender: User, text: str) -> None:
        """Telegram voids a code that its owner sends to somebody in a chat."""
        code = self._world.code(sender.phone) if sender.phone else None
        if code and code.code in text:
            self._world.set_code(dataclasses.replace(code, hash=""))

    def sign_in_bot(self, key: int, token: str) -> TL:
        bot = self._world.find_user("bot_token", token)
        if bot is None:
            raise RpcError(400, "ACCESS_TOKEN_INVALID")
        return self._done(key, bot)

    # By password

    def password_state(self, key: int) -> TL:
        """What account.getPassword tells, with a fresh challenge."""
        user_id = self._whose(key)
        kept = self._world.password(user_id)
        common = {
            "new_algo": srp.fresh_algorithm(),
            "new_secure_algo": types.SecurePasswordKdfAlgoUnknown(),
            "secure_random": os.urandom(256),
        }
        if kept is None:
            return types.account.Password(**common)
        challenge = srp.Challenge(kept.salt1, kept.salt2, kept.verifier)
        self._challenges[key] = challenge
        return types.account.Password(
            **common,
            has_password=True,
            has_recovery=bool(kept.email) or None,
            current_algo=srp.algorithm(kept.salt1, kept.salt2),
            srp_B=challenge.public,
            srp_id=challenge.id,
            hint=kept.hint or None,
        )

    def check_password(self, key: int, answer: TL) -> TL:
        user = self._world.user(self._whose(key))
        self.prove_password(key, answer)
        return self._done(key, user)

    def prove_password(self, key: int, answer: TL) -> None:
        """Raises `RpcError` unless who asks knows the password of whom he is, or there is none."""
        kept = self._world.password(self._whose(key))
        if kept is None:
            return
        if not isinstance(answer, types.InputCheckPasswordSRP):
            raise RpcError(400, "PASSWORD_HASH_INVALID")
        challenge = self._challenges.pop(key, None)
        if challenge is None or challenge.id != answer.srp_id:
            raise RpcError(400, "SRP_ID_INVALID")
        if challenge.verifier != kept.verifier:
            raise RpcError(400, "SRP_PASSWORD_CHANGED")
        if not challenge.is_answered_by(answer.A, answer.M1):
            raise RpcError(400, "PASSWORD_HASH_INVALID")

    def change_password(self, user_id: int, new: TL) -> None:
        """Set or remove the password as PasswordInputSettings say. An e-mail address is believed at once."""
        if not new.new_password_hash:
            self._world.remove_password(user_id)
            return
        before = self._world.password(user_id)
        email = new.email if new.email is not None else before.email if before else ""
        algo = new.new_algo
        self._world.set_password(
            Password(user_id, algo.salt1, algo.salt2, new.new_password_hash, new.hint or "", email, None)
        )

    def set_password(self, user_id: int, password: str | None, *, hint: str = "", email: str = "") -> None:
        """As the user himself would have done it; None removes it."""
        if password is None:
            self._world.remove_password(user_id)
            return
        salt1, salt2 = os.urandom(40), os.urandom(16)
        kept = Password(user_id, salt1, salt2, srp.verifier(salt1, salt2, password), hint, email, None)
        self._world.set_password(kept)

    # By e-mail

    def request_recovery(self, key: int) -> TL:
        kept = self._world.password(self._whose(key))
        if kept is None:
            raise RpcError(400, "PASSWORD_EMPTY")
        if not kept.email:
            raise RpcError(400, "PASSWORD_RECOVERY_NA")
        self._world.set_password(dataclasses.replace(kept, recovery_code=f"{secrets.randbelow(10**6):06}"))
        name, _, host = kept.email.partition("@")
        return types.auth.PasswordRecovery(f"{name[:1]}***{name[-1:]}@{host}")

    def check_recovery(self, key: int, code: str) -> None:
        kept = self._world.password(self._whose(key))
        if kept is None or kept.recovery_code is None:
            raise RpcError(400, "PASSWORD_RECOVERY_EXPIRED")
        if kept.recovery_code != code:
            raise RpcError(400, "CODE_INVALID")

    def recover(self, key: int, code: str, new: TL) -> TL:
        """Without new settings the password is gone."""
        user = self._world.user(self._whose(key))
        self.check_recovery(key, code)
        self._world.remove_password(user.id)
        if new is not None:
            self.change_password(user.id, new)
        return self._done(key, user)

    # By QR code

    def export_token(self, key: int) -> TL:
        now = self._cloud.now()
        self._tokens = {token: kept for token, kept in self._tokens.items() if kept.expires > now}
        for kept in list(self._tokens.values()):
            if kept.key == key and kept.accepted_by is not None:
                del self._tokens[kept.token]
                return types.auth.LoginTokenSuccess(self._first_step_done(key, self._world.user(kept.accepted_by)))
        fresh = LoginToken(os.urandom(32), key, now + self._cloud.settings.qr_lifetime_s)
        self._tokens[fresh.token] = fresh
        return types.auth.LoginToken(self._cloud.date(fresh.expires), fresh.token)

    def accept_token(self, user_id: int, token: bytes) -> TL:
        kept = self._tokens.get(token)
        if kept is None:
            raise RpcError(400, "AUTH_TOKEN_INVALIDX")
        if kept.expires <= self._cloud.now():
            raise RpcError(400, "AUTH_TOKEN_EXPIRED")
        if kept.accepted_by is not None:
            raise RpcError(400, "AUTH_TOKEN_ALREADY_ACCEPTED")
        kept.accepted_by = user_id
        self._cloud.tell_key(kept.key, bytes(types.UpdateShort(types.UpdateLoginToken(), self._cloud.date())))
        now = self._cloud.now()
        return self.describe(Authorization(0, kept.key, user_id, now, now, False, False), current=False)

    # What comes of it

    def describe(self, authorization: Authorization, *, current: bool) -> TL:
        key = self._world.key(authorization.key)
        device = key.device if key else {}
        return types.Authorization(
            # The hash of one's own authorization is 0. Source: https://core.telegram.org/constructor/authorization.
            hash=0 if current else authorization.hash,
            device_model=device.get("device_model", ""),
            platform="",
            system_version=device.get("system_version", ""),
            api_id=device.get("api_id", 0),
            app_name="",
            app_version=device.get("app_version", ""),
            date_created=self._cloud.date(authorization.created),
            date_active=self._cloud.date(authorization.active),
            ip="127.0.0.1",
            country="",
            region="",
            current=current or None,
            encrypted_requests_disabled=authorization.secrets_disabled or None,
            call_requests_disabled=authorization.calls_disabled or None,
        )

    def _first_step_done(self, key: int, user: User) -> TL:
        """The code or the QR was right; who has a password is asked for that, too."""
        if user.banned:
            raise RpcError(400, "PHONE_NUMBER_BANNED")
        if self._world.password(user.id) is None:
            return self._done(key, user)
        raise RememberedError(401, "SESSION_PASSWORD_NEEDED", lambda: self._world.change_key(key, pending_user=user.id))

    def _done(self, key: int, user: User) -> TL:
        self._world.authorize(key, user.id, self._cloud.now())
        return types.auth.Authorization(self._cloud.user(user.id, user))

    def _whose(self, key_id: int) -> int:
        authorization = self._world.authorization_of(key_id)
        if authorization:
            return authorization.user
        key = self._world.key(key_id)
        if key is None or key.pending_user is None:
            raise RpcError(401, "AUTH_KEY_UNREGISTERED")
        return key.pending_user


def _valid(phone: str) -> str:
    number = digits(phone)
    if not MIN_DIGITS <= len(number) <= MAX_DIGITS:
        raise RpcError(400, "PHONE_NUMBER_INVALID")
    return number

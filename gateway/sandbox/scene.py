"""What tests, the demo and HTTP control may do to the local Telegram, besides what its users do."""

from __future__ import annotations

import base64
import ipaddress
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from telethon import TelegramClient
from telethon.crypto import rsa
from telethon.sessions import StringSession

from gateway.sandbox.calls import PhoneCall
from gateway.sandbox.cloud import DC
from gateway.sandbox.faults import Fault, Faults
from gateway.sandbox.mtproto import AuthKey
from gateway.sandbox.robots import Robots
from gateway.sandbox.rpc import Telegram
from gateway.sandbox.settings import Settings
from gateway.sandbox.world import Authorization, Rules, User, digits

_T = TypeVar("_T")


class Scene:
    """The local Telegram, seen from outside.

    Attributes:
        telegram: The world and its subjects, for what has no method here.
        settings: May be changed at any time.
        faults: The rules of what goes wrong.
        robots: Telegram users played by the sandbox.
        key_file: The public RSA key, for clients.
        bot_api_url: Of the Bot API; for aiogram, `TelegramAPIServer.from_base(bot_api_url)`.
    """

    telegram: Telegram
    settings: Settings
    faults: Faults
    robots: Robots
    key_file: Path
    bot_api_url: str

    # Where it is

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect."""
        return self.telegram.address

    @property
    def server(self) -> str:
        """The same as "host:port"."""
        host, port = self.address
        return f"{host}:{port}"

    # Users

    def create_user(
        self,
        phone: str,
        first_name: str = "Ann",
        last_name: str = "",
        *,
        username: str | None = None,
        password: str | None = None,
        hint: str = "",
        email: str = "",
    ) -> User:
        """A person with a number, logged in nowhere. Raises `WorldError` when the number or name is taken.

        Args:
            password: Two-step verification; with an `email` it can be recovered.
        """

        def create() -> User:
            user = self.telegram.world.create_user(
                phone=phone, first_name=first_name, last_name=last_name, username=username
            )
            if password is not None:
                self.telegram.logins.set_password(user.id, password, hint=hint, email=email)
            return user

        return self.change(create)

    def create_bot(
        self, username: str, first_name: str = "Bot", *, inline: bool = False, inline_feedback: bool = False
    ) -> User:
        """A bot; its token is `bot_token`. Raises `WorldError` when the name is taken."""

        def create() -> User:
            bot = self.telegram.world.create_user(phone=None, first_name=first_name, username=username, bot=True)
            self.telegram.cloud.profiles.change(bot.id, inline=inline, inline_feedback=inline_feedback)
            return bot

        return self.change(create)

    def set_inline(self, bot: User, *, inline: bool, feedback: bool) -> None:
        """As /setinline and /setinlinefeedback at BotFather."""
        self.change(lambda: self.telegram.cloud.profiles.change(bot.id, inline=inline, inline_feedback=feedback))

    def user(self, phone: str) -> User:
        """Raises `KeyError` when nobody has this number."""
        found = self.telegram.world.find_user("phone", digits(phone))
        if found is None:
            raise KeyError(f"user with the number {phone}")
        return found

    def ban(self, user: User, *, banned: bool = True) -> None:
        self.change(lambda: self.telegram.world.change_user(user.id, banned=banned))

    def block(self, user: User, peer: User, *, blocked: bool = True) -> None:
        self.change(lambda: self.telegram.bots.block(user.id, peer.id, blocked=blocked))

    def set_privacy(self, user: User, key: str, rules: Rules) -> None:
        """As `account.setPrivacy`: `set_privacy(user, "PhoneCall", [("DisallowAll", [])])`."""
        self.change(lambda: self.telegram.world.set_privacy(user.id, key, rules))

    def add_contact(self, user: User, contact: User) -> None:
        """As if the user had the other one, with his number, in his phone book."""
        self.change(
            lambda: self.telegram.world.add_contact(
                user.id, contact.id, contact.first_name, contact.last_name, phone_known=True
            )
        )

    def send_message(self, sender: User, to: User, text: str) -> None:
        """As if the sender wrote it on a phone of his."""
        self.change(lambda: self.telegram.mailbox.post(sender.id, to.id, message=text))

    # Logins

    def login_code(self, phone: str) -> str:
        """The code that was sent to this number last. Raises `KeyError` when none was, or it is used up."""
        code = self.telegram.world.code(digits(phone))
        if code is None:
            raise KeyError(f"code for {phone}")
        return code.code

    def recovery_code(self, user: User) -> str:
        """The code in the last e-mail. Raises `KeyError` when none was sent."""
        password = self.telegram.world.password(user.id)
        if password is None or password.recovery_code is None:
            raise KeyError(f"recovery code of user {user.id}")
        return password.recovery_code

    def session(self, user: User, *, age_s: float = 0, device_model: str = "sandbox") -> str:
        """A `StringSession` that is logged in, without the way there.

        Args:
            age_s: How long ago; a day makes it old enough to change other logins.
        """

        def make() -> str:
            key = AuthKey.random()
            salt = int.from_bytes(os.urandom(8), "little", signed=True)
            self.telegram.world.add_key(key, salt)
            self.telegram.world.change_key(key.id, device={"device_model": device_model})
            self.telegram.world.authorize(key.id, user.id, self.telegram.cloud.now() - age_s)
            host, port = self.address
            packed = ipaddress.ip_address(host).packed
            data = struct.pack(f">B{len(packed)}sH256s", DC, packed, port, key.key)
            return "1" + base64.urlsafe_b64encode(data).decode()

        return self.change(make)

    def client(self, user: User | None = None, *, session: str | None = None, **options: Any) -> TelegramClient:
        """A Telethon client of this network, not yet connected: logged in as `user`, or fresh."""
        self.trust()
        text = session or (self.session(user) if user else None)
        kept = StringSession(text)
        if text is None:
            kept.set_dc(DC, *self.address)
        return TelegramClient(kept, 1, "0" * 32, **({"flood_sleep_threshold": 0} | options))

    def trust(self) -> None:
        """Let Telethon in this process know the sandbox's key."""
        rsa.add_key(self.key_file.read_bytes(), old=False)

    def authorizations(self, user: User) -> list[Authorization]:
        return self.telegram.world.authorizations("user", user.id)

    def revoke(self, authorization: Authorization) -> None:
        """End a login, as another device of the user could."""
        self.change(lambda: self.telegram.world.revoke(authorization.hash))

    # Calls and faults

    def calls(self) -> list[PhoneCall]:
        """All calls since the start, the oldest first."""
        return self.telegram.calls.all()

    def fault(self, method: str, **rule: Any) -> Fault:
        """Let requests fail: `fault("phone.requestCall", error="420 FLOOD_WAIT_30", times=1)`; see `Fault`."""
        fault = Fault(method=method, **rule)
        self.faults.add(fault)
        return fault

    def drop_connections(self, user: User | None = None) -> int:
        """Cut connections as a failing network would: one user's, or all."""
        keys = [authorization.key for authorization in self.authorizations(user)] if user else [None]
        doomed = [link for key in keys for link in self.telegram.cloud.links(key)]
        for link in doomed:
            link.drop()
        return len(doomed)

    def change(self, act: Callable[[], _T]) -> _T:
        """Do something in the world from outside, and tell whoever is to be told."""
        with self.telegram.cloud.change():
            result = act()
        self.telegram.cloud.flush()
        return result

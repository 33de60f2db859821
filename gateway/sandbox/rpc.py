"""How a request finds the function that answers it, and what that function is given."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from telethon.tl import types

from gateway.sandbox.bots import Bots
from gateway.sandbox.calls import PhoneCalls
from gateway.sandbox.cloud import Cloud, Link
from gateway.sandbox.files import Files
from gateway.sandbox.groups import Groups
from gateway.sandbox.logins import Logins
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpcerror import RpcError
from gateway.sandbox.settings import Settings
from gateway.sandbox.world import SERVICE_USER_ID, Authorization, User, World


class Telegram:
    """The local Telegram, by subject. Knows no sockets."""

    def __init__(self, world: World, settings: Settings) -> None:
        self.world = world
        self.settings = settings
        self.cloud = Cloud(world, settings)
        self.mailbox = Mailbox(self.cloud)
        self.logins = Logins(self.cloud, self.mailbox)
        self.calls = PhoneCalls(self.cloud, self.mailbox)
        self.files = Files(self.cloud)
        self.bots = Bots(self.cloud, self.mailbox)
        self.groups = Groups(self.cloud, self.mailbox)
        #: Where clients connect; known once the server listens.
        self.address = ("127.0.0.1", 0)

    def close(self) -> None:
        self.bots.close()
        self.calls.close()
        self.world.close()


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and whom to ask about it."""

    telegram: Telegram
    link: Link
    authorization: Authorization | None

    @property
    def cloud(self) -> Cloud:
        return self.telegram.cloud

    @property
    def world(self) -> World:
        return self.telegram.world

    @property
    def user_id(self) -> int:
        return self.device.user

    @property
    def device(self) -> Authorization:
        if self.authorization is None:
            raise RpcError(401, "AUTH_KEY_UNREGISTERED")
        return self.authorization

    def user(self, named: TL) -> User:
        """The user that an InputUser or InputPeer names, if who asks may know him. Raises `RpcError`."""
        match named:
            case types.InputUserSelf() | types.InputPeerSelf():
                return self.world.user(self.user_id)
            case types.InputUser() | types.InputPeerUser():
                found = self.world.find_user("id", named.user_id)
                if found and (found.id == SERVICE_USER_ID or named.access_hash == self._access_hash(found.id)):
                    return found
        raise RpcError(400, "USER_ID_INVALID" if "User" in type(named).__name__ else "PEER_ID_INVALID")

    def _access_hash(self, user_id: int) -> int:
        return self.world.access_hash(self.user_id, f"user {user_id}")


Handler = Callable[[Request, Any], Any]
_H = TypeVar("_H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API.

    Attributes:
        name: As in the API's documentation: "phone.requestCall".
        is_open: Whether one may ask who is not logged in.
    """

    name: str
    handler: Handler
    is_open: bool


METHODS: Final[dict[type, Method]] = {}


def method(request_type: type, *, is_open: bool = False) -> Callable[[_H], _H]:
    """The decorated function answers requests of this type: with a TL object, a bool, or a list of objects;
    or with a future of such an answer, when somebody else is to give it.
    """

    def register(handler: _H) -> _H:
        METHODS[request_type] = Method(method_name(request_type), handler, is_open)
        return handler

    return register


def method_name(request_type: type) -> str:
    bare = request_type.__name__.removesuffix("Request")
    space = request_type.__module__.rpartition(".")[2]
    prefix = "" if space == "functions" else f"{space}."
    return prefix + bare[0].lower() + bare[1:]


def serialise(result: Any) -> bytes:
    """Source: https://core.telegram.org/mtproto/serialize (Bool, Vector)."""
    if isinstance(result, bool):
        return struct.pack("<I", 0x997275B5 if result else 0xBC799737)
    if isinstance(result, list):
        return struct.pack("<II", 0x1CB5C415, len(result)) + b"".join(bytes(item) for item in result)
    return bytes(result)

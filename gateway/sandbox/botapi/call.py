"""One call of a method: who calls, with what, and the registry of methods."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway.sandbox.botapi.keyboards import inline_keyboard, keyboard
from gateway.sandbox.botapi.queue import Queue
from gateway.sandbox.botapi.refusal import bad
from gateway.sandbox.botapi.shown import Shown, file_named, inline_named
from gateway.sandbox.files import FileKind, StoredFile
from gateway.sandbox.mtproto import TL
from gateway.sandbox.profiles import Profile
from gateway.sandbox.rpc import Telegram
from gateway.sandbox.world import StoredMessage, User


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in the body of a request."""

    name: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A bot's call of a method.

    Attributes:
        arguments: As they came; those that are JSON are texts or parsed already.
        uploads: The files beside them, by name.
        queue: Of all bots' updates.
    """

    telegram: Telegram
    queue: Queue
    bot: User
    arguments: Mapping[str, Any]
    uploads: Mapping[str, Upload]

    # Arguments, each of a type. All raise `ApiError` for what is of another one.

    def text(self, name: str) -> str:
        return str(self.arguments.get(name) or "")

    def number(self, name: str, default: int = 0) -> int:
        given = self.arguments.get(name)
        try:
            return default if given in (None, "") else int(given)
        except (TypeError, ValueError):
            raise bad(f"can't parse {name}: an integer expected") from None

    def flag(self, name: str) -> bool:
        return str(self.arguments.get(name, "")).lower() in ("true", "yes", "1")

    def json(self, name: str, default: Any = None) -> Any:
        given = self.arguments.get(name)
        if given in (None, ""):
            return default
        try:
            return json.loads(given) if isinstance(given, str) else given
        except ValueError:
            raise bad(f"can't parse {name} JSON object") from None

    def parsed(self, *names: str) -> dict[str, Any]:
        """The arguments, those named read from JSON."""
        return dict(self.arguments) | {name: self.json(name) for name in names}

    # What they name

    @property
    def shown(self) -> Shown:
        return Shown(self.telegram, self.bot.id)

    @property
    def profile(self) -> Profile:
        return self.telegram.cloud.profiles.of(self.bot.id)

    def change_profile(self, **fields: Any) -> None:
        self.telegram.cloud.profiles.change(self.bot.id, **fields)

    def chat(self, name: str = "chat_id") -> User:
        """The user of a private chat, that the bot has met. Raises `ApiError`."""
        given = self.text(name)
        if not given:
            raise bad(f"{name} is empty")
        user = self.telegram.world.find_user("id", given)
        if user is None or not self.telegram.bots.knows(self.bot.id, user.id):
            raise bad("chat not found")
        return user

    def group(self) -> int | None:
        """The group that chat_id names; None when it names none. Raises `ApiError` where the bot is no member."""
        given = self.text("chat_id")
        if not given.startswith("-") or not given[1:].isdecimal():
            return None
        group = int(given[1:])
        if not self.telegram.groups.has(group, self.bot.id):
            raise bad("chat not found")
        return group

    def message(self, what: str) -> StoredMessage:
        """The bot's copy of the message that chat_id and message_id name. Raises `ApiError`."""
        chat, number = self.chat(), self.number("message_id")
        found = self.telegram.world.messages("owner = ? AND peer = ? AND id = ?", self.bot.id, chat.id, number)
        if not found:
            raise bad(f"{what} not found")
        return found[0]

    def inline_message(self) -> StoredMessage | None:
        """The sender's copy of the message that inline_message_id names; None when it names none.

        Raises:
            ApiError, RpcError: There is no such message.
        """
        given = self.text("inline_message_id")
        if not given:
            if not self.text("chat_id") and not self.number("message_id"):
                raise bad("message identifier is not specified")
            return None
        return self.telegram.bots.inline_message(self.bot.id, inline_named(given))

    def keyboard(self) -> TL:
        return keyboard(self.json("reply_markup"))

    def inline_keyboard(self) -> TL:
        return inline_keyboard(self.json("reply_markup"))

    def file(self, kind: FileKind, given: str, upload_name: str) -> StoredFile:
        """A file that is in this request, or was sent before. Raises `ApiError`, `RpcError`.

        Args:
            given: The argument: a file id, or "attach://…".
            upload_name: The file of this name is meant when there is no argument.
        """
        upload = self.uploads.get(given.removeprefix("attach://") if given.startswith("attach://") else upload_name)
        if upload:
            mime = upload.mime
            if mime == "application/octet-stream":
                mime = mimetypes.guess_type(upload.name)[0] or mime
            return self.telegram.files.keep(kind, upload.data, name=upload.name, mime=mime)
        if not given:
            raise bad(f"there is no {kind} in the request")
        return self.telegram.files.find(*file_named(given))


Handler = Callable[[Call], Any]
_H = TypeVar("_H", bound=Handler)

#: By their names in lower case, which is how they are found: the real name and the handler.
METHODS: Final[dict[str, tuple[str, Handler]]] = {}


def api(*names: str) -> Callable[[_H], _H]:
    """The decorated function answers methods of these names, with JSON.

    It is one change of the world; but for a coroutine function, which may wait.
    """

    def register(handler: _H) -> _H:
        for name in names:
            METHODS[name.lower()] = (name, handler)
        return handler

    return register

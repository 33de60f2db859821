"""Users, messages and updates as JSON, as one bot sees them.

Source: https://core.telegram.org/bots/api#available-types.
"""

from __future__ import annotations

import base64
import struct
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.botapi.formatting import commands_in, entity_json
from gateway.sandbox.botapi.keyboards import keyboard_json
from gateway.sandbox.botapi.refusal import bad
from gateway.sandbox.cloud import DC
from gateway.sandbox.files import FileKind
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import Telegram
from gateway.sandbox.world import User

JSON = dict[str, Any]

KINDS: Final = (FileKind.PHOTO, FileKind.DOCUMENT)
FILE_ID: Final = struct.Struct("<Bqq")
INLINE_ID: Final = struct.Struct("<iqiq")


def _packed(form: struct.Struct, *values: int) -> str:
    return base64.urlsafe_b64encode(form.pack(*values)).decode().rstrip("=")


def _unpacked(form: struct.Struct, text: str) -> tuple[int, ...] | None:
    try:
        return form.unpack(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, struct.error):
        return None


def file_id(kind: FileKind, number: int, access_hash: int) -> str:
    return _packed(FILE_ID, KINDS.index(kind), number, access_hash)


def file_named(text: str) -> tuple[int, int]:
    """The id and the access hash in a file id. Raises `ApiError`."""
    found = _unpacked(FILE_ID, text)
    if found is None:
        raise bad("wrong file identifier/HTTP URL specified")
    return found[1], found[2]


def inline_id(named: TL) -> str:
    return _packed(INLINE_ID, named.dc_id, named.owner_id, named.id, named.access_hash)


def inline_named(text: str) -> TL:
    """Raises `ApiError`."""
    found = _unpacked(INLINE_ID, text)
    if found is None or found[0] != DC:
        raise bad("invalid inline message identifier specified")
    return types.InputBotInlineMessageID64(*found)


class Shown:
    """What one bot is shown."""

    def __init__(self, telegram: Telegram, bot: int) -> None:
        self._telegram = telegram
        self._world = telegram.world
        self._bot = bot

    def user(self, user_id: int) -> JSON:
        user = self._world.user(user_id)
        language = self._language(user)
        return {"id": user.id, "is_bot": user.is_bot, **_names(user)} | (
            {"language_code": language} if language else {}
        )

    def _language(self, user: User) -> str:
        """As the device said on which the user was last."""
        logins = sorted(self._world.authorizations("user", user.id), key=lambda login: login.active)
        keys = [self._world.key(login.key) for login in logins]
        return next((key.device["lang_code"] for key in reversed(keys) if key and key.device.get("lang_code")), "")

    def chat(self, user_id: int) -> JSON:
        user = self._world.user(user_id)
        return {"id": user.id, "type": "private", **_names(user)}

    def group(self, group: int) -> JSON:
        return {"id": -group, "type": "group", "title": self._telegram.groups.title(group)}

    def message(self, message: TL, *, with_replied: bool = True) -> JSON:
        """A message of the bot's own mailbox, with the one that it answers, but not the one that that one did."""
        peer = message.peer_id
        author = message.from_id.user_id if message.from_id else self._bot if message.out else peer.user_id
        shown: JSON = {
            "message_id": message.id,
            "from": self.user(author),
            "chat": self.group(peer.chat_id) if isinstance(peer, types.PeerChat) else self.chat(peer.user_id),
            "date": int(message.date.timestamp()),
        }
        if isinstance(message, types.MessageService):
            return shown | self._event(message.action)
        if message.edit_date:
            shown["edit_date"] = int(message.edit_date.timestamp())
        if message.fwd_from:
            shown["forward_origin"] = self._origin(message.fwd_from)
        if message.via_bot_id:
            shown["via_bot"] = self.user(message.via_bot_id)
        if message.reply_to and with_replied:
            number = message.reply_to.reply_to_msg_id
            for replied in self._world.messages("owner = ? AND id = ?", self._bot, number):
                shown["reply_to_message"] = self.message(replied.message, with_replied=False)
        shown |= self._content(message)
        markup = keyboard_json(message.reply_markup)
        return shown | ({"reply_markup": markup} if markup else {})

    def _origin(self, header: TL) -> JSON:
        date = int(header.date.timestamp())
        if header.from_id is None:
            return {"type": "hidden_user", "date": date, "sender_user_name": header.from_name}
        return {"type": "user", "date": date, "sender_user": self.user(header.from_id.user_id)}

    def _event(self, action: TL) -> JSON:
        """What a service message tells of."""
        match action:
            case types.MessageActionChatCreate():
                return {"group_chat_created": True}
            case types.MessageActionChatAddUser():
                return {"new_chat_members": [self.user(user) for user in action.users]}
        return {}

    def _content(self, message: TL) -> JSON:
        shown = self._media(message.media) if message.media else {}
        found = list(message.entities or [])
        if not message.out and not any(isinstance(entity, types.MessageEntityBotCommand) for entity in found):
            found += commands_in(message.message)
        entities = [shown_entity for entity in found if (shown_entity := entity_json(entity, self.user))]
        text, marks = ("caption", "caption_entities") if shown else ("text", "entities")
        if message.message:
            shown |= {text: message.message} | ({marks: entities} if entities else {})
        return shown

    def _media(self, media: TL) -> JSON:
        match media:
            case types.MessageMediaPhoto(photo=photo):
                return {"photo": [self._file(FileKind.PHOTO, photo, photo.sizes[-1])]}
            case types.MessageMediaDocument(document=document):
                return {"document": self._file(FileKind.DOCUMENT, document, document)}
            case types.MessageMediaContact():
                person = {"user_id": media.user_id} if media.user_id else {}
                return {
                    "contact": {
                        "phone_number": media.phone_number,
                        "first_name": media.first_name,
                        "last_name": media.last_name,
                        **person,
                    }
                }
        return {}

    def _file(self, kind: FileKind, file: TL, sized: TL) -> JSON:
        kept = self._telegram.files.find(file.id, file.access_hash)
        shown: JSON = {
            "file_id": file_id(kind, file.id, file.access_hash),
            "file_unique_id": _packed(struct.Struct("<q"), file.id),
            "file_size": sized.size,
        }
        if kind is FileKind.PHOTO:
            return shown | {"width": kept.width, "height": kept.height}
        return shown | {"file_name": kept.name, "mime_type": kept.mime}

    # Updates

    def update(self, update: TL) -> tuple[str, JSON] | None:
        """What the bot is told: of which kind, and what. None for what bots are not told."""
        match update:
            case types.UpdateNewMessage(message=types.Message() as message) if not message.out:
                return "message", self.message(message)
            case types.UpdateNewMessage(message=types.MessageService(peer_id=types.PeerChat()) as message):
                return "message", self.message(message)
            case types.UpdateChatParticipant():
                return "my_chat_member", self._joined(update)
            case types.UpdateEditMessage(message=types.Message() as message) if not message.out:
                return "edited_message", self.message(message)
            case types.UpdateBotCallbackQuery():
                return "callback_query", self._press(update) | {"message": self._pressed(update)}
            case types.UpdateInlineBotCallbackQuery():
                return "callback_query", self._press(update) | {"inline_message_id": inline_id(update.msg_id)}
            case types.UpdateBotInlineQuery():
                return "inline_query", self._inline_query(update)
            case types.UpdateBotInlineSend():
                return "chosen_inline_result", self._chosen(update)
            case types.UpdateBotStopped():
                return "my_chat_member", self._stopped(update)
        return None

    def _press(self, update: TL) -> JSON:
        return {
            "id": str(update.query_id),
            "from": self.user(update.user_id),
            "chat_instance": str(update.chat_instance),
            "data": update.data.decode(errors="replace"),
        }

    def _pressed(self, update: TL) -> JSON:
        (copy,) = self._world.messages("owner = ? AND id = ?", self._bot, update.msg_id)
        return self.message(copy.message)

    def _inline_query(self, update: TL) -> JSON:
        chat_type = {
            types.InlineQueryPeerTypeSameBotPM: {"chat_type": "sender"},
            types.InlineQueryPeerTypePM: {"chat_type": "private"},
        }.get(type(update.peer_type), {})
        return {
            "id": str(update.query_id),
            "from": self.user(update.user_id),
            "query": update.query,
            "offset": update.offset,
            **chat_type,
        }

    def _chosen(self, update: TL) -> JSON:
        named = {"inline_message_id": inline_id(update.msg_id)} if update.msg_id else {}
        return {"result_id": update.id, "from": self.user(update.user_id), "query": update.query, **named}

    def _joined(self, update: TL) -> JSON:
        bot = self.user(self._bot)
        return {
            "chat": self.group(update.chat_id),
            "from": self.user(update.actor_id),
            "date": int(update.date.timestamp()),
            "old_chat_member": {"user": bot, "status": "left"},
            "new_chat_member": {"user": bot, "status": "member"},
        }

    def _stopped(self, update: TL) -> JSON:
        bot = self.user(self._bot)
        member, kicked = {"user": bot, "status": "member"}, {"user": bot, "status": "kicked", "until_date": 0}
        before, after = (member, kicked) if update.stopped else (kicked, member)
        return {
            "chat": self.chat(update.user_id),
            "from": self.user(update.user_id),
            "date": int(update.date.timestamp()),
            "old_chat_member": before,
            "new_chat_member": after,
        }


def _names(user: User) -> JSON:
    optional = {"last_name": user.last_name, "username": user.username}
    return {"first_name": user.first_name, **{name: value for name, value in optional.items() if value}}

"""Sending, editing and deleting. Source: https://core.telegram.org/bots/api#available-methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.botapi.call import Call, api
from gateway.sandbox.botapi.formatting import formatted
from gateway.sandbox.botapi.refusal import bad
from gateway.sandbox.botapi.shown import JSON, file_id, file_named
from gateway.sandbox.files import FileKind
from gateway.sandbox.methods.messages import MAX_CAPTION_LENGTH, MAX_LENGTH
from gateway.sandbox.mtproto import TL
from gateway.sandbox.world import StoredMessage, User

#: Source: https://core.telegram.org/bots/api#deletemessage.
DELETABLE_S: Final = 48 * 3600
MAX_DELETED: Final = 100
#: Source: https://core.telegram.org/bots/api#getfile.
MAX_DOWNLOAD_BYTES: Final = 20 * 2**20
ACTIONS: Final[Mapping[str, TL]] = {
    "typing": types.SendMessageTypingAction(),
    "upload_photo": types.SendMessageUploadPhotoAction(0),
    "upload_document": types.SendMessageUploadDocumentAction(0),
}


@api("sendMessage")
def send_message(call: Call) -> JSON:
    return _send(call, *_text(call.parsed("entities")), media=None)


@api("sendPhoto")
def send_photo(call: Call) -> JSON:
    kept = call.file(FileKind.PHOTO, call.text("photo"), "photo")
    return _send(call, *_caption(call.parsed("caption_entities")), media=call.telegram.files.media(kept))


@api("sendDocument")
def send_document(call: Call) -> JSON:
    kept = call.file(FileKind.DOCUMENT, call.text("document"), "document")
    return _send(call, *_caption(call.parsed("caption_entities")), media=call.telegram.files.media(kept))


def _text(given: Mapping[str, Any]) -> tuple[str, list[TL]]:
    text, entities = formatted(given)
    if not text:
        raise bad("text must be non-empty" if given.get("text") else "message text is empty")
    if len(text) > MAX_LENGTH:
        raise bad("message is too long")
    return text, entities


def _caption(given: Mapping[str, Any]) -> tuple[str, list[TL]]:
    text, entities = formatted(given, "caption", "caption_entities")
    if len(text) > MAX_CAPTION_LENGTH:
        raise bad("message caption is too long")
    return text, entities


def _send(call: Call, text: str, entities: list[TL], *, media: TL) -> JSON:
    if (group := call.group()) is not None:
        content = {"message": text, "entities": entities or None, "media": media, "reply_markup": call.keyboard()}
        return call.shown.message(call.telegram.groups.post(call.bot.id, group, **content).message)
    user = call.chat()
    posted = call.telegram.bots.post(
        call.bot.id,
        user,
        message=text,
        entities=entities or None,
        media=media,
        reply_to=_replied(call, user),
        reply_markup=call.keyboard(),
        silent=call.flag("disable_notification") or None,
        noforwards=call.flag("protect_content") or None,
    )
    return call.shown.message(posted.message)


def _replied(call: Call, user: User) -> int | None:
    """The message that the new one is to answer. Raises `ApiError` when it is not there and has to be."""
    parameters = call.json("reply_parameters", {})
    number = int(parameters.get("message_id") or call.number("reply_to_message_id"))
    if not number:
        return None
    if call.telegram.world.messages("owner = ? AND peer = ? AND id = ?", call.bot.id, user.id, number):
        return number
    if parameters.get("allow_sending_without_reply") or call.flag("allow_sending_without_reply"):
        return None
    raise bad("message to be replied not found")


# Editing


@api("editMessageText")
def edit_message_text(call: Call) -> JSON | bool:
    text, entities = _text(call.parsed("entities"))
    return _edit(call, message=text, entities=entities or None)


@api("editMessageCaption")
def edit_message_caption(call: Call) -> JSON | bool:
    text, entities = _caption(call.parsed("caption_entities"))
    return _edit(call, wants_media=True, message=text, entities=entities or None)


@api("editMessageReplyMarkup")
def edit_message_reply_markup(call: Call) -> JSON | bool:
    return _edit(call, wants_media=None)


@api("editMessageMedia")
def edit_message_media(call: Call) -> JSON | bool:
    given = call.json("media") or {}
    kinds = {kind.value: kind for kind in FileKind}
    if given.get("type") not in kinds:
        raise bad("can't parse InputMedia: media of this type is not in the sandbox")
    kept = call.file(kinds[given["type"]], given.get("media") or "", "media")
    text, entities = _caption(given)
    return _edit(call, wants_media=None, message=text, entities=entities or None, media=call.telegram.files.media(kept))


def _edit(call: Call, *, wants_media: bool | None = False, **content: Any) -> JSON | bool:
    """Change a message of the bot, or one that a user sent through it; without a keyboard it loses its own.

    Args:
        wants_media: Whether it must have a photo or document, or must not; None: as may be.
    """
    markup = call.inline_keyboard()
    inline = call.inline_message()
    message = inline or call.message("message to edit")
    if inline is None and not message.outgoing:
        raise bad("message can't be edited")
    if wants_media is not None and wants_media != (message.message.media is not None):
        raise bad(f"there is no {'caption' if wants_media else 'text'} in the message to edit")
    edited = call.telegram.bots.edit(message, reply_markup=markup, **content)
    return True if inline else call.shown.message(edited)


# Deleting


@api("deleteMessage")
def delete_message(call: Call) -> bool:
    _delete(call, [call.message("message to delete")])
    return True


@api("deleteMessages")
def delete_messages(call: Call) -> bool:
    numbers = call.json("message_ids", [])
    if not 0 < len(numbers) <= MAX_DELETED:
        raise bad("message identifiers are not specified" if not numbers else "too many message identifiers specified")
    chat = call.chat()
    mine = call.telegram.world.messages("owner = ? AND peer = ?", call.bot.id, chat.id)
    _delete(call, [copy for copy in mine if copy.id in set(map(int, numbers))])
    return True


def _delete(call: Call, doomed: list[StoredMessage]) -> None:
    oldest = call.telegram.cloud.now() - DELETABLE_S
    if any(copy.date < oldest for copy in doomed):
        raise bad("message can't be deleted for everyone")
    call.telegram.mailbox.delete(call.bot.id, [copy.id for copy in doomed], revoke=True)


# Chats and files


@api("sendChatAction")
def send_chat_action(call: Call) -> bool:
    user = call.chat()
    if call.text("action") not in ACTIONS:
        raise bad("wrong parameter action in request")
    call.telegram.bots.admit(call.bot.id, user)
    action = types.UpdateUserTyping(call.bot.id, ACTIONS[call.text("action")])
    call.telegram.cloud.tell(user.id, [action], {call.bot.id})
    return True


@api("getChat")
def get_chat(call: Call) -> JSON:
    nothing = {
        "unlimited_gifts": False,
        "limited_gifts": False,
        "unique_gifts": False,
        "premium_subscription": False,
        "gifts_from_channels": False,
    }
    user = call.chat()
    more = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": nothing}
    return call.shown.chat(user.id) | more | ({"active_usernames": [user.username]} if user.username else {})


@api("getFile")
def get_file(call: Call) -> JSON:
    kept = call.telegram.files.find(*file_named(call.text("file_id")))
    if len(kept.data) > MAX_DOWNLOAD_BYTES:
        raise bad("file is too big")
    named = file_id(kept.kind, kept.id, kept.access_hash)
    return {
        "file_id": named,
        "file_unique_id": str(kept.id),
        "file_size": len(kept.data),
        "file_path": f"{kept.kind}s/{named}{kept.extension}",
    }

"""Keyboards under messages, from the Bot API's JSON and back.

Source: https://core.telegram.org/bots/api#inlinekeyboardmarkup, …#replykeyboardmarkup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.botapi.refusal import bad
from gateway.sandbox.bots import MAX_DATA_BYTES
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpcerror import RpcError

#: Source: https://core.telegram.org/bots/api#copytextbutton.
MAX_COPIED: Final = 256
#: Telegram's own number is not published; this is what bots meet.
MAX_BUTTONS: Final = 100
URL: Final = re.compile(r"(?:(?:https?|ton)://)?[^\s/?#]+\.[^\s/?#]{2,}(?:[/?#]\S*)?|tg://\S+", re.IGNORECASE)
STYLES: Final = ("primary", "danger", "success")


def keyboard(given: Any) -> TL:
    """The `reply_markup` of a message; None when there is none. Raises `ApiError`, `RpcError`."""
    if given in (None, ""):
        return None
    if not isinstance(given, Mapping):
        raise bad("object expected as reply markup")
    selective = bool(given.get("selective")) or None
    if given.get("keyboard"):
        return types.ReplyKeyboardMarkup(
            [types.KeyboardButtonRow([_reply_button(button) for button in row]) for row in given["keyboard"]],
            resize=bool(given.get("resize_keyboard")) or None,
            single_use=bool(given.get("one_time_keyboard")) or None,
            persistent=bool(given.get("is_persistent")) or None,
            selective=selective,
            placeholder=given.get("input_field_placeholder") or None,
        )
    if given.get("remove_keyboard"):
        return types.ReplyKeyboardHide(selective=selective)
    if given.get("force_reply"):
        return types.ReplyKeyboardForceReply(
            selective=selective, placeholder=given.get("input_field_placeholder") or None
        )
    return inline_keyboard(given)


def inline_keyboard(given: Any) -> TL:
    """The same where only an inline keyboard may stand: with edits, and under inline results."""
    if given in (None, ""):
        return None
    if not isinstance(given, Mapping):
        raise bad("object expected as reply markup")
    if "inline_keyboard" not in given:
        raise bad("inline keyboard expected")
    rows = given["inline_keyboard"]
    if not all(isinstance(row, list) for row in rows):
        raise bad('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    if sum(len(row) for row in rows) > MAX_BUTTONS:
        raise RpcError(400, "REPLY_MARKUP_TOO_LONG")
    made = [types.KeyboardInlineButtonRow([_inline_button(button) for button in row]) for row in rows if row]
    return types.ReplyInlineMarkup(made) if made else None


def _inline_button(given: Any) -> TL:
    unparsed = "can't parse inline keyboard button: "
    if not isinstance(given, Mapping):
        raise bad(unparsed + "InlineKeyboardButton must be an Object")
    if "text" not in given:
        raise bad(unparsed + 'Can\'t find field "text"')
    if not given["text"].strip():
        raise bad("inline keyboard button text must be non-empty")
    kind = _inline_kind(given)
    if kind is None:
        raise bad(unparsed + "Text buttons are unallowed in the inline keyboard")
    return types.KeyboardInlineButton(given["text"], kind, _style(given))


def _inline_kind(given: Mapping[str, Any]) -> TL:
    """What a button does, by the first of its fields that says so; None when none does."""
    match given:
        case {"url": str(url)} if url:
            if not URL.fullmatch(url):
                raise bad(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
            return types.InlineButtonTypeUrl(url)
        case {"callback_data": str(data)} if data:
            if len(data.encode()) > MAX_DATA_BYTES:
                raise RpcError(400, "BUTTON_DATA_INVALID")
            return types.InlineButtonTypeCallback(data.encode())
        case {"switch_inline_query": str(query)}:
            return types.InlineButtonTypeSwitchInline(query)
        case {"switch_inline_query_current_chat": str(query)}:
            return types.InlineButtonTypeSwitchInline(query, same_peer=True)
        case {"web_app": {"url": str(url)}}:
            return types.InlineButtonTypeWebView(url)
        case {"copy_text": {"text": str(text)}}:
            if not 0 < len(text) <= MAX_COPIED:
                raise RpcError(400, "BUTTON_COPY_TEXT_INVALID")
            return types.InlineButtonTypeCopy(text)
    return None


def _reply_button(given: Any) -> TL:
    button: Mapping[str, Any] = {"text": given} if isinstance(given, str) else given
    if not button.get("text"):
        raise bad("keyboard button text must be non-empty")
    if button.get("request_contact"):
        kind = types.ButtonTypeRequestPhone()
    elif button.get("web_app"):
        kind = types.ButtonTypeSimpleWebView(button["web_app"]["url"])
    else:
        kind = types.ButtonTypeDefault()
    return types.KeyboardButton(button["text"], kind, _style(button))


def _style(given: Mapping[str, Any]) -> TL:
    name, icon = given.get("style"), given.get("icon_custom_emoji_id")
    if name and name not in STYLES:
        raise bad("can't parse inline keyboard button: invalid button style specified")
    if not name and not icon:
        return None
    return types.KeyboardButtonStyle(icon=int(icon) if icon else None, **({f"bg_{name}": True} if name else {}))


def keyboard_json(markup: TL) -> dict[str, Any] | None:
    """An inline keyboard; bots are shown no others."""
    if not isinstance(markup, types.ReplyInlineMarkup):
        return None
    return {"inline_keyboard": [[_button_json(button) for button in row.buttons] for row in markup.rows]}


def _button_json(button: TL) -> dict[str, Any]:
    shown: dict[str, Any] = {"text": button.text}
    match button.type:
        case types.InlineButtonTypeCallback() as kind:
            shown["callback_data"] = kind.data.decode()
        case types.InlineButtonTypeUrl() as kind:
            shown["url"] = kind.url
        case types.InlineButtonTypeSwitchInline() as kind:
            shown["switch_inline_query_current_chat" if kind.same_peer else "switch_inline_query"] = kind.query
        case types.InlineButtonTypeWebView() as kind:
            shown["web_app"] = {"url": kind.url}
        case types.InlineButtonTypeCopy() as kind:
            shown["copy_text"] = {"text": kind.copy_text}
    if button.style:
        for name in STYLES:
            if getattr(button.style, f"bg_{name}"):
                shown["style"] = name
        if button.style.icon:
            shown["icon_custom_emoji_id"] = str(button.style.icon)
    return shown

"""Answers to presses and to inline queries. Source: https://core.telegram.org/bots/api#inline-mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.botapi.call import Call, api
from gateway.sandbox.botapi.formatting import formatted
from gateway.sandbox.botapi.keyboards import inline_keyboard
from gateway.sandbox.botapi.refusal import bad
from gateway.sandbox.methods.messages import MAX_LENGTH
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpcerror import RpcError

#: Source: https://core.telegram.org/bots/api#answercallbackquery (text).
MAX_ANSWER: Final = 200
#: Source: https://core.telegram.org/bots/api#inlinequeryresultarticle (id).
MAX_RESULT_ID_BYTES: Final = 64
#: Source: https://core.telegram.org/bots/api#answerinlinequery (cache_time, when there is none).
CACHE_S: Final = 300


@api("answerCallbackQuery")
def answer_callback_query(call: Call) -> bool:
    text, url = call.text("text"), call.text("url")
    if len(text) > MAX_ANSWER:
        raise RpcError(400, "MESSAGE_TOO_LONG")
    answer = types.messages.BotCallbackAnswer(
        call.number("cache_time"),
        alert=call.flag("show_alert") or None,
        has_url=bool(url) or None,
        message=text or None,
        url=url or None,
    )
    call.telegram.bots.answer_press(call.bot.id, call.number("callback_query_id"), answer)
    return True


@api("answerInlineQuery")
def answer_inline_query(call: Call) -> bool:
    call.telegram.bots.answer_query(
        call.bot.id,
        call.number("inline_query_id"),
        [_result(given) for given in call.json("results", [])],
        cache_s=call.number("cache_time", CACHE_S),
        personal=call.flag("is_personal"),
        next_offset=call.text("next_offset"),
    )
    return True


def _result(given: Mapping[str, Any]) -> TL:
    unparsed = "can't parse inline query result: "
    if given.get("type") != "article":
        raise bad(f"{unparsed}results of type {given.get('type')!r} are not in the sandbox")
    content = given.get("input_message_content") or {}
    if "message_text" not in content:
        raise bad(f"{unparsed}message content is not specified")
    if not given.get("title"):
        raise RpcError(400, "ARTICLE_TITLE_EMPTY")
    if not 0 < len(str(given.get("id") or "").encode()) <= MAX_RESULT_ID_BYTES:
        raise RpcError(400, "RESULT_ID_INVALID")
    text, entities = formatted(content, "message_text")
    if not text:
        raise bad(f"{unparsed}message text is empty")
    if len(text) > MAX_LENGTH:
        raise RpcError(400, "MESSAGE_TOO_LONG")
    message = types.BotInlineMessageText(
        text, entities=entities or None, reply_markup=inline_keyboard(given.get("reply_markup"))
    )
    return types.BotInlineResult(
        str(given["id"]), "article", message, title=given["title"], description=given.get("description") or None
    )

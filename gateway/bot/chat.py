"""How a session account behaves in its chats (T1-T3): switches, and the texts behind them."""

from __future__ import annotations

from typing import Final

from aiogram import F, Router
from aiogram.types import Message

from gateway.bot.card import to_session
from gateway.bot.data import ChatAsk, ChatAsks, ChatSet, SessionAct, SessionDo
from gateway.bot.line_fields import complaint
from gateway.bot.screen import Button, Screen, button, cut
from gateway.bot.sessions import title
from gateway.bot.visit import Visit
from gateway.bot.words import joined
from gateway.control.door import ChatSettings, UseCases
from gateway.errors import GatewayError

router = Router(name="chat")

#: In the order of the screen; those of `_PROCESSING` do nothing while "messages" is off.
_SWITCHES: Final = (("keypad_in", "keypad_out"), ("redial", "lines"), ("messages",))
_PROCESSING: Final = ("callback", "inline", "autoreply")
_TEXTS: Final = ("inline_bot", "inline_query", "autoreply_text")
#: A switch that can't be on without a text: turning it on asks for that first.
_NEEDS: Final = {"inline": "inline_bot", "autoreply": "autoreply_text"}
_SHOWN_MAX: Final = 600


def chat_screen(visit: Visit, house: UseCases, account_id: int) -> Screen:
    words = visit.words
    view = house.accounts.show(visit.asker, account_id)
    chat = view.chat

    def switch(name: str) -> Button:
        is_on = getattr(chat, name)
        label = f"{'✅' if is_on else '⬜️'} {words.label(f'chat-{name}')}"
        if not is_on and name in _NEEDS and not getattr(chat, _NEEDS[name]):
            return button(label, ChatAsk(id=account_id, field=_NEEDS[name]))
        return button(label, ChatSet(id=account_id, field=name, value="off" if is_on else "on"))

    def text(name: str) -> Button:
        value = getattr(chat, name) or words.label("none")
        label = words.label("field-is", field=words.label(f"chat-{name}"), value=value)
        return button(label, ChatAsk(id=account_id, field=name))

    processing = [[switch("callback")], [switch("inline"), text("inline_bot")], [text("inline_query")]]
    processing += [[switch("autoreply"), text("autoreply_text")]]
    return Screen(
        joined(words("chat-title", name=title(view)), words("chat-help")),
        [
            *([switch(name) for name in row] for row in _SWITCHES),
            *(processing if chat.messages else []),
            [to_session(words, account_id)],
        ],
    )


@router.callback_query(SessionDo.filter(F.act == SessionAct.CHAT))
async def show(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    return chat_screen(visit, house, callback_data.id)


@router.callback_query(ChatSet.filter())
async def set_switch(_event: object, visit: Visit, house: UseCases, callback_data: ChatSet) -> Screen:
    fields = {callback_data.field: callback_data.value}
    if not callback_data.value and (switch := _switch_of(callback_data.field)):
        fields[switch] = "off"  # without its text it can't be on
    await house.accounts.set_chat(visit.asker, callback_data.id, fields)
    return chat_screen(visit, house, callback_data.id)


@router.callback_query(ChatAsk.filter(F.field.in_(_TEXTS)))
async def ask(_event: object, visit: Visit, house: UseCases, callback_data: ChatAsk) -> Screen:
    view = house.accounts.show(visit.asker, callback_data.id)
    return _ask(visit, view.account.id, view.chat, callback_data.field)


@router.message(ChatAsks.TEXT, F.text)
async def take(message: Message, visit: Visit, house: UseCases) -> Screen:
    data = await visit.recall()
    await visit.swallow()
    view = house.accounts.show(visit.asker, int(data["session"]))
    field = data["field"]
    fields = {field: message.text or ""}
    if (switch := _switch_of(field)) and not getattr(view.chat, field):
        fields[switch] = "on"  # that is what it was asked for
    try:
        await house.accounts.set_chat(visit.asker, view.account.id, fields)
    except GatewayError as error:
        return _ask(visit, view.account.id, view.chat, field, complaint(visit.words, error))
    return chat_screen(visit, house, view.account.id)


def _ask(visit: Visit, account_id: int, chat: ChatSettings, field: str, wrong: str = "") -> Screen:
    visit.ask(ChatAsks.TEXT, session=account_id, field=field)
    words = visit.words
    value = getattr(chat, field)
    clear = button(words.label("field-clear"), ChatSet(id=account_id, field=field, value=""))
    return Screen(
        joined(
            wrong,
            words("field-asked", field=words.label(f"chat-{field}")),
            words("field-now", value=cut(value, _SHOWN_MAX)) if value else "",
            words(f"chat-{field}-help"),
        ),
        [
            [clear] if value and _switch_of(field) else [],
            [button(words.label("cancel"), SessionDo(id=account_id, act=SessionAct.CHAT))],
        ],
    )


def _switch_of(field: str) -> str:
    return next((switch for switch, needed in _NEEDS.items() if needed == field), "")

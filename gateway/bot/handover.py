"""Giving a session to another administrator, who must accept it; and giving it up (C6)."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.types import Message, MessageOriginUser

from gateway.bot.card import show_card, to_session
from gateway.bot.data import HandoverAct, HandoverDo, Place, SessionAct, SessionAsks, SessionDo, To
from gateway.bot.line_fields import complaint
from gateway.bot.screen import Button, Screen, button
from gateway.bot.sessions import sessions_screen, title, to_sessions
from gateway.bot.start import to_home
from gateway.bot.visit import Visit
from gateway.bot.words import Words, joined
from gateway.control.door import AccountView, NotFoundError, UseCases
from gateway.errors import GatewayError

router = Router(name="handover")


def _do(visit: Visit, key: str, account_id: int, act: HandoverAct) -> Button:
    return button(visit.words.label(key), HandoverDo(id=account_id, act=act))


@router.callback_query(SessionDo.filter(F.act == SessionAct.HANDOVER))
async def show(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    view = house.accounts.show(visit.asker, callback_data.id)
    words, account_id = visit.words, view.account.id
    if view.handover is not None:
        return Screen(
            words("handover-waits", name=title(view), id=str(view.handover.to_id)),
            [[_do(visit, "handover-withdraw", account_id, HandoverAct.WITHDRAW)], [to_session(words, account_id)]],
        )
    return _ask(visit, view)


def _ask(visit: Visit, view: AccountView, wrong: str = "") -> Screen:
    visit.ask(SessionAsks.HANDOVER, session=view.account.id)
    words, account_id = visit.words, view.account.id
    return Screen(
        joined(wrong, words("handover-ask", name=title(view))),
        [[_do(visit, "handover-give-up", account_id, HandoverAct.GIVE_UP)], [to_session(words, account_id)]],
    )


@router.message(SessionAsks.HANDOVER)
async def take(message: Message, visit: Visit, house: UseCases) -> Screen:
    """His id, his contact, or a message of his that was forwarded."""
    data = await visit.recall()
    await visit.swallow()
    view = house.accounts.show(visit.asker, int(data["session"]))
    to_id = _whom(message)
    if to_id is None:
        return _ask(visit, view, visit.words("complaint", what=visit.words.label("handover-nobody")))
    try:
        view = await house.handovers.offer(visit.asker, view.account.id, to_id)
    except GatewayError as error:
        return _ask(visit, view, complaint(visit.words, error))
    visit.say(visit.words.label("handover-offered"))
    return show_card(visit, house, view.account.id)


def _whom(message: Message) -> int | None:
    if message.contact is not None:
        return message.contact.user_id
    if isinstance(message.forward_origin, MessageOriginUser):
        return message.forward_origin.sender_user.id
    text = (message.text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else None


@router.callback_query(HandoverDo.filter(F.act == HandoverAct.WITHDRAW))
async def withdraw(_event: object, visit: Visit, house: UseCases, callback_data: HandoverDo) -> Screen:
    await house.handovers.withdraw(visit.asker, callback_data.id)
    visit.say(visit.words.label("handover-withdrawn"))
    return show_card(visit, house, callback_data.id)


@router.callback_query(HandoverDo.filter(F.act == HandoverAct.GIVE_UP))
async def ask_give_up(_event: object, visit: Visit, house: UseCases, callback_data: HandoverDo) -> Screen:
    view = house.accounts.show(visit.asker, callback_data.id)
    return Screen(
        visit.words("handover-give-up-sure", name=title(view)),
        [
            [_do(visit, "handover-give-up-yes", view.account.id, HandoverAct.GIVE_UP_YES)],
            [to_session(visit.words, view.account.id)],
        ],
    )


@router.callback_query(HandoverDo.filter(F.act == HandoverAct.GIVE_UP_YES))
async def give_up(_event: object, visit: Visit, house: UseCases, callback_data: HandoverDo) -> Screen:
    await house.handovers.give_up(visit.asker, callback_data.id)
    visit.say(visit.words.label("handover-given-up"))
    return sessions_screen(visit, house)


# The other one


def answers(words: Words, account_id: int) -> list[Button]:
    """What he who is offered a session may say to it."""
    return [
        button(words.label("handover-accept"), HandoverDo(id=account_id, act=HandoverAct.ACCEPT)),
        button(words.label("handover-decline"), HandoverDo(id=account_id, act=HandoverAct.DECLINE)),
    ]


@router.callback_query(HandoverDo.filter(F.act == HandoverAct.LOOK))
async def look(_event: object, visit: Visit, house: UseCases, callback_data: HandoverDo) -> Screen:
    offered = house.handovers.offered_to(visit.asker)
    view = next((one for one in offered if one.account.id == callback_data.id), None)
    if view is None:
        raise NotFoundError("It is not offered any more.")
    words = visit.words
    return Screen(
        words("handover-offered-to-you", session=title(view)),
        [answers(words, view.account.id), [to_sessions(words)]],
    )


@router.callback_query(HandoverDo.filter(F.act == HandoverAct.ACCEPT))
async def accept(_event: object, visit: Visit, house: UseCases, callback_data: HandoverDo) -> Screen:
    view = await house.handovers.accept(visit.asker, callback_data.id)
    visit.say(visit.words.label("handover-accepted-by-you"))
    return show_card(visit, house, view.account.id)


@router.callback_query(HandoverDo.filter(F.act == HandoverAct.DECLINE))
async def decline(_event: object, visit: Visit, house: UseCases, callback_data: HandoverDo) -> Screen:
    await house.handovers.decline(visit.asker, callback_data.id)
    words = visit.words
    return Screen(
        words("handover-declined-by-you"),
        [[button(words.label("to-sessions"), To(place=Place.SESSIONS)), to_home(words)]],
    )

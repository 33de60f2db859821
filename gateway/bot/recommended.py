"""The four settings that a session account should have (C5): their state as Telegram tells it, one by one or all."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Final

from aiogram import F, Router

from gateway.bot.card import card_screen, to_session
from gateway.bot.data import NewLine, Recommend, RecommendAll, SessionAct, SessionDo
from gateway.bot.screen import Screen, button
from gateway.bot.sessions import title
from gateway.bot.visit import Visit
from gateway.bot.words import Html, Words, joined
from gateway.control.door import AccountState, AccountView, Recommendation, UseCases
from gateway.errors import GatewayError

router = Router(name="recommended")

#: A fresh login comes online in a second or two.
ONLINE_S: Final = 15.0
LOOK_S: Final = 0.1


def mark(one: Recommendation) -> str:
    if one.applied:
        return "✅"
    return "⏳" if one.pending_until is not None else "⬜️"


def recommended_screen(words: Words, view: AccountView, settings: Sequence[Recommendation], before: str = "") -> Screen:
    """The four as they are; each that is not so yet is a button."""
    account_id = view.account.id
    missing = [one for one in settings if not one.applied]
    rows = [
        [button(f"{mark(one)} {words.word(one.setting)}", Recommend(id=account_id, setting=one.setting))]
        for one in settings
    ]
    everything = button(words.label("recommended-all"), RecommendAll(id=account_id))
    verdict = words("recommended-help" if missing else "recommended-done")
    return Screen(
        joined(
            before,
            words("recommended-title", name=title(view)),
            verdict,
            *(note(words, one) for one in missing),
        ),
        [
            *rows,
            [everything] if missing else [],
            [] if view.lines else [button(words.label("recommended-then-line"), NewLine(session=account_id))],
            [to_session(words, account_id)],
        ],
    )


def note(words: Words, one: Recommendation) -> Html | str:
    """Why a setting is not so yet, where there is something to say."""
    setting = words.word(one.setting)
    if one.pending_until is not None:
        when = f"{one.pending_until.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
        return words("recommended-pending", setting=setting, when=when, detail=words.said(one.detail))
    return words("recommended-refused", setting=setting, detail=words.said(one.detail)) if one.detail else ""


def after_connecting(visit: Visit, house: UseCases, view: AccountView, note: str = "") -> Screen:
    """What follows a login: the account comes online meanwhile, and then its settings can be read."""
    words, account_id = visit.words, view.account.id
    connected = joined(words("connected"), note)

    async def read() -> None:
        try:
            await _online(visit, house, account_id)
            settings = await house.recommendations.read(visit.asker, account_id)
            view = house.accounts.show(visit.asker, account_id)
            screen = recommended_screen(words, view, settings, before=connected)
        except GatewayError as error:
            card = card_screen(visit, house, account_id)
            screen = Screen(joined(connected, words("complaint", what=words.said(str(error))), card.text), card.rows)
        await visit.menu.show(screen)

    visit.then(read)
    return Screen(joined(connected, words("recommended-reading")), [[to_session(words, account_id)]])


async def _online(visit: Visit, house: UseCases, account_id: int) -> None:
    """Wait until it is, but not for ever: what follows says what is wrong."""
    for _ in range(round(ONLINE_S / LOOK_S)):
        if house.accounts.show(visit.asker, account_id).status.state is AccountState.ONLINE:
            return
        await asyncio.sleep(LOOK_S)


@router.callback_query(SessionDo.filter(F.act == SessionAct.RECOMMENDED))
async def show(_event: object, visit: Visit, house: UseCases, callback_data: SessionDo) -> Screen:
    view = house.accounts.show(visit.asker, callback_data.id)
    settings = await house.recommendations.read(visit.asker, callback_data.id)
    return recommended_screen(visit.words, view, settings)


@router.callback_query(Recommend.filter())
async def apply(_event: object, visit: Visit, house: UseCases, callback_data: Recommend) -> Screen:
    view = house.accounts.show(visit.asker, callback_data.id)
    tried = await house.recommendations.apply(visit.asker, callback_data.id, callback_data.setting)
    settings = await house.recommendations.read(visit.asker, callback_data.id)
    return recommended_screen(visit.words, view, [tried if one.setting is tried.setting else one for one in settings])


@router.callback_query(RecommendAll.filter())
async def apply_all(_event: object, visit: Visit, house: UseCases, callback_data: RecommendAll) -> Screen:
    view = house.accounts.show(visit.asker, callback_data.id)
    await visit.acknowledge()
    settings = await house.recommendations.apply_all(visit.asker, callback_data.id)
    return recommended_screen(visit.words, view, settings)

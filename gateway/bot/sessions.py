"""/gateway: the session accounts of an administrator (C1)."""

from __future__ import annotations

from typing import Final

from aiogram import F, Router
from aiogram.filters import Command

from gateway.bot.data import HandoverAct, HandoverDo, Place, SessionTo, To, Wizard, WizardStep
from gateway.bot.paging import page_of, pager
from gateway.bot.screen import Button, Screen, button
from gateway.bot.start import to_home
from gateway.bot.visit import Visit
from gateway.bot.words import Words, joined
from gateway.control.door import AccountView, UseCases

router = Router(name="sessions")

LIGHTS: Final = {"online": "🟢", "flood_limited": "🟠", "offline": "⚪️", "logged_out": "🔴", "banned": "🔴"}


def light(view: AccountView) -> str:
    return LIGHTS[view.status.state.value] if view.account.enabled else "⏸"


def title(view: AccountView) -> str:
    """What a person calls it: its name, or else its number."""
    return view.account.name or f"+{view.account.phone}"


def to_sessions(words: Words) -> Button:
    return button(words.label("back-to-sessions"), To(place=Place.SESSIONS))


@router.message(Command("gateway"))
@router.callback_query(To.filter(F.place == Place.SESSIONS))
async def show_sessions(_event: object, visit: Visit, house: UseCases, callback_data: To | None = None) -> Screen:
    return sessions_screen(visit, house, callback_data.page if callback_data else 0)


def sessions_screen(visit: Visit, house: UseCases, number: int = 0) -> Screen:
    words = visit.words
    views = house.accounts.list(visit.asker)
    page = page_of(views, number)
    rows = [
        [button(f"{light(view)} {title(view)}  +{view.account.phone}", SessionTo(id=view.account.id))]
        for view in page.entries
    ]
    offers = [
        [button(words.label("handover-offer", name=title(view)), HandoverDo(id=view.account.id, act=HandoverAct.LOOK))]
        for view in house.handovers.offered_to(visit.asker)
    ]
    text = words("sessions", sessions=len(views)) if views else words("sessions-none")
    return Screen(
        joined(text),
        [
            *offers,
            *rows,
            pager(page, lambda number: To(place=Place.SESSIONS, page=number)),
            [button(words.label("connect"), Wizard(step=WizardStep.BEGIN))],
            [to_home(words)],
        ],
    )

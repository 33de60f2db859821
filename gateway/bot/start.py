"""/start, /help, /cancel, and what fits nothing else."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command, CommandStart, StateFilter
from aiogram.types import CallbackQuery

from gateway.bot.data import Place, To, Wizard, WizardStep
from gateway.bot.screen import Button, Screen, button
from gateway.bot.visit import Visit
from gateway.bot.words import Words, joined
from gateway.control.door import UseCases
from gateway.control.logins import Logins

router = Router(name="start")
#: Asked last: whatever nobody else understood.
leftovers = Router(name="leftovers")


def to_home(words: Words) -> Button:
    return button(words.label("to-home"), To(place=Place.HOME))


def home(visit: Visit, house: UseCases) -> Screen:
    words = visit.words
    sessions, lines = house.accounts.list(visit.asker), house.lines.list(visit.asker)
    state = words("home-state", sessions=len(sessions), lines=len(lines)) if sessions else words("home-empty")
    rows = [
        [button(words.label("connect"), Wizard(step=WizardStep.BEGIN))] if not sessions else [],
        [
            button(words.label("to-sessions"), To(place=Place.SESSIONS)),
            button(words.label("to-lines"), To(place=Place.LINES)),
        ],
        [
            button(words.label("to-calls"), To(place=Place.CALLS)),
            button(words.label("to-language"), To(place=Place.LANGUAGE)),
        ],
        [button(words.label("to-help"), To(place=Place.HELP))],
    ]
    return Screen(joined(words("home"), state), rows)


@router.message(CommandStart())
@router.callback_query(To.filter(F.place == Place.HOME))
async def show_home(_event: object, visit: Visit, house: UseCases) -> Screen:
    return home(visit, house)


@router.message(Command("help"))
@router.callback_query(To.filter(F.place == Place.HELP))
async def show_help(_event: object, visit: Visit) -> Screen:
    words = visit.words
    return Screen(words("help"), [[to_home(words)]])


@router.message(Command("cancel"))
async def cancel(_event: object, visit: Visit, house: UseCases, logins: Logins) -> Screen:
    """Whatever was asked is asked no more; a login that is under way ends."""
    await visit.live.stop_menu(visit.user.id)
    await logins.end(visit.asker)
    if await visit.is_asked():
        visit.say(visit.words.label("cancelled"))
    else:
        visit.say(visit.words.label("not-expected"), alert=True)
    return home(visit, house)


@leftovers.message(~StateFilter(None))
async def no_answer(_event: object, visit: Visit) -> None:
    """A picture where a text was asked for, say."""
    visit.say(visit.words.label("no-answer"), alert=True)


@leftovers.message(F.text | F.contact | F.photo | F.sticker | F.voice | F.video | F.document | F.location)
async def not_expected(_event: object, visit: Visit, house: UseCases) -> Screen:
    visit.say(visit.words.label("not-expected"), alert=True)
    return home(visit, house)


@leftovers.callback_query()
async def stale(_event: CallbackQuery, visit: Visit) -> None:
    visit.say(visit.words.label("stale"), alert=True)

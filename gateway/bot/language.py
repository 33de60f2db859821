"""/language."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command

from gateway.bot.data import ChooseLanguage, Place, To
from gateway.bot.screen import Screen, button
from gateway.bot.start import home, to_home
from gateway.bot.visit import Doorkeeper, Visit
from gateway.bot.words import LANGUAGES
from gateway.control.door import UseCases

router = Router(name="language")


@router.message(Command("language"))
@router.callback_query(To.filter(F.place == Place.LANGUAGE))
async def show_languages(_event: object, visit: Visit) -> Screen:
    chosen = visit.words.language
    names = [
        button(f"✅ {name}" if code == chosen else name, ChooseLanguage(language=code))
        for code, name in LANGUAGES.items()
    ]
    return Screen(visit.words("language"), [names, [to_home(visit.words)]])


@router.callback_query(ChooseLanguage.filter(F.language.in_(LANGUAGES)))
async def choose_language(
    _event: object, visit: Visit, callback_data: ChooseLanguage, doorkeeper: Doorkeeper, house: UseCases
) -> Screen:
    await doorkeeper.choose_language(visit, callback_data.language)
    return home(visit, house)

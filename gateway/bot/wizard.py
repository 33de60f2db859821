"""Connecting a session account (C1-C5): storage, number, code on a keypad, two-step verification, or a QR code.

The conversation with Telegram lives in memory (`gateway.control.logins`): after a restart of the gateway the person is
told to begin again, and nothing is half-done.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiogram import F, Router
from aiogram.types import Message

from gateway.bot.data import Key, KeyName, Wizard, WizardAsks, WizardStep
from gateway.bot.recommended import after_connecting
from gateway.bot.screen import Screen
from gateway.bot.sessions import sessions_screen, to_sessions
from gateway.bot.visit import Visit
from gateway.bot.wizard_screens import (
    begin_again,
    cancel_row,
    code_screen,
    ended,
    go,
    page_screen,
    password_screen,
    phone_screen,
    qr_screen,
    recovery_screen,
    sentence,
    storage_screen,
)
from gateway.control.door import UseCases
from gateway.control.logins import (
    CodeSent,
    LoggedIn,
    Login,
    Logins,
    PasswordNeeded,
    QrShown,
    RecoverySent,
    Refusal,
    Refused,
    Step,
)
from gateway.control.password_links import LinkState, PasswordLink, PasswordLinks
from gateway.errors import GatewayError

router = Router(name="wizard")

#: No code of Telegram's is longer.
CODE_MAX: Final = 8
#: After these the number has to be given again: this login is over.
_BACK_TO_PHONE: Final = frozenset(
    {
        Refusal.NUMBER_INVALID,
        Refusal.NUMBER_BANNED,
        Refusal.NOT_REGISTERED,
        Refusal.EMAIL_WANTED,
        Refusal.API_REFUSED,
    }
)


class Keypads:
    """What was typed on the keypads so far; it dies with the login that it belongs to."""

    def __init__(self) -> None:
        self._typed: dict[int, tuple[Login, str]] = {}

    def typed(self, user_id: int, login: Login) -> str:
        owner, text = self._typed.get(user_id, (None, ""))
        return text if owner is login else ""

    def set(self, user_id: int, login: Login, text: str) -> None:
        self._typed[user_id] = (login, text[:CODE_MAX])

    def clear(self, user_id: int) -> None:
        self._typed.pop(user_id, None)


# Steps


@router.callback_query(Wizard.filter(F.step == WizardStep.BEGIN))
async def begin(_event: object, visit: Visit) -> Screen:
    return storage_screen(visit.words)


@router.callback_query(Wizard.filter(F.step == WizardStep.OWN_STORAGE))
async def own_storage(_event: object, visit: Visit) -> None:
    visit.say(visit.words.label("wizard-own-later"), alert=True)


@router.callback_query(Wizard.filter(F.step == WizardStep.PHONE))
async def ask_phone(_event: object, visit: Visit, logins: Logins) -> Screen:
    await visit.live.stop_menu(visit.user.id)
    await logins.end(visit.asker)
    visit.ask(WizardAsks.PHONE)
    return phone_screen(visit.words)


@router.callback_query(Wizard.filter(F.step == WizardStep.TERMINAL))
async def at_terminal(_event: object, visit: Visit, logins: Logins) -> Screen:
    await visit.live.stop_menu(visit.user.id)
    await logins.end(visit.asker)
    words = visit.words
    return Screen(
        words("wizard-terminal", id=str(visit.user.id)),
        [[go(words, "wizard-by-number", WizardStep.PHONE)], [to_sessions(words)]],
    )


@router.callback_query(Wizard.filter(F.step == WizardStep.CANCEL))
async def cancel(_event: object, visit: Visit, house: UseCases, logins: Logins) -> Screen:
    await visit.live.stop_menu(visit.user.id)
    await logins.end(visit.asker)
    visit.say(visit.words.label("cancelled"))
    return sessions_screen(visit, house)


@router.message(WizardAsks.PHONE, F.contact | F.text)
async def take_phone(message: Message, visit: Visit, house: UseCases, logins: Logins, keypads: Keypads) -> Screen:
    await visit.recall()
    number = message.contact.phone_number if message.contact else message.text or ""
    login = logins.of(visit.asker) or await logins.begin(visit.asker)
    await visit.swallow()
    await visit.menu.show(Screen(visit.words("wizard-wait"), [cancel_row(visit.words)]))
    return await _after_code_request(visit, house, logins, keypads, await login.phone(number))


@router.callback_query(Wizard.filter(F.step == WizardStep.RESEND))
async def resend(_event: object, visit: Visit, house: UseCases, logins: Logins, keypads: Keypads) -> Screen:
    login = logins.of(visit.asker)
    if login is None:
        return begin_again(visit.words)
    await visit.acknowledge()
    outcome = await login.resend()
    if isinstance(outcome, Refused) and login.step is Step.CODE and outcome.why is not Refusal.CODE_EXPIRED:
        sent = await _sent_before(visit)
        _ask_code(visit, sent)
        return code_screen(visit.words, sent, keypads.typed(visit.user.id, login), sentence(visit.words, outcome))
    return await _after_code_request(visit, house, logins, keypads, outcome)


@router.callback_query(WizardAsks.CODE, Key.filter())
async def press_code(
    _event: object,
    visit: Visit,
    callback_data: Key,
    house: UseCases,
    logins: Logins,
    links: PasswordLinks | None,
    keypads: Keypads,
) -> Screen | None:
    login = logins.of(visit.asker)
    if login is None or login.step is not Step.CODE:
        return begin_again(visit.words)
    sent = await _sent_before(visit)
    typed = _press(callback_data.key, keypads.typed(visit.user.id, login))
    if typed is None:
        return None
    keypads.set(visit.user.id, login, typed)
    if (len(typed) == sent.length) if sent.length else callback_data.key == KeyName.DONE:
        await visit.acknowledge()
        keypads.clear(visit.user.id)
        return await _after_code(visit, house, logins, links, sent, await login.code(typed))
    visit.stay()
    return code_screen(visit.words, sent, typed)


@router.message(WizardAsks.CODE, F.text)
async def typed_code(_message: Message, visit: Visit, logins: Logins, keypads: Keypads) -> Screen:
    """Telegram has just voided the code: it saw it in a chat."""
    login = logins.of(visit.asker)
    if login is None:
        return begin_again(visit.words)
    await visit.recall()
    await visit.swallow()
    keypads.clear(visit.user.id)
    visit.stay()
    return code_screen(visit.words, await _sent_before(visit), "", visit.words("wizard-typed"))


@router.callback_query(Wizard.filter(F.step == WizardStep.WARNING))
async def warn(_event: object, visit: Visit, logins: Logins) -> Screen:
    if logins.of(visit.asker) is None:
        return begin_again(visit.words)
    words = visit.words
    needed = await _needed_before(visit)
    visit.ask(WizardAsks.PASSWORD, hint=needed.hint, has_recovery=needed.has_recovery)
    return Screen(
        words("wizard-warning"),
        [
            [go(words, "wizard-warning-yes", WizardStep.RECOVERY)],
            [go(words, "back", WizardStep.PASSWORD)],
            cancel_row(words),
        ],
    )


@router.callback_query(Wizard.filter(F.step == WizardStep.PASSWORD))
async def back_to_password(
    _event: object, visit: Visit, house: UseCases, logins: Logins, links: PasswordLinks | None
) -> Screen:
    if logins.of(visit.asker) is None:
        return begin_again(visit.words)
    return _ask_password(visit, house, links, await _needed_before(visit))


@router.callback_query(Wizard.filter(F.step == WizardStep.PAGE))
async def open_page(_event: object, visit: Visit, house: UseCases, links: PasswordLinks | None) -> Screen:
    """Show a link to the page for the password, and go on once it was typed there."""
    await visit.live.stop_menu(visit.user.id)  # it follows the link that is void now
    needed = await _needed_before(visit)
    link = links.make(visit.asker, needed.hint, visit.words.language) if links is not None else None
    if links is None or link is None:
        return begin_again(visit.words)
    visit.ask(WizardAsks.PASSWORD, hint=needed.hint, has_recovery=needed.has_recovery)
    _follow_page(visit, house, links, link, needed)
    return page_screen(visit.words, links.url(link))


@router.message(WizardAsks.PASSWORD, F.text)
async def typed_password(
    _message: Message, visit: Visit, house: UseCases, logins: Logins, links: PasswordLinks | None
) -> Screen:
    """Nobody asked for it; most likely it is the password, and it must not stay in the chat."""
    needed = await _needed_before(visit)
    await visit.swallow()
    if logins.of(visit.asker) is None:
        return begin_again(visit.words)
    return _ask_password(visit, house, links, needed, visit.words("wizard-never-password"))


@router.callback_query(Wizard.filter(F.step == WizardStep.RECOVERY))
async def ask_recovery(
    _event: object, visit: Visit, house: UseCases, logins: Logins, keypads: Keypads, links: PasswordLinks | None
) -> Screen:
    login = logins.of(visit.asker)
    if login is None or login.step not in (Step.PASSWORD, Step.RECOVERY):
        return begin_again(visit.words)
    await visit.acknowledge()
    needed = await _needed_before(visit)
    outcome = await login.ask_recovery()
    if isinstance(outcome, RecoverySent):
        keypads.clear(visit.user.id)
        visit.ask(WizardAsks.RECOVERY, email=outcome.email, hint=needed.hint, has_recovery=needed.has_recovery)
        return recovery_screen(visit.words, outcome.email, "")
    return _ask_password(visit, house, links, needed, sentence(visit.words, outcome))


@router.callback_query(WizardAsks.RECOVERY, Key.filter())
async def press_recovery(
    _event: object, visit: Visit, callback_data: Key, house: UseCases, logins: Logins, keypads: Keypads
) -> Screen | None:
    login = logins.of(visit.asker)
    if login is None or login.step is not Step.RECOVERY:
        return begin_again(visit.words)
    typed = _press(callback_data.key, keypads.typed(visit.user.id, login))
    if typed is None:
        return None
    if callback_data.key == KeyName.DONE:
        keypads.clear(visit.user.id)
        return await _recover(visit, house, logins, login, typed)
    keypads.set(visit.user.id, login, typed)
    visit.stay()
    return recovery_screen(visit.words, (await visit.recall()).get("email", ""), typed)


@router.message(WizardAsks.RECOVERY, F.text)
async def typed_recovery(message: Message, visit: Visit, house: UseCases, logins: Logins) -> Screen:
    """A code from an e-mail may be typed: it is not the login code that Telegram voids."""
    await visit.recall()
    await visit.swallow()
    login = logins.of(visit.asker)
    if login is None or login.step is not Step.RECOVERY:
        return begin_again(visit.words)
    return await _recover(visit, house, logins, login, (message.text or "").strip())


@router.callback_query(Wizard.filter(F.step == WizardStep.QR))
async def ask_qr(
    _event: object, visit: Visit, house: UseCases, logins: Logins, links: PasswordLinks | None
) -> Screen | None:
    await visit.acknowledge()
    login = await logins.begin(visit.asker)
    codes = login.qr()
    first = await anext(codes)
    if not isinstance(first, QrShown):
        return await _after_login(visit, house, logins, links, first)
    visit.ask(WizardAsks.QR)

    async def renew() -> None:
        """Show each next code; go on when one was scanned."""
        async for outcome in codes:
            if isinstance(outcome, QrShown):
                await visit.menu.show(qr_screen(visit.words, outcome.url))
                continue
            visit.live.release_menu(visit.user.id)
            visit.afresh()
            await visit.deliver(await _after_login(visit, house, logins, links, outcome))

    visit.then(renew)
    return qr_screen(visit.words, first.url)


# Outcomes


async def _after_code_request(
    visit: Visit, house: UseCases, logins: Logins, keypads: Keypads, outcome: CodeSent | LoggedIn | Refused
) -> Screen:
    keypads.clear(visit.user.id)
    match outcome:
        case CodeSent():
            _ask_code(visit, outcome)
            return code_screen(visit.words, outcome, "")
        case LoggedIn():
            return await _connected(visit, house, logins, outcome)
        case Refused():
            await logins.end(visit.asker)  # a wait that Telegram imposed is remembered there, also for other numbers
            visit.ask(WizardAsks.PHONE)
            return phone_screen(visit.words, sentence(visit.words, outcome))


async def _after_code(
    visit: Visit,
    house: UseCases,
    logins: Logins,
    links: PasswordLinks | None,
    sent: CodeSent,
    outcome: LoggedIn | PasswordNeeded | Refused,
) -> Screen:
    if not isinstance(outcome, Refused):
        return await _after_login(visit, house, logins, links, outcome)
    if outcome.why in _BACK_TO_PHONE:
        visit.ask(WizardAsks.PHONE)
        return phone_screen(visit.words, sentence(visit.words, outcome))
    _ask_code(visit, sent)
    return code_screen(visit.words, sent, "", sentence(visit.words, outcome))


async def _after_login(
    visit: Visit,
    house: UseCases,
    logins: Logins,
    links: PasswordLinks | None,
    outcome: QrShown | LoggedIn | PasswordNeeded | Refused,
) -> Screen:
    match outcome:
        case LoggedIn():
            return await _connected(visit, house, logins, outcome)
        case PasswordNeeded():
            return _ask_password(visit, house, links, outcome)
        case Refused():
            await logins.end(visit.asker)
            return ended(visit.words, sentence(visit.words, outcome))
        case QrShown():
            raise AssertionError("a code that is shown is no end")


async def _recover(visit: Visit, house: UseCases, logins: Logins, login: Login, code: str) -> Screen:
    await visit.acknowledge()
    data = await visit.recall()
    outcome = await login.recover(code)
    if isinstance(outcome, LoggedIn):
        return await _connected(visit, house, logins, outcome, visit.words("wizard-password-is-off"))
    visit.stay()
    return recovery_screen(visit.words, data.get("email", ""), "", sentence(visit.words, outcome))


async def _connected(visit: Visit, house: UseCases, logins: Logins, login: LoggedIn, note: str = "") -> Screen:
    """The login is ours to keep; from here on it must not get lost."""
    await logins.end(visit.asker)
    try:
        view = await asyncio.shield(house.accounts.keep(visit.asker, login))
    except GatewayError as error:
        return ended(visit.words, visit.words("complaint", what=visit.words.said(str(error))))
    return after_connecting(visit, house, view, note)


# Questions


def _ask_code(visit: Visit, sent: CodeSent) -> None:
    visit.ask(WizardAsks.CODE, way=sent.way, length=sent.length)


async def _sent_before(visit: Visit) -> CodeSent:
    data = await visit.recall()
    return CodeSent(data.get("way", "app"), data.get("length"))


def _ask_password(
    visit: Visit, house: UseCases, links: PasswordLinks | None, needed: PasswordNeeded, complaint: str = ""
) -> Screen:
    visit.ask(WizardAsks.PASSWORD, hint=needed.hint, has_recovery=needed.has_recovery)
    if links is not None and (link := links.open_for(visit.asker)) is not None:
        _follow_page(visit, house, links, link, needed)
    return password_screen(visit.words, needed, complaint, has_page=links is not None)


def _follow_page(
    visit: Visit, house: UseCases, links: PasswordLinks, link: PasswordLink, needed: PasswordNeeded
) -> None:
    """Let the menu go on by itself when the page is done with."""

    async def go_on() -> None:
        await link.over.wait()
        visit.live.release_menu(visit.user.id)
        visit.afresh()
        await visit.deliver(_after_page(visit, house, links, link, needed))

    visit.then(go_on)


def _after_page(
    visit: Visit, house: UseCases, links: PasswordLinks, link: PasswordLink, needed: PasswordNeeded
) -> Screen:
    words = visit.words
    match link.state:
        case LinkState.CONNECTED if link.account is not None:
            return after_connecting(visit, house, link.account)
        case LinkState.REFUSED:
            return ended(words, words("complaint", what=words.said(str(link.error))))
        case LinkState.SPENT:
            return _ask_password(visit, house, links, needed, words("wizard-page-spent"))
        case _ if links.wanted_by(visit.asker) is not None:
            return _ask_password(visit, house, links, needed, words("wizard-page-expired"))
        case _:
            return begin_again(words)


async def _needed_before(visit: Visit) -> PasswordNeeded:
    data = await visit.recall()
    return PasswordNeeded(data.get("hint", ""), bool(data.get("has_recovery", True)))


def _press(key: str, typed: str) -> str | None:
    """What is typed after a key; None if the key does nothing."""
    match key:
        case KeyName.BACK:
            return typed[:-1] if typed else None
        case KeyName.DONE:
            return typed or None
        case _ if len(key) == 1 and key.isascii() and key.isdecimal() and len(typed) < CODE_MAX:
            return typed + key
        case _:
            return None

"""The login conversation in a terminal: number, code, password; or a QR code drawn in it."""

from __future__ import annotations

import asyncio
import io
from typing import Final

import click
import segno

from gateway.errors import GatewayError
from gateway.telegram.login import CodeSent, Login, Outcome, PasswordNeeded, QrShown, Refusal, Refused
from gateway.telegram.model import LoggedIn
from gateway.telegram.settings import TelegramSettings

#: What a refusal means to a person, and his way on.
SENTENCES: Final = {
    Refusal.NUMBER_INVALID: "That is not a phone number that Telegram knows. Give it with the country code: +49 151 …",
    Refusal.NUMBER_BANNED: "Telegram has banned this number; only Telegram can lift that (recover@telegram.org).",
    Refusal.NOT_REGISTERED: "Nobody has a Telegram account with this number. Make one in an app first.",
    Refusal.FLOOD: "Telegram takes no more attempts for this number now.",
    Refusal.WRONG_CODE: "That is not the code.",
    Refusal.CODE_EXPIRED: "That code has expired. A new one is needed: begin again.",
    Refusal.NO_OTHER_WAY: "Telegram has no other way to send the code.",
    Refusal.EMAIL_WANTED: "Telegram wants a login e-mail for this account first: set one in an app.",
    Refusal.WRONG_PASSWORD: "That is not the password of two-step verification.",
    Refusal.UNFIT_PASSWORD: "Telegram does not take this new password.",
    Refusal.NO_RECOVERY: "The account has no recovery e-mail, so the password can't be reset here.",
    Refusal.API_REFUSED: "Telegram refuses the API id or hash: compare SIPTG_TELEGRAM__API_ID and _API_HASH with "
    "those at https://my.telegram.org.",
    Refusal.OFFLINE: "Telegram can't be reached. Check the network: siptg check.",
    Refusal.OUT_OF_STEP: "That is not wanted now.",
    Refusal.FAILED: "Telegram refused",
}
#: After these the same question may be asked again.
AGAIN: Final = frozenset({Refusal.WRONG_CODE, Refusal.WRONG_PASSWORD, Refusal.NUMBER_INVALID})
#: Telegram itself allows a few more; a person who needs them has mistaken the account.
ATTEMPTS: Final = 3

_WAYS: Final = {
    "app": "as a message from “Telegram”, in the apps where this account is logged in",
    "sms": "by SMS",
    "call": "by a phone call",
    "email_code": "to the account's login e-mail",
}


async def log_in(settings: TelegramSettings, number: str | None, *, qr: bool) -> LoggedIn:
    """Hold the conversation. Raises `GatewayError` when it comes to nothing."""
    async with Login(settings) as login:
        outcome = await (_by_qr(login) if qr else _by_code(login, number))
        if isinstance(outcome, PasswordNeeded):
            outcome = await _by_password(login, outcome)
        if isinstance(outcome, LoggedIn):
            return outcome
        raise GatewayError(sentence(outcome))


def sentence(refused: Refused) -> str:
    """What happened, and what to do next."""
    text = SENTENCES[refused.why]
    if refused.retry_after_s:
        text += f" Try again in {_duration(refused.retry_after_s)}."
    if refused.why is Refusal.FAILED:
        text += f": {refused.detail}."
    return text


async def _ask(text: str, *, secret: bool = False) -> str:
    """Prompt without stopping the event loop, which keeps the connection alive meanwhile."""
    answer: str = await asyncio.to_thread(click.prompt, text, hide_input=secret, err=True)
    return answer


async def _by_code(login: Login, number: str | None) -> Outcome:
    sent = await login.phone(number or await _ask("Phone number, with country code"))
    while isinstance(sent, Refused) and sent.why is Refusal.NUMBER_INVALID and number is None:
        click.echo(sentence(sent), err=True)
        sent = await login.phone(await _ask("Phone number, with country code"))
    if not isinstance(sent, CodeSent):
        return sent
    click.echo(f"Telegram has sent a code {_WAYS.get(sent.way, f'({sent.way})')}.", err=True)
    for _ in range(ATTEMPTS):
        outcome = await login.code(await _ask("Code"))
        if not (isinstance(outcome, Refused) and outcome.why in AGAIN):
            return outcome
        click.echo(sentence(outcome), err=True)
    return outcome


async def _by_password(login: Login, needed: PasswordNeeded) -> LoggedIn | Refused:
    hint = f" (hint: {needed.hint})" if needed.hint else ""
    for _ in range(ATTEMPTS):
        outcome = await login.password(await _ask(f"Password of two-step verification{hint}", secret=True))
        if not (isinstance(outcome, Refused) and outcome.why in AGAIN):
            return outcome
        click.echo(sentence(outcome), err=True)
    return outcome


async def _by_qr(login: Login) -> Outcome:
    click.echo("In the Telegram app: Settings → Devices → Link Desktop Device, and scan:", err=True)
    outcome: Outcome = Refused(Refusal.FAILED)
    async for shown in login.qr():
        if isinstance(shown, QrShown):
            drawn = io.StringIO()
            segno.make(shown.url, error="l").terminal(drawn, compact=True)
            click.echo(drawn.getvalue(), err=True)
        else:
            outcome = shown
    return outcome


def _duration(seconds: int) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {unit}"
    return f"{seconds} seconds"

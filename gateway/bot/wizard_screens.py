"""What the wizard shows at each of its steps, and what it says of Telegram's refusals."""

from __future__ import annotations

import io
from typing import Final

import segno

from gateway.bot.data import Key, KeyName, Wizard, WizardStep
from gateway.bot.screen import Button, Screen, button, grid
from gateway.bot.sessions import to_sessions
from gateway.bot.words import Html, Words, joined
from gateway.control.logins import CodeSent, PasswordNeeded, Refused

#: The words of `CodeSent.way` that the catalogues have a sentence for.
WAYS: Final = frozenset({"app", "sms", "call", "email_code", "fragment_sms"})


def go(words: Words, key: str, step: WizardStep) -> Button:
    return button(words.label(key), Wizard(step=step))


def cancel_row(words: Words) -> list[Button]:
    return [go(words, "cancel", WizardStep.CANCEL)]


def storage_screen(words: Words) -> Screen:
    return Screen(
        words("wizard-storage"),
        [
            [go(words, "wizard-storage-gateway", WizardStep.PHONE)],
            [go(words, "wizard-storage-own", WizardStep.OWN_STORAGE)],
            cancel_row(words),
        ],
    )


def phone_screen(words: Words, complaint: str = "") -> Screen:
    return Screen(
        joined(complaint, words("wizard-phone")),
        [
            [go(words, "wizard-by-qr", WizardStep.QR), go(words, "wizard-by-terminal", WizardStep.TERMINAL)],
            cancel_row(words),
        ],
    )


def keypad(words: Words, typed: str, *, can_end: bool) -> list[list[Button]]:
    keys = [button(digit, Key(key=digit)) for digit in "123456789"]
    back = button("⌫", Key(key=KeyName.BACK.value))
    done = button(words.label("key-done") if can_end and typed else "·", Key(key=KeyName.DONE.value))
    return [*grid(keys, 3), [back, button("0", Key(key="0")), done]]


def code_screen(words: Words, sent: CodeSent, typed: str, complaint: str = "") -> Screen:
    way = f"wizard-way-{sent.way.replace('_', '-')}" if sent.way in WAYS else "wizard-way-other"
    return Screen(
        joined(complaint, words(way, way=sent.way), words("wizard-code"), _boxes(typed, sent.length)),
        [
            *keypad(words, typed, can_end=sent.length is None),
            [go(words, "wizard-resend", WizardStep.RESEND), go(words, "wizard-other-number", WizardStep.PHONE)],
            cancel_row(words),
        ],
    )


def password_screen(words: Words, needed: PasswordNeeded, complaint: str = "", *, has_page: bool) -> Screen:
    hint = words("wizard-hint", hint=needed.hint) if needed.hint else ""
    ways = [
        words("wizard-on-page") if has_page else "",
        words("wizard-on-email") if needed.has_recovery else "",
        words("wizard-on-terminal") if needed.has_recovery or has_page else "",
    ]
    on = joined(words("wizard-password-ways"), *ways, by="\n") if any(ways) else words("wizard-password-no-email")
    return Screen(
        joined(complaint, words("wizard-password"), hint, on),
        [
            [go(words, "wizard-by-page", WizardStep.PAGE)] if has_page else [],
            [go(words, "wizard-by-email", WizardStep.WARNING)] if needed.has_recovery else [],
            [go(words, "wizard-by-terminal", WizardStep.TERMINAL)],
            cancel_row(words),
        ],
    )


def page_screen(words: Words, url: str) -> Screen:
    return Screen(
        words("wizard-page"),
        [
            [Button(words.label("wizard-page-open"), url=url)],
            [go(words, "wizard-page-again", WizardStep.PAGE), go(words, "back", WizardStep.PASSWORD)],
            cancel_row(words),
        ],
    )


def recovery_screen(words: Words, email: str, typed: str, complaint: str = "") -> Screen:
    return Screen(
        joined(complaint, words("wizard-recovery", email=email), _boxes(typed, None)),
        [
            *keypad(words, typed, can_end=True),
            [go(words, "wizard-recovery-again", WizardStep.RECOVERY)],
            cancel_row(words),
        ],
    )


def qr_screen(words: Words, url: str) -> Screen:
    picture = io.BytesIO()
    segno.make(url, error="m").save(picture, kind="png", scale=8, border=3)
    rows = [[go(words, "wizard-by-number", WizardStep.PHONE)], cancel_row(words)]
    return Screen(words("wizard-qr"), rows, picture.getvalue())


def begin_again(words: Words) -> Screen:
    """The gateway was restarted, or the login left for too long."""
    return Screen(words("wizard-again"), [[go(words, "wizard-begin", WizardStep.PHONE)], [to_sessions(words)]])


def ended(words: Words, complaint: str) -> Screen:
    return Screen(joined(complaint), [[go(words, "wizard-begin", WizardStep.PHONE)], [to_sessions(words)]])


def sentence(words: Words, refused: Refused) -> Html:
    """What Telegram's refusal means, and the way on."""
    text = words("refused", sentence=words(f"refusal-{refused.why.value.replace('_', '-')}", detail=refused.detail))
    if refused.retry_after_s:
        text = joined(text, words("retry-after", wait=duration(words, refused.retry_after_s)), by=" ")
    return text


def duration(words: Words, seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return words.label(f"duration-{unit}", n=-int(-seconds // size))
    return words.label("duration-seconds", n=max(1, round(seconds)))


def _boxes(typed: str, length: int | None) -> Html:
    """The digits so far, and places for the rest."""
    missing = max(0, (length or 0) - len(typed))
    return Html(f"<code>{' '.join([*typed, *'_' * missing]) or '_'}</code>")

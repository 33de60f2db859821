"""Numbers, both ways: who calls as a caller ID, what was dialled as a person, a text as a number. Pure.

Product L5-L9. What comes from people is matched and cut here, so that nothing but printable
characters ever reaches a SIP header.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

import anyascii
import regex

from gateway.call.model import Line, Party, TelegramUser
from gateway.errors import CallError, HangupCause

#: A display name longer than this is cut: RFC 3261 sets no limit, but phones and UDP packets do.
NAME_MAX: Final = 64
#: Rules run on the call's way: what takes longer is a runaway pattern.
RULE_TIMEOUT_S: Final = 0.05

#: E.164 numbers begin with a country code, and no country code begins with 0: that tells
#: a phone number from a `0{userid}` tag.
_PLACEHOLDERS: Final[Mapping[str, str]] = {
    "{phone}": r"(?P<phone>[1-9]\d{4,14})",
    "{username}": r"(?P<username>[A-Za-z][A-Za-z0-9_]{3,31})",
    "{userid}": r"(?P<userid>[1-9]\d{0,18})",
}
_USERNAME: Final = regex.compile(r"[A-Za-z][A-Za-z0-9_]{3,31}")
_FIELD: Final = regex.compile(r"\{[a-z_]+\}")


def printable(text: str, limit: int = NAME_MAX) -> str:
    """`text` without control, format and direction characters (CR, LF, RTL marks …), cut to `limit`."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text[: 4 * limit])
    return " ".join(kept.split())[:limit].rstrip()


def caller_of(user: TelegramUser, line: Line) -> Party:
    """How a Telegram user is shown to the PBX on `line` (L6, L7, L9)."""
    values = {
        "phone": user.phone,
        "username": user.username,
        "userid": str(user.id),
        "name": printable(user.name),
        "name_ascii": printable(anyascii.anyascii(printable(user.name))),
    }
    own_header, _, own_value = line.header.partition(":")
    headers = {
        own_header.strip(): own_value.strip(),  # tells the PBX which of several lines it is (L3)
        "X-TG-ID": str(user.id),
        "X-TG-Username": user.username,
        "X-TG-Phone": user.phone,
        "X-TG-FirstName": printable(user.first_name),
        "X-TG-LastName": printable(user.last_name),
    }
    return Party(
        number=first_filled(line.caller_ids, values),
        name=first_filled(line.caller_names, values),
        user=user,
        headers={name: value for name, value in headers.items() if value},
    )


def first_filled(templates: Iterable[str], values: Mapping[str, str]) -> str:
    """The first template whose values all exist, filled in; empty if there is none."""
    for template in templates:
        names = [field[1:-1] for field in _FIELD.findall(template)]
        if all(values.get(name) for name in names):
            return printable(_FIELD.sub(lambda field: values[field[0][1:-1]], template))
    return ""


def dialled_peer(dialled: str, line: Line) -> str:
    """Whom a PBX means by what it dialled (L8): `id:<n>`, `@<username>` or `+<digits>`.

    The line's own caller ID templates are read backwards first, so that calling back
    what we showed reaches the same person.

    Raises:
        CallError: INVALID_NUMBER, if it is of no known form.
    """
    for template in line.caller_ids:
        found = regex.fullmatch(_backwards(template), dialled)
        if found is None:
            continue
        match found.groupdict():
            case {"userid": str(user_id)}:
                return f"id:{user_id}"
            case {"username": str(username)}:
                return f"@{username}"
            case {"phone": str(phone)}:
                return f"+{phone}"
    name = dialled.removeprefix("tg#").removeprefix("@")
    if _USERNAME.fullmatch(name):
        return f"@{name}"
    digits = dialled.removeprefix("+").removeprefix("00")
    if digits.isascii() and digits.isdecimal() and 5 <= len(digits) <= 15:
        return f"+{digits}"
    raise CallError(
        HangupCause.INVALID_NUMBER, f"“{printable(dialled, 32)}” is no phone number, @username or caller ID of ours"
    )


def _backwards(template: str) -> str:
    pattern = regex.escape(template, special_only=True)
    for placeholder, group in _PLACEHOLDERS.items():
        pattern = pattern.replace(regex.escape(placeholder, special_only=True), group, 1)
    return pattern


def apply_rules(rules: str, text: str) -> str | None:
    """Turn a message into a number by a line's number rules (L5), one a line, in order.

    Returns:
        The number; empty means the line's default number; None means that the line does not suit.

    Raises:
        CallError: INVALID_NUMBER, for a pattern that is wrong or runs away.
    """
    for rule in rules.splitlines():
        if not rule:
            continue
        pattern, replacement = split_rule(rule)
        try:
            compiled = regex.compile(pattern)
            if replacement is None:
                if compiled.search(text, timeout=RULE_TIMEOUT_S) is None:
                    return None
            else:
                text = compiled.sub(replacement, text, timeout=RULE_TIMEOUT_S)
        except (regex.error, TimeoutError, IndexError) as wrong:
            reason = "takes too long" if isinstance(wrong, TimeoutError) else str(wrong)
            raise CallError(HangupCause.INVALID_NUMBER, f"number rule “{printable(rule)}”: {reason}") from wrong
    return text


def split_rule(rule: str) -> tuple[str, str | None]:
    """Split `regex=replacement`; the `=` of `(?=` and `(?<=` belongs to the regex. No replacement: a filter."""
    for at, character in enumerate(rule):
        if character == "=" and not rule[:at].endswith(("(?", "(?<")):
            return rule[:at], rule[at + 1 :]
    return rule, None

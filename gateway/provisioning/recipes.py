"""How a line's calls from Telegram are routed in the dialplan: documented recipes, with values by allow-list. Pure.

A recipe becomes a context of its own, `siptg-route-line<id>`, which the static dialplan enters before it dials. The
line's number, or what its number rules made of a message, is in SIPTG_NUMBER then.
"""

from __future__ import annotations

import enum
import functools
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Self

from gateway.provisioning import grammar
from gateway.provisioning.grammar import GrammarError
from gateway.provisioning.render import Section


class RecipeKind(enum.StrEnum):
    NUMBER = "number"  # every call goes to one number, whatever was asked for
    HOURS = "hours"  # one number in opening hours; another one, or nobody, outside
    IVR = "ivr"  # a menu of the PBX is called, and digits are pressed there for the caller
    CONTEXT = "context"  # a context that a telecom engineer wrote decides


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIMES: Final = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d) ?[-–] ?([01]?\d|2[0-3])[:.]([0-5]\d)")
_DIGITS: Final = re.compile(r"[0-9*#w]{1,32}")
_CONTEXT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
#: Ours, which lead back to where a recipe is entered; those of engineers end in "-custom".
_OURS: Final = re.compile(r"(?!.*-custom\Z)siptg-.*", re.IGNORECASE)

#: Nobody is there: Q.850 21, call rejected.
_CLOSED: Final = "Hangup(21)"


def number(text: str) -> str:
    """A number on the PBX that must be there."""
    if not (found := grammar.number(text)):
        raise GrammarError("Give a number on the PBX, such as “200”.")
    return found


def times(text: str) -> str:
    """From when until when, on each day; it may go over midnight."""
    if found := _TIMES.fullmatch(text.strip()):
        begin, end = f"{int(found[1]):02}:{found[2]}", f"{int(found[3]):02}:{found[4]}"
        if begin != end:
            return f"{begin}-{end}"
    raise GrammarError("Opening hours are “from-until”, such as “09:00-18:00” or “22:00-06:00”.")


def days(text: str) -> str:
    """Days and ranges of days; empty is every day."""
    text = text.strip().removeprefix("*")
    parts = [part.strip() for part in re.split(r"[,&\s]+", re.sub(r"\s*[-–]\s*", "-", text.strip().lower())) if part]
    for part in parts:
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise GrammarError("Days are some of “mon,tue,wed,thu,fri,sat,sun”, such as “mon-fri” or “mon-thu,sat”.")
    return "&".join(dict.fromkeys(parts)) or "*"


def zone(text: str) -> str:
    """A time zone's name; empty is that of the machine."""
    text = text.strip()
    if not text or text in _zones():
        return text
    raise GrammarError("A time zone is a name such as “Europe/Berlin”.")


@functools.cache
def _zones() -> frozenset[str]:
    """Those that this machine knows; it looks through hundreds of files."""
    return frozenset(zoneinfo.available_timezones())


def digits(text: str) -> str:
    """Digits to press, with pauses."""
    text = text.strip().replace(" ", "").replace(",", "w").lower()
    if _DIGITS.fullmatch(text):
        return text
    raise GrammarError("Digits are up to 32 of “0-9 * #”, with “w” for a pause of half a second, such as “ww1w2”.")


def context(text: str) -> str:
    """The name of a context that is not ours."""
    text = text.strip()
    if _CONTEXT.fullmatch(text) and not _OURS.fullmatch(text):
        return text
    raise GrammarError("A context is a name of letters, digits, “-” and “_” that is not ours, such as “sales-menu”.")


_Grammar = Mapping[str, Callable[[str], str]]

#: The fields of each recipe, and their grammar. All must be given, but those that may be empty.
RECIPES: Final[Mapping[RecipeKind, _Grammar]] = MappingProxyType(
    {
        RecipeKind.NUMBER: {"number": number},
        RecipeKind.HOURS: {
            "times": times,
            "days": days,
            "zone": zone,
            "open_number": grammar.number,  # empty: as without a recipe
            "closed_number": grammar.number,  # empty: nobody, the call is refused
        },
        RecipeKind.IVR: {"number": number, "digits": digits},
        RecipeKind.CONTEXT: {"context": context},
    }
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe with its values in their true form."""

    kind: RecipeKind
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, kind: RecipeKind, fields: Mapping[str, str]) -> Self:
        """From texts by field, as a person gave them (`RECIPES`). Raises `GrammarError`."""
        known = RECIPES[kind]
        if unknown := fields.keys() - known.keys():
            raise GrammarError(f"The recipe “{kind.value}” has no field “{min(unknown)[:32]}”.")
        values = {}
        for name, parse in known.items():
            try:
                values[name] = parse(fields.get(name, ""))
            except GrammarError as error:
                raise GrammarError(f"{name}: {error}") from error
        return cls(kind, values)

    def kept(self) -> dict[str, str]:
        """As JSON says it; `restored` reads it."""
        return {"kind": self.kind.value, **self.values}

    @classmethod
    def restored(cls, kept: Mapping[str, str]) -> Self:
        """Raises `GrammarError` for what an older version let in."""
        try:
            kind = RecipeKind(kept.get("kind", ""))
        except ValueError as error:
            raise GrammarError("The line's recipe is not known any more.") from error
        return cls.read(kind, {name: value for name, value in kept.items() if name in RECIPES[kind]})


def context_of(line_id: int) -> str:
    return f"siptg-route-line{line_id}"


def route(line_id: int, recipe: Recipe) -> Section:
    """The context of a line. Raises `GrammarError` rather than render what is not checked."""
    recipe = Recipe.restored(recipe.kept())
    first, *rest = _steps(recipe)
    steps = (("exten", f"s,1,{first}"), *(("same", f"n{step}") for step in rest))
    return Section(context_of(line_id), steps)


def text_of(section: Section) -> str:
    """The context as it stands in the file, for a person."""
    lines = [f"{' ' if option == 'same' else ''}{option} => {value}" for option, value in section.options]
    return "\n".join([f"[{section.name}]", *lines])


def _steps(recipe: Recipe) -> list[str]:
    """Applications; all but the first begin with what stands before their comma: nothing, or a label."""
    values = recipe.values
    dial = ",Goto(siptg-dial,s,1)"
    match recipe.kind:
        case RecipeKind.NUMBER:
            return [f"Set(SIPTG_NUMBER={values['number']})", dial]
        case RecipeKind.IVR:
            # The underscores let the leg inherit it, that is called: it is there that digits are pressed.
            return [f"Set(__SIPTG_DIGITS={values['digits']})", f",Set(SIPTG_NUMBER={values['number']})", dial]
        case RecipeKind.CONTEXT:
            return [f"Goto({values['context']},${{IF($[${{LEN(${{SIPTG_NUMBER}})}} > 0]?${{SIPTG_NUMBER}}:s)}},1)"]
        case RecipeKind.HOURS:
            at = ",".join(filter(None, (values["times"], values["days"], "*", "*", values["zone"])))
            shut, opened = values["closed_number"], values["open_number"]
            return [
                f"GotoIfTime({at}?open)",
                *([f",Set(SIPTG_NUMBER={shut})", dial] if shut else [f",{_CLOSED}"]),
                *([f"(open),Set(SIPTG_NUMBER={opened})", dial] if opened else [f"(open){dial}"]),
            ]

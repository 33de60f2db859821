"""What of a line is typed: a field's value, the answers that make a new line, and texts to try number rules on."""

from __future__ import annotations

from typing import Final

from aiogram import F, Router
from aiogram.types import Message

from gateway.bot.data import LineAct, LineAsk, LineAsks, LineDo, LineSet, LinesOf, LineTo, NewLine
from gateway.bot.lines import PRIORITIES, lines_screen, rules_screen, show_card, to_line, to_lines, value_of
from gateway.bot.screen import Screen, button, cut, grid
from gateway.bot.sessions import title
from gateway.bot.visit import Visit
from gateway.bot.words import Html, Words, joined
from gateway.call.model import Line, LineKind
from gateway.control.door import UseCases
from gateway.errors import CallError, GatewayError

router = Router(name="line fields")

#: What is asked for a new line of each kind, in this order; all the rest has defaults.
QUESTIONS: Final = {
    LineKind.PBX_REGISTERS: (),
    LineKind.WE_REGISTER: ("host", "login", "password"),
    LineKind.TRUNK: ("host",),
}
TYPED: Final = frozenset(
    {
        *("name", "login", "password", "host", "proxy", "trusted", "header"),
        *("priority", "number", "number_rules", "caller_ids", "caller_names"),
    }
)
#: One tap brings these back to what a new line has.
_DEFAULTS: Final = {
    "proxy": "",
    "trusted": "",
    "header": "",
    "number": "",
    "caller_ids": "{phone}\n{username}\n0{userid}",
    "caller_names": "{name_ascii}",
}
_SHOWN_MAX: Final = 1200


# A field


@router.callback_query(LineAsk.filter(F.field.in_(TYPED)))
async def ask(_event: object, visit: Visit, house: UseCases, callback_data: LineAsk) -> Screen:
    line = house.lines.show(visit.asker, callback_data.id).line
    return _ask_field(visit, line, callback_data.field)


@router.message(LineAsks.FIELD, F.text)
async def take(message: Message, visit: Visit, house: UseCases) -> Screen:
    data = await visit.recall()
    await visit.swallow()
    line = house.lines.show(visit.asker, int(data["line"])).line
    try:
        await house.lines.edit(visit.asker, line.id, {data["field"]: message.text or ""})
    except GatewayError as error:
        return _ask_field(visit, line, data["field"], complaint(visit.words, error))
    visit.say(visit.words.label("saved"))
    if data["field"] == "number_rules":
        return rules_screen(visit, house, line.id)
    return show_card(visit, house, line.id)


def _ask_field(visit: Visit, line: Line, field: str, wrong: str = "") -> Screen:
    visit.ask(LineAsks.FIELD, line=line.id, field=field)
    words = visit.words
    value = "•••" if field == "password" else cut(value_of(line, field), _SHOWN_MAX)
    rows = []
    if field == "priority":
        rows = grid((button(str(n), LineSet(id=line.id, field=field, value=str(n))) for n in PRIORITIES), 3)
    elif field in _DEFAULTS and value_of(line, field) != _DEFAULTS[field]:
        key = "field-clear" if not _DEFAULTS[field] else "field-default"
        rows = [[button(words.label(key), LineSet(id=line.id, field=field, value=_DEFAULTS[field]))]]
    back = LineDo(id=line.id, act=LineAct.RULES) if field == "number_rules" else LineTo(id=line.id)
    return Screen(
        joined(
            wrong,
            words("field-title", name=line.name, field=words.label(f"field-{field}")),
            words("field-now", value=value) if value else "",
            words(f"field-{field}-help"),
        ),
        [*rows, [button(words.label("cancel"), back)]],
    )


def complaint(words: Words, error: GatewayError) -> Html:
    """What was wrong."""
    return words("complaint", what=words.said(str(error)))


# A new line


@router.callback_query(NewLine.filter())
async def new(_event: object, visit: Visit, house: UseCases, callback_data: NewLine) -> Screen:
    words, session, kind = visit.words, callback_data.session, callback_data.kind
    sessions = house.accounts.list(visit.asker)
    if not session and len(sessions) == 1:
        session = sessions[0].account.id
    if not session:
        rows = [[button(title(view), NewLine(session=view.account.id, kind=kind))] for view in sessions[:50]]
        return Screen(words("line-new-session"), [*rows, [to_lines(words)]])
    name = title(house.accounts.show(visit.asker, session))
    if kind is None:
        beside = len(house.lines.list(visit.asker, session))
        rows = [[button(words.word(one), NewLine(session=session, kind=one, beside=beside))] for one in LineKind]
        return Screen(words("line-new-kind", session=name), [*rows, [to_lines(words, session)]])
    lines = [view.line.id for view in house.lines.list(visit.asker, session)]
    if len(lines) == callback_data.beside + 1:  # it was tapped twice
        return show_card(visit, house, max(lines))
    if len(lines) != callback_data.beside:
        return lines_screen(visit, house, LinesOf(session=session))
    return await _next_question(visit, house, session, kind, {})


@router.message(LineAsks.NEW, F.text)
async def take_answer(message: Message, visit: Visit, house: UseCases) -> Screen:
    data = await visit.recall()
    await visit.swallow()
    session, kind, fields = int(data["session"]), LineKind(data["kind"]), dict(data["fields"])
    question = QUESTIONS[kind][len(fields)]
    answer = {question: message.text or ""}
    try:
        house.lines.check(kind, answer)
    except GatewayError as error:
        return _ask_new(visit, session, kind, fields, complaint(visit.words, error))
    return await _next_question(visit, house, session, kind, fields | answer)


async def _next_question(visit: Visit, house: UseCases, session: int, kind: LineKind, fields: dict[str, str]) -> Screen:
    """Ask for what is missing; with everything there, make the line."""
    if len(fields) < len(QUESTIONS[kind]):
        return _ask_new(visit, session, kind, fields)
    name = visit.words.label("line-new-name", number=len(house.lines.list(visit.asker, session)) + 1)
    try:
        view = await house.lines.add(visit.asker, session, kind, {"name": name} | fields)
    except GatewayError as error:
        if not fields:
            raise
        return _ask_new(visit, session, kind, {}, complaint(visit.words, error))
    visit.say(visit.words.label("line-created"))
    return show_card(visit, house, view.line.id)


def _ask_new(visit: Visit, session: int, kind: LineKind, fields: dict[str, str], wrong: str = "") -> Screen:
    visit.ask(LineAsks.NEW, session=session, kind=kind.value, fields=fields)
    words, questions = visit.words, QUESTIONS[kind]
    field = questions[len(fields)]
    return Screen(
        joined(
            wrong,
            words("line-new-step", kind=words.word(kind), step=len(fields) + 1, steps=len(questions)),
            words("field-asked", field=words.label(f"field-{field}")),
            words(f"field-{field}-help"),
        ),
        [[button(words.label("cancel"), LinesOf(session=session))]],
    )


# Trying number rules


@router.callback_query(LineDo.filter(F.act == LineAct.DRY_RUN))
async def ask_text(_event: object, visit: Visit, house: UseCases, callback_data: LineDo) -> Screen:
    line = house.lines.show(visit.asker, callback_data.id).line
    return _ask_text(visit, line, "")


@router.message(LineAsks.DRY_RUN, F.text)
async def try_text(message: Message, visit: Visit, house: UseCases) -> Screen:
    data = await visit.recall()
    await visit.swallow()
    text = message.text or ""
    line = house.lines.show(visit.asker, int(data["line"])).line
    words = visit.words
    try:
        number = house.lines.dry_run(visit.asker, line.id, text)
    except CallError as error:
        return _ask_text(visit, line, complaint(words, error))
    result = words("rules-unsuited") if number is None else words("rules-number", number=cut(number, _SHOWN_MAX))
    return _ask_text(visit, line, joined(words("rules-tried", text=cut(text, _SHOWN_MAX)), result, by=" → "))


def _ask_text(visit: Visit, line: Line, result: str) -> Screen:
    visit.ask(LineAsks.DRY_RUN, line=line.id)
    words = visit.words
    return Screen(
        joined(words("rules-try-title", name=line.name), result, words("rules-try-help")),
        [[button(words.label("back"), LineDo(id=line.id, act=LineAct.RULES))], [to_line(words, line.id)]],
    )

"""How a line's calls from Telegram are routed in the dialplan: a recipe is picked, its blanks are filled in, and the
text that it becomes is shown before it is applied.
"""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.types import Message

from gateway.bot.data import LineAct, LineDo, RecipeFor, RouteAct, RouteAsks, RouteDo
from gateway.bot.line_fields import complaint
from gateway.bot.lines import to_line
from gateway.bot.screen import Button, Screen, button, cut
from gateway.bot.visit import Visit
from gateway.bot.words import joined
from gateway.control.door import RECIPES, GrammarError, RecipeKind, UseCases
from gateway.errors import GatewayError

router = Router(name="routing")

#: These may be left empty, and what that means is said with the question.
OPTIONAL = frozenset({"days", "zone", "open_number", "closed_number"})
_TEXT_MAX = 1500


def _do(visit: Visit, key: str, line_id: int, act: RouteAct) -> Button:
    return button(visit.words.label(key), RouteDo(id=line_id, act=act))


def routing_screen(visit: Visit, house: UseCases, line_id: int) -> Screen:
    words = visit.words
    line = house.lines.show(visit.asker, line_id).line
    view = house.routings.show(visit.asker, line_id)
    may = house.routings.may_choose(visit.asker)
    now = words("routing-now", recipe=words.word(view.recipe.kind)) if view.recipe else words("routing-straight")
    return Screen(
        joined(
            words("routing-title", name=line.name),
            now,
            words("routing-text", text=cut(view.text, _TEXT_MAX)) if view.text else "",
            words("complaint", what=words.said(view.refused)) if view.refused else "",
            words("routing-help" if may else "routing-operators"),
        ),
        [
            *([button(words.word(kind), RecipeFor(id=line_id, kind=kind))] for kind in RecipeKind if may),
            [_do(visit, "routing-clear", line_id, RouteAct.CLEAR)] if may and view.recipe else [],
            [to_line(words, line_id)],
        ],
    )


@router.callback_query(LineDo.filter(F.act == LineAct.ROUTING))
async def show(_event: object, visit: Visit, house: UseCases, callback_data: LineDo) -> Screen:
    return routing_screen(visit, house, callback_data.id)


@router.callback_query(RecipeFor.filter())
async def pick(_event: object, visit: Visit, house: UseCases, callback_data: RecipeFor) -> Screen:
    house.lines.show(visit.asker, callback_data.id)
    return _next(visit, house, {"line": callback_data.id, "kind": callback_data.kind.value, "fields": {}})


@router.message(RouteAsks.FIELD, F.text)
async def take(message: Message, visit: Visit, house: UseCases) -> Screen:
    data = await visit.recall()
    await visit.swallow()
    return _answer(visit, house, data, message.text or "")


@router.callback_query(RouteAsks.FIELD, RouteDo.filter(F.act == RouteAct.SKIP))
async def skip(_event: object, visit: Visit, house: UseCases) -> Screen:
    return _answer(visit, house, await visit.recall(), "")


def _answer(visit: Visit, house: UseCases, data: dict[str, Any], text: str) -> Screen:
    """Take one blank's value, and ask for the next."""
    grammar = RECIPES[RecipeKind(data["kind"])]
    field = [*grammar][len(data["fields"])]
    try:
        grammar[field](text)
    except GrammarError as error:
        return _next(visit, house, data, complaint(visit.words, error))
    return _next(visit, house, {**data, "fields": {**data["fields"], field: text}})


def _next(visit: Visit, house: UseCases, data: dict[str, Any], wrong: str = "") -> Screen:
    """Ask for what is missing; with everything there, show what it becomes."""
    words, line_id, kind, fields = visit.words, int(data["line"]), RecipeKind(data["kind"]), data["fields"]
    kept = {"line": line_id, "kind": kind.value, "fields": fields}
    names = [*RECIPES[kind]]
    cancel = button(words.label("cancel"), LineDo(id=line_id, act=LineAct.ROUTING))
    if len(fields) < len(names):
        field = names[len(fields)]
        visit.ask(RouteAsks.FIELD, **kept)
        return Screen(
            joined(
                wrong,
                words("routing-step", recipe=words.word(kind), step=len(fields) + 1, steps=len(names)),
                words(f"routing-{kind.value}-{field}"),
            ),
            [[_do(visit, "routing-skip", line_id, RouteAct.SKIP)] if field in OPTIONAL else [], [cancel]],
        )
    preview = house.routings.preview(visit.asker, line_id, kind, fields)
    visit.ask(RouteAsks.CONFIRM, **kept)
    return Screen(
        joined(
            wrong,
            words("routing-preview", recipe=words.word(kind)),
            words("routing-text", text=cut(preview.text, _TEXT_MAX)),
        ),
        [[_do(visit, "routing-apply", line_id, RouteAct.APPLY)], [cancel]],
    )


@router.callback_query(RouteAsks.CONFIRM, RouteDo.filter(F.act == RouteAct.APPLY))
async def apply(_event: object, visit: Visit, house: UseCases, callback_data: RouteDo) -> Screen:
    data = await visit.recall()
    if int(data["line"]) != callback_data.id:  # a button of another line's question
        return routing_screen(visit, house, callback_data.id)
    try:
        await house.routings.choose(visit.asker, callback_data.id, RecipeKind(data["kind"]), data["fields"])
    except GatewayError as error:
        return _next(visit, house, data, complaint(visit.words, error))
    visit.say(visit.words.label("saved"))
    return routing_screen(visit, house, callback_data.id)


@router.callback_query(RouteDo.filter(F.act == RouteAct.CLEAR))
async def clear(_event: object, visit: Visit, house: UseCases, callback_data: RouteDo) -> Screen:
    await house.routings.clear(visit.asker, callback_data.id)
    visit.say(visit.words.label("saved"))
    return routing_screen(visit, house, callback_data.id)

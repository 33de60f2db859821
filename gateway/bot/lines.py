"""/lines: the connections to PBXs (L1-L7): lists, cards, and what one tap does."""

from __future__ import annotations

from typing import Final

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from gateway.bot.data import (
    Close,
    LineAct,
    LineAsk,
    LineDo,
    LineSet,
    LinesOf,
    LineTo,
    NewLine,
    Place,
    SessionTo,
    To,
)
from gateway.bot.paging import page_of, pager
from gateway.bot.screen import Button, Screen, button, cut, forget, grid
from gateway.bot.secrets import Secrets
from gateway.bot.sessions import title
from gateway.bot.start import to_home
from gateway.bot.visit import Visit
from gateway.bot.words import Html, Words, joined
from gateway.call.model import DtmfMethod, Line, LineKind, Transport
from gateway.control.door import Credentials, LineHealth, LineView, UseCases
from gateway.errors import GatewayError

router = Router(name="lines")

LIGHTS: Final = {
    LineHealth.UP: "🟢",
    LineHealth.WAITING: "🟡",
    LineHealth.DOWN: "🔴",
    LineHealth.REFUSED: "🔴",
    LineHealth.OFF: "⏸",
}
#: What can be chosen from by tapping; the order of tapping is the order of preference.
CHOICES: Final = {
    "codecs": ("g722", "alaw", "ulaw", "opus", "gsm"),
    "dtmf": tuple(method.value for method in DtmfMethod),
}
PRIORITIES: Final = (1, 5, 10, 20, 50, 99)
#: What each kind's card asks for in words, in rows; the rest is common.
_OWN_FIELDS: Final = {
    LineKind.PBX_REGISTERS: (("trusted",),),
    LineKind.WE_REGISTER: (("host", "login"), ("password", "proxy")),
    LineKind.TRUNK: (("host", "header"), ("trusted",)),
}
_VALUE_MAX: Final = 300


def value_of(line: Line, field: str) -> str:
    """A field's value as a person would type it."""
    value = getattr(line, field)
    if field == "host" and line.host:
        host = f"[{line.host}]" if ":" in line.host else line.host
        return host if line.port is None else f"{host}:{line.port}"
    if isinstance(value, tuple):
        return ("\n" if field in ("caller_ids", "caller_names") else ", ").join(str(one) for one in value)
    return str(value)


def short(words: Words, line: Line, field: str) -> str:
    """A field and its value, for a button."""
    value = "•••" if field == "password" else value_of(line, field).replace("\n", " / ")
    return words.label("field-is", field=words.label(f"field-{field}"), value=value or words.label("none"))


def to_lines(words: Words, session: int = 0) -> Button:
    return button(words.label("back-to-lines"), LinesOf(session=session))


def to_line(words: Words, line_id: int) -> Button:
    return button(words.label("back-to-line"), LineTo(id=line_id))


# Lists


@router.message(Command("lines"))
@router.callback_query(To.filter(F.place == Place.LINES))
async def show_all_lines(_event: object, visit: Visit, house: UseCases) -> Screen:
    return lines_screen(visit, house, LinesOf(session=0))


@router.callback_query(LinesOf.filter())
async def show_lines(_event: object, visit: Visit, house: UseCases, callback_data: LinesOf) -> Screen:
    return lines_screen(visit, house, callback_data)


def lines_screen(visit: Visit, house: UseCases, asked: LinesOf) -> Screen:
    words = visit.words
    names = {view.account.id: title(view) for view in house.accounts.list(visit.asker)}
    views = house.lines.list(visit.asker, asked.session or None)
    views.sort(key=lambda view: (view.line.account_id, view.line.priority, view.line.id))
    page = page_of(views, asked.page)
    one_session = bool(asked.session) or len(names) == 1
    rows = [
        [
            button(
                f"{LIGHTS[view.state.health]} {view.line.priority} · {view.line.name}"
                + ("" if one_session else f" · {names[view.line.account_id]}"),
                LineTo(id=view.line.id),
            )
        ]
        for view in page.entries
    ]
    if not names:
        text = words("lines-no-session")
    else:
        text = words("lines", lines=len(views)) if views else words("lines-none")
    whose = words("lines-of", session=names[asked.session]) if asked.session else ""
    back = button(words.label("back"), SessionTo(id=asked.session)) if asked.session else to_home(words)
    return Screen(
        joined(whose, text),
        [
            *rows,
            pager(page, lambda number: LinesOf(session=asked.session, page=number)),
            [button(words.label("line-new"), NewLine(session=asked.session))] if names else [],
            [back],
        ],
    )


# A line


def line_screen(visit: Visit, house: UseCases, line_id: int) -> Screen:
    words = visit.words
    view = house.lines.show(visit.asker, line_id)
    line = view.line
    session = house.accounts.show(visit.asker, line.account_id)

    def ask(field: str) -> Button:
        return button(short(words, line, field), LineAsk(id=line.id, field=field))

    on_off = button(
        words.label("switch-on" if line.enabled else "switch-off"),
        LineSet(id=line.id, field="enabled", value="off" if line.enabled else "on"),
    )
    secure = button(
        words.label("srtp-on" if line.srtp else "srtp-off"),
        LineSet(id=line.id, field="srtp", value="off" if line.srtp else "on"),
    )
    transport = button(
        words.label("field-is", field=words.label("field-transport"), value=line.transport.value.upper()),
        LineDo(id=line.id, act=LineAct.TRANSPORT),
    )
    routing = LineDo(id=line.id, act=LineAct.ROUTING)
    credentials = button(words.label("line-credentials"), LineDo(id=line.id, act=LineAct.CREDENTIALS))
    return Screen(
        joined(line_text(words, view, title(session)), _our_address(visit, house, line)),
        [
            [on_off, ask("priority")],
            [credentials] if line.kind is LineKind.PBX_REGISTERS else [],
            *([ask(field) for field in row] for row in _OWN_FIELDS[line.kind]),
            [transport, secure] if line.transport is Transport.TLS else [transport],
            [ask("codecs")],
            [ask("dtmf"), ask("number")],
            [
                button(words.label("line-rules"), LineDo(id=line.id, act=LineAct.RULES)),
                button(words.label("field-caller_ids"), LineAsk(id=line.id, field="caller_ids")),
                button(words.label("field-caller_names"), LineAsk(id=line.id, field="caller_names")),
            ],
            [button(words.label("line-routing", recipe=_recipe(words, house, visit, line.id)), routing)],
            [
                button(words.label("line-rename"), LineAsk(id=line.id, field="name")),
                button(words.label("line-delete"), LineDo(id=line.id, act=LineAct.DELETE)),
            ],
            [to_lines(words, line.account_id), button(words.label("refresh"), LineTo(id=line.id))],
        ],
    )


def _our_address(visit: Visit, house: UseCases, line: Line) -> Html | str:
    """What a PBX has to know of us that nobody gives a login to."""
    if line.kind is not LineKind.TRUNK:
        return ""
    host, port = house.lines.address(visit.asker, line.id)
    return visit.words("line-our-address", address=f"{host}:{port}", transport=line.transport.value.upper())


def _recipe(words: Words, house: UseCases, visit: Visit, line_id: int) -> str:
    recipe = house.routings.show(visit.asker, line_id).recipe
    return words.word(recipe.kind) if recipe else words.label("none")


def line_text(words: Words, view: LineView, session: str) -> Html:
    line, state = view.line, view.state
    rtt = words("line-rtt", ms=round(state.rtt_ms)) if state.rtt_ms is not None else ""
    return joined(
        words("line-title", name=line.name, session=session, kind=words.word(line.kind)),
        words(
            "line-state", light=LIGHTS[state.health], health=words.word(state.health), detail=words.said(state.detail)
        ),
        rtt,
        words("complaint", what=words.said(state.warning)) if state.warning else "",
        by="\n",
    )


def show_card(visit: Visit, house: UseCases, line_id: int) -> Screen:
    """The card, following the line's state while the person looks at it."""
    screen = line_screen(visit, house, line_id)
    visit.follow(lambda: line_screen(visit, house, line_id))
    return screen


@router.callback_query(LineTo.filter())
async def show_line(_event: object, visit: Visit, house: UseCases, callback_data: LineTo) -> Screen:
    return show_card(visit, house, callback_data.id)


# One tap


@router.callback_query(LineSet.filter())
async def set_field(_event: object, visit: Visit, house: UseCases, callback_data: LineSet) -> Screen:
    field, line_id = callback_data.field, callback_data.id
    await house.lines.edit(visit.asker, line_id, {field: callback_data.value})
    if field in CHOICES:
        return choice_screen(visit, house, line_id, field)
    visit.say(visit.words.label("saved"))
    if field == "number_rules":
        return rules_screen(visit, house, line_id)
    return show_card(visit, house, line_id)


@router.callback_query(LineDo.filter(F.act == LineAct.TRANSPORT))
async def next_transport(_event: object, visit: Visit, house: UseCases, callback_data: LineDo) -> Screen:
    """UDP → TCP → TLS → UDP, past those that this gateway does not offer."""
    line = house.lines.show(visit.asker, callback_data.id).line
    every = list(Transport)
    at = every.index(line.transport)
    for transport in (*every[at + 1 :], *every[:at]):
        fields = {"transport": transport.value} | ({} if transport is Transport.TLS else {"srtp": "off"})
        try:
            await house.lines.edit(visit.asker, line.id, fields)
            break
        except GatewayError as refused:
            visit.say(visit.words.said(str(refused)))
    else:
        visit.say(visit.words.label("line-transport-only", transport=line.transport.value.upper()), alert=True)
    return show_card(visit, house, line.id)


@router.callback_query(LineAsk.filter(F.field.in_(CHOICES)))
async def choose(_event: object, visit: Visit, house: UseCases, callback_data: LineAsk) -> Screen:
    return choice_screen(visit, house, callback_data.id, callback_data.field)


def choice_screen(visit: Visit, house: UseCases, line_id: int, field: str) -> Screen:
    """Codecs or DTMF methods: a tap takes one in, at the end, or out."""
    words = visit.words
    line = house.lines.show(visit.asker, line_id).line
    chosen = [str(one) for one in getattr(line, field)]

    def option(name: str) -> Button:
        after = [one for one in chosen if one != name] if name in chosen else [*chosen, name]
        mark = f"{chosen.index(name) + 1}. " if name in chosen else ""
        return button(f"{mark}{name}", LineSet(id=line.id, field=field, value=",".join(after)))

    return Screen(
        joined(
            words("field-title", name=line.name, field=words.label(f"field-{field}")),
            words("field-now", value=", ".join(chosen)),
            words(f"field-{field}-help"),
        ),
        [*grid((option(name) for name in CHOICES[field]), 3), [to_line(words, line.id)]],
    )


# Credentials


@router.callback_query(LineDo.filter(F.act == LineAct.CREDENTIALS))
async def show_credentials(
    _event: object, visit: Visit, house: UseCases, callback_data: LineDo, secrets: Secrets
) -> None:
    given = house.lines.credentials(visit.asker, callback_data.id)
    _show_secret(visit, secrets, callback_data.id, given)
    visit.say(visit.words.label("line-credentials-below"))


@router.callback_query(LineDo.filter(F.act == LineAct.RESET))
async def ask_reset(_event: object, visit: Visit, house: UseCases, callback_data: LineDo) -> Screen:
    words = visit.words
    line = house.lines.show(visit.asker, callback_data.id).line
    yes = button(words.label("line-reset-yes"), LineDo(id=line.id, act=LineAct.RESET_YES))
    visit.anew()
    return Screen(words("line-reset", name=line.name), [[yes], [to_line(words, line.id)]])


@router.callback_query(LineDo.filter(F.act == LineAct.RESET_YES))
async def reset(_event: object, visit: Visit, house: UseCases, callback_data: LineDo, secrets: Secrets) -> Screen:
    given = await house.lines.reset_password(visit.asker, callback_data.id)
    _show_secret(visit, secrets, callback_data.id, given)
    visit.say(visit.words.label("line-credentials-below"))
    return show_card(visit, house, callback_data.id)


def _show_secret(visit: Visit, secrets: Secrets, line_id: int, given: Credentials) -> None:
    words = visit.words
    screen = Screen(
        words(
            "credentials",
            server=f"{given.host}:{given.port}",
            transport=given.transport.value.upper(),
            login=given.login,
            password=given.password,
            seconds=round(secrets.shown_s),
        ),
        [
            [button(words.label("credentials-close"), Close())],
            [button(words.label("credentials-reset"), LineDo(id=line_id, act=LineAct.RESET))],
        ],
    )
    visit.live.spawn(secrets.show(visit.user.id, screen), visit.user.id)


@router.callback_query(Close.filter())
async def close(event: CallbackQuery, visit: Visit) -> None:
    if isinstance(event.message, Message):
        await forget(visit.bot, visit.user.id, event.message.message_id)


# Number rules


@router.callback_query(LineDo.filter(F.act == LineAct.RULES))
async def show_rules(_event: object, visit: Visit, house: UseCases, callback_data: LineDo) -> Screen:
    return rules_screen(visit, house, callback_data.id)


def rules_screen(visit: Visit, house: UseCases, line_id: int) -> Screen:
    words = visit.words
    line = house.lines.show(visit.asker, line_id).line
    rules = cut(line.number_rules, _VALUE_MAX * 4) or words.label("rules-none")
    return Screen(
        joined(words("rules-title", name=line.name), words("rules-now", rules=rules), words("rules-help")),
        [
            [
                button(words.label("rules-change"), LineAsk(id=line.id, field="number_rules")),
                button(words.label("rules-try"), LineDo(id=line.id, act=LineAct.DRY_RUN)),
            ],
            [
                button(words.label("rules-default"), LineSet(id=line.id, field="number_rules", value=".*=")),
                button(words.label("rules-clear"), LineSet(id=line.id, field="number_rules", value="=")),
            ],
            [to_line(words, line.id)],
        ],
    )


# Deletion


@router.callback_query(LineDo.filter(F.act == LineAct.DELETE))
async def ask_delete(_event: object, visit: Visit, house: UseCases, callback_data: LineDo) -> Screen:
    words = visit.words
    line = house.lines.show(visit.asker, callback_data.id).line
    yes = button(words.label("line-delete-yes"), LineDo(id=line.id, act=LineAct.DELETE_YES))
    return Screen(words("line-delete-sure", name=line.name), [[yes], [to_line(words, line.id)]])


@router.callback_query(LineDo.filter(F.act == LineAct.DELETE_YES))
async def delete(_event: object, visit: Visit, house: UseCases, callback_data: LineDo) -> Screen:
    account_id = house.lines.show(visit.asker, callback_data.id).line.account_id
    await house.lines.delete(visit.asker, callback_data.id)
    visit.say(visit.words.label("line-deleted"))
    return lines_screen(visit, house, LinesOf(session=account_id))

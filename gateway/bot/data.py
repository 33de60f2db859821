"""What buttons send back when pressed. All of it may be forged, so nothing here is believed: ids are looked up in the
name of whoever pressed, and values go through the same grammars as typed ones.

Buttons say what shall be so, not "the other way round": a press that comes twice, or from an old screen, does no harm.
"""

from __future__ import annotations

import enum

from aiogram.filters.callback_data import CallbackData
from aiogram.fsm.state import State, StatesGroup

from gateway.call.model import LineKind
from gateway.control.door import RecipeKind, Recommended


class Place(enum.StrEnum):
    HOME = "home"
    SESSIONS = "sessions"
    LINES = "lines"
    CALLS = "calls"
    LIVE_CALLS = "live"
    LANGUAGE = "language"
    HELP = "help"


class To(CallbackData, prefix="to"):
    place: Place
    page: int = 0


class ChooseLanguage(CallbackData, prefix="lang"):
    language: str


# The wizard


class WizardStep(enum.StrEnum):
    BEGIN = "begin"
    OWN_STORAGE = "own"
    PHONE = "phone"
    QR = "qr"
    TERMINAL = "terminal"
    RESEND = "resend"
    PASSWORD = "password"  # noqa: S105 - the name of a step
    PAGE = "page"
    WARNING = "warning"
    RECOVERY = "recovery"
    CANCEL = "cancel"


class Wizard(CallbackData, prefix="w"):
    step: WizardStep


class KeyName(enum.StrEnum):
    BACK = "back"
    DONE = "done"


class Key(CallbackData, prefix="k"):
    """A key of the code's keypad: a digit or a name."""

    key: str


class WizardAsks(StatesGroup):
    PHONE = State()
    CODE = State()
    PASSWORD = State()
    RECOVERY = State()
    QR = State()


# Session accounts


class SessionTo(CallbackData, prefix="s"):
    """`anew`: in a message of its own, because the button is on a notice."""

    id: int
    anew: bool = False


class SessionAct(enum.StrEnum):
    ON = "on"
    OFF = "off"
    LIMIT = "limit"
    RECOMMENDED = "rec"
    CHAT = "chat"
    HANDOVER = "give"
    SHARE = "share"
    SHARE_NOT = "share0"
    DISCONNECT = "out"
    DISCONNECT_KEEP = "out1"
    DISCONNECT_ALL = "out2"


class SessionDo(CallbackData, prefix="sd"):
    id: int
    act: SessionAct
    anew: bool = False


class SessionLimit(CallbackData, prefix="sl"):
    id: int
    calls: int


class Recommend(CallbackData, prefix="sr"):
    id: int
    setting: Recommended


class RecommendAll(CallbackData, prefix="sra"):
    id: int


class SessionAsks(StatesGroup):
    HANDOVER = State()


class HandoverAct(enum.StrEnum):
    WITHDRAW = "withdraw"
    GIVE_UP = "leave"
    GIVE_UP_YES = "leave1"
    LOOK = "look"
    ACCEPT = "accept"
    DECLINE = "decline"


class HandoverDo(CallbackData, prefix="h"):
    id: int
    act: HandoverAct


class ChatSet(CallbackData, prefix="cf"):
    """One tap sets a setting of T1-T3."""

    id: int
    field: str
    value: str


class ChatAsk(CallbackData, prefix="ca"):
    id: int
    field: str


class ChatAsks(StatesGroup):
    TEXT = State()


# Lines


class LineTo(CallbackData, prefix="l"):
    id: int
    anew: bool = False


class LinesOf(CallbackData, prefix="ls"):
    """`session` 0: of all his sessions."""

    session: int
    page: int = 0


class NewLine(CallbackData, prefix="ln"):
    """`session` 0: it is to be chosen; no `kind`: that is to be chosen. `beside`: how many lines the session had when
    the button was shown; with another number the button has done its work.
    """

    session: int = 0
    kind: LineKind | None = None
    beside: int = 0


class LineSet(CallbackData, prefix="lf"):
    """One tap sets a field."""

    id: int
    field: str
    value: str


class LineAsk(CallbackData, prefix="la"):
    """Asks for the value of a field, or shows what it may be."""

    id: int
    field: str


class LineAct(enum.StrEnum):
    TRANSPORT = "transport"
    CREDENTIALS = "cred"
    RESET = "reset"
    RESET_YES = "reset1"
    ROUTING = "route"
    RULES = "rules"
    DRY_RUN = "dry"
    DELETE = "del"
    DELETE_YES = "del1"


class Close(CallbackData, prefix="x"):
    """Deletes the message that it is on."""


class LineDo(CallbackData, prefix="ld"):
    id: int
    act: LineAct


class LineAsks(StatesGroup):
    FIELD = State()
    DRY_RUN = State()
    NEW = State()


class RecipeFor(CallbackData, prefix="rf"):
    id: int
    kind: RecipeKind


class RouteAct(enum.StrEnum):
    SKIP = "skip"
    APPLY = "apply"
    CLEAR = "clear"


class RouteDo(CallbackData, prefix="rd"):
    id: int
    act: RouteAct


class RouteAsks(StatesGroup):
    FIELD = State()
    CONFIRM = State()


# Calls


class CallTo(CallbackData, prefix="c"):
    id: str


class CallsOf(CallbackData, prefix="cs"):
    """`session` 0: of all his sessions."""

    session: int
    page: int = 0

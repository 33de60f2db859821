"""The words of a call: its states, who takes part, what is asked and what is decided."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import Ending, HangupCause
from gateway.media.model import AudioFormat, MediaReport


class CallState(enum.StrEnum):
    OFFERED = "offered"  # the near leg rings at us; nothing is promised yet
    DIALLING = "dialling"  # the far leg is asked for; near hears nothing yet
    ALERTING = "alerting"  # the far peer rings; near hears ringback
    ANSWERING = "answering"  # far carries audio; near is being answered
    UP = "up"  # both legs carry audio
    ENDING = "ending"  # the cause is known; both legs are being released
    ENDED = "ended"  # both legs are released


_S = CallState
MOVES: Final[Mapping[CallState, frozenset[CallState]]] = {
    _S.OFFERED: frozenset({_S.DIALLING, _S.ENDING}),
    _S.DIALLING: frozenset({_S.ALERTING, _S.ANSWERING, _S.ENDING}),
    _S.ALERTING: frozenset({_S.ANSWERING, _S.ENDING}),
    _S.ANSWERING: frozenset({_S.UP, _S.ENDING}),
    _S.UP: frozenset({_S.ENDING}),
    _S.ENDING: frozenset({_S.ENDED}),
    _S.ENDED: frozenset(),
}


class Direction(enum.StrEnum):
    SIP_TO_TELEGRAM = "sip-to-telegram"
    TELEGRAM_TO_SIP = "telegram-to-sip"


@dataclass(frozen=True, slots=True)
class TelegramUser:
    """A Telegram user, as far as the session account knows him."""

    id: int
    username: str = ""
    phone: str = ""  # digits only, without the plus
    first_name: str = ""
    last_name: str = ""

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True, slots=True)
class Party:
    """A caller, as he is shown to the other side.

    Attributes:
        number: The caller ID.
        name: The caller name.
        user: The Telegram user, if he is one.
        headers: SIP headers that go with him to the PBX (L9), values already safe.
    """

    number: str = ""
    name: str = ""
    user: TelegramUser | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class LineKind(enum.StrEnum):
    """Who reaches whom (L1, L2, L3)."""

    PBX_REGISTERS = "pbx-registers"
    WE_REGISTER = "we-register"
    TRUNK = "trunk"  # IP to IP, no registration


class Transport(enum.StrEnum):
    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class DtmfMethod(enum.StrEnum):
    RFC4733 = "rfc4733"
    INFO = "info"
    INBAND = "inband"


@dataclass(frozen=True, slots=True)
class Line:
    """A connection between one session account and one PBX (product L1-L7).

    `host`, `port` and `proxy` belong to WE_REGISTER and TRUNK, `trusted` to PBX_REGISTERS and TRUNK.
    """

    id: int
    account_id: int
    name: str
    kind: LineKind
    enabled: bool = True
    login: str = ""
    password: str = field(default="", repr=False)
    host: str = ""
    port: int | None = None
    proxy: str = ""
    trusted: tuple[str, ...] = ()  # addresses and subnets
    header: str = ""  # "Field:Value", tells lines between the same two hosts apart
    transport: Transport = Transport.UDP
    srtp: bool = False
    codecs: tuple[str, ...] = ("g722", "alaw", "ulaw")
    dtmf: tuple[DtmfMethod, ...] = (DtmfMethod.RFC4733,)
    priority: int = 10  # 1 is tried first, 99 last
    number: str = ""  # the number on the PBX that Telegram users reach
    number_rules: str = ".*="
    caller_ids: tuple[str, ...] = ("{phone}", "{username}", "0{userid}")
    caller_names: tuple[str, ...] = ("{name_ascii}",)

    @property
    def endpoint(self) -> str:
        """Its name in Asterisk. Also the login of a PBX that registers with us."""
        return f"line{self.id}"


@dataclass(frozen=True, slots=True)
class Account:
    """A session account: a Telegram user account attached as one more device (R1)."""

    id: int
    phone: str
    user_id: int
    username: str = ""
    name: str = ""
    enabled: bool = True
    administrator_id: int | None = None
    call_limit: int = 10  # simultaneous calls; 1 makes Telegram itself refuse further callers (K3)


@dataclass(frozen=True, slots=True)
class Route:
    """Where an offer goes, as routing decided.

    Attributes:
        to: What the far leg dials: a number on the PBX, or `id:<n>`, `@<username>`, `+<digits>` on Telegram.
    """

    account: Account
    line: Line
    to: str
    caller: Party


@dataclass(slots=True)
class CallRecord:
    """What is kept of a call (K5). Times are UTC."""

    call_id: str
    direction: Direction
    account_id: int | None
    line_id: int | None
    caller: str
    dialled: str
    offered_at: dt.datetime
    answered_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    state: CallState = CallState.OFFERED  # the last state before ENDING
    ending: Ending = field(default_factory=lambda: Ending(HangupCause.INTERNAL))
    ended_by: str = ""  # "near", "far", "media" or "gateway"
    telegram_user_id: int | None = None
    format: AudioFormat | None = None
    media: MediaReport = field(default_factory=MediaReport)

    @property
    def talk_s(self) -> float:
        """How long both legs carried audio."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.answered_at).total_seconds()

"""SIP's column of the table of hangup causes: what Q.850 number and SIP code each is, and back.

Asterisk is told a Q.850 number and makes the SIP code of it: 1 becomes 404, 17 becomes 486, and so on.

Source: ITU-T Q.850 §2.2.5; RFC 3398 §8.2.6.1; Asterisk 22, `hangup_cause2sip` in chan_pjsip.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.errors import Ending, HangupCause

_C = HangupCause

#: Asterisk has no number for 603, and answers it for every number that it has no code for. A number's low seven bits
#: are what it puts into the Reason header, so one of these with the eighth bit set is a 603 that says the right reason.
_AS_603: Final = 128


@dataclass(frozen=True, slots=True)
class SipCause:
    """How a cause is said to a PBX.

    Attributes:
        q850: The number, which also goes into a `Reason: Q.850;cause=…` header.
        code: The final response to an INVITE.
    """

    q850: int
    code: int

    @property
    def told(self) -> int:
        """What Asterisk is told, so that both come out."""
        return self.q850 + _AS_603 if self.code == 603 else self.q850


SAID: Final[Mapping[HangupCause, SipCause]] = MappingProxyType(
    {
        _C.NORMAL: SipCause(16, 603),
        _C.CANCELLED: SipCause(31, 480),
        _C.BUSY: SipCause(17, 486),
        _C.DECLINED: SipCause(21, 603),
        _C.NO_ANSWER: SipCause(19, 480),
        _C.ANSWERED_ELSEWHERE: SipCause(26, 603),
        _C.PRIVACY: SipCause(21, 403),
        _C.UNKNOWN_NUMBER: SipCause(1, 404),
        _C.INVALID_NUMBER: SipCause(28, 484),
        _C.SELF_CALL: SipCause(21, 403),
        _C.FLOOD: SipCause(42, 503),
        _C.OFFLINE: SipCause(34, 503),
        _C.INCOMPATIBLE_PEER: SipCause(58, 488),
        _C.OVER_LIMIT: SipCause(17, 486),
        _C.NO_LINE: SipCause(3, 404),
        _C.LINE_DOWN: SipCause(27, 502),
        _C.FORBIDDEN: SipCause(21, 403),
        _C.CONGESTION: SipCause(34, 503),
        _C.INCOMPATIBLE_MEDIA: SipCause(58, 488),
        _C.MEDIA_LOST: SipCause(38, 500),
        _C.SHUTDOWN: SipCause(42, 503),
        _C.INTERNAL: SipCause(127, 500),
    }
)

#: Final responses of a PBX to our INVITE. What is not here goes by its hundred.
_BY_CODE: Final[Mapping[int, HangupCause]] = MappingProxyType(
    {
        401: _C.FORBIDDEN,
        403: _C.FORBIDDEN,
        404: _C.UNKNOWN_NUMBER,
        407: _C.FORBIDDEN,
        408: _C.LINE_DOWN,  # mostly made by our own Asterisk, when the PBX says nothing at all
        410: _C.UNKNOWN_NUMBER,
        414: _C.INVALID_NUMBER,
        415: _C.INCOMPATIBLE_MEDIA,
        416: _C.INVALID_NUMBER,
        480: _C.NO_ANSWER,
        484: _C.INVALID_NUMBER,
        485: _C.INVALID_NUMBER,
        486: _C.BUSY,
        487: _C.CANCELLED,
        488: _C.INCOMPATIBLE_MEDIA,
        502: _C.LINE_DOWN,
        600: _C.BUSY,
        603: _C.DECLINED,
        604: _C.UNKNOWN_NUMBER,
        606: _C.INCOMPATIBLE_MEDIA,
        607: _C.DECLINED,
        608: _C.DECLINED,
    }
)

#: Why a channel was hung up. What is not here goes by its class.
_BY_Q850: Final[Mapping[int, HangupCause]] = MappingProxyType(
    {
        1: _C.UNKNOWN_NUMBER,
        2: _C.UNKNOWN_NUMBER,
        3: _C.LINE_DOWN,  # Asterisk knows no way to the endpoint
        16: _C.NORMAL,
        17: _C.BUSY,
        18: _C.NO_ANSWER,
        19: _C.NO_ANSWER,
        20: _C.LINE_DOWN,
        21: _C.DECLINED,
        22: _C.UNKNOWN_NUMBER,
        26: _C.ANSWERED_ELSEWHERE,
        27: _C.LINE_DOWN,
        28: _C.INVALID_NUMBER,
        31: _C.NORMAL,
        44: _C.MEDIA_LOST,  # Asterisk: no RTP within the line's rtp_timeout
        58: _C.INCOMPATIBLE_MEDIA,
        65: _C.INCOMPATIBLE_MEDIA,
        79: _C.INCOMPATIBLE_MEDIA,
        88: _C.INCOMPATIBLE_MEDIA,
    }
)

_TECH: Final = re.compile(r"^SIP (\d{3})\b")


def by_code(code: int) -> HangupCause:
    """What a final response other than 2xx means."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    return _C.DECLINED if code >= 600 else _C.CONGESTION


def by_q850(cause: int) -> HangupCause:
    """What the end of a channel means. 0 is a channel that ended without a word."""
    cause &= 0x7F
    if cause in _BY_Q850:
        return _BY_Q850[cause]
    return _C.NORMAL if cause < 32 else _C.CONGESTION


def refusal(q850: int, dial_status: str, said: str) -> Ending:
    """Why a PBX did not take our call.

    Args:
        dial_status: Asterisk's DIALSTATUS.
        said: Its HANGUPCAUSE(…,tech), such as "SIP 486 Busy Here"; empty when no response came.
    """
    if found := _TECH.match(said):
        return Ending(by_code(int(found[1])), said)
    if dial_status == "CHANUNAVAIL":
        return Ending(_C.LINE_DOWN, "the PBX is not registered, or has no address")
    return Ending(by_q850(q850), said or f"Q.850 {q850}")

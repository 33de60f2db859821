"""How things fail here, and the words for how a call ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Self


class HangupCause(enum.StrEnum):
    """Why a call ended, in words that belong to neither side.

    Each side's `causes.py` says what every one of them is in that side's terms.
    """

    NORMAL = "normal"  # a peer hung up after the conversation
    CANCELLED = "cancelled"  # the caller gave up before the answer
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    ANSWERED_ELSEWHERE = "answered_elsewhere"  # another leg of the fork, or another device, took it
    PRIVACY = "privacy"  # the user does not take calls from this account
    UNKNOWN_NUMBER = "unknown_number"
    INVALID_NUMBER = "invalid_number"  # not a number or name of any known form
    SELF_CALL = "self_call"  # an account can't call itself
    FLOOD = "flood"  # Telegram's limit; try again after a time
    OFFLINE = "offline"  # the session account is not connected to Telegram
    INCOMPATIBLE_PEER = "incompatible_peer"  # the user's app can't take such calls
    OVER_LIMIT = "over_limit"  # as many calls as the account, line or plan may have
    NO_LINE = "no_line"  # no line suits the call, or it is switched off
    LINE_DOWN = "line_down"  # the PBX can't be reached
    FORBIDDEN = "forbidden"  # the PBX refused us: credentials, or its rules
    CONGESTION = "congestion"  # the PBX or Telegram is overloaded or failing
    INCOMPATIBLE_MEDIA = "incompatible_media"  # no common codec
    MEDIA_LOST = "media_lost"  # audio never came, or stopped for good
    SHUTDOWN = "shutdown"  # the gateway is being stopped
    INTERNAL = "internal"  # a fault of ours


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a call or a leg ended, with what a person needs to understand it.

    Attributes:
        cause: The word for it.
        detail: The other network's own name for it ("SIP 486", "USER_PRIVACY_RESTRICTED"), or a sentence.
        retry_after_s: When it may be tried again, if that is known.
    """

    cause: HangupCause
    detail: str = ""
    retry_after_s: int | None = None


class GatewayError(Exception):
    """Something foreseen went wrong; its text is a sentence for a person."""


class SettingsError(GatewayError):
    """A setting is missing or wrong."""


class CallError(GatewayError):
    """Ends one call, and says how."""

    def __init__(self, cause: HangupCause, detail: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(detail or cause.value)
        self.ending = Ending(cause, detail, retry_after_s)

    @classmethod
    def of(cls, ending: Ending) -> Self:
        """The same, as an exception."""
        return cls(ending.cause, ending.detail, ending.retry_after_s)

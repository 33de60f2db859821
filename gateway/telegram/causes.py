"""Telegram's column of the table of hangup causes: its errors and discard reasons in the words of a call, and back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from telethon import errors
from telethon.errors import RPCError
from telethon.tl import types

from gateway.errors import CallError, Ending, HangupCause

_C = HangupCause

#: Source: https://core.telegram.org/method/phone.requestCall, phone.acceptCall, contacts.resolvePhone,
#: contacts.resolveUsername (possible errors).
BY_NAME: Final[Mapping[str, HangupCause]] = MappingProxyType(
    {
        "USER_PRIVACY_RESTRICTED": _C.PRIVACY,
        "USER_IS_BLOCKED": _C.PRIVACY,
        "YOU_BLOCKED_USER": _C.PRIVACY,
        "PRIVACY_PREMIUM_REQUIRED": _C.PRIVACY,
        "USER_ID_INVALID": _C.UNKNOWN_NUMBER,
        "INPUT_USER_DEACTIVATED": _C.UNKNOWN_NUMBER,
        "PHONE_NOT_OCCUPIED": _C.UNKNOWN_NUMBER,
        "USERNAME_NOT_OCCUPIED": _C.UNKNOWN_NUMBER,
        "USERNAME_INVALID": _C.INVALID_NUMBER,
        "PHONE_NUMBER_INVALID": _C.INVALID_NUMBER,
        "PARTICIPANT_VERSION_OUTDATED": _C.INCOMPATIBLE_PEER,
        "CALL_PROTOCOL_FLAGS_INVALID": _C.INCOMPATIBLE_PEER,
        "CALL_PROTOCOL_LAYER_INVALID": _C.INCOMPATIBLE_PEER,
        "CALL_PROTOCOL_COMPAT_LAYER_INVALID": _C.INCOMPATIBLE_PEER,
        "CALL_OCCUPY_FAILED": _C.BUSY,
        "CALL_ALREADY_ACCEPTED": _C.ANSWERED_ELSEWHERE,
        "CALL_ALREADY_DECLINED": _C.CANCELLED,
        "CALL_PEER_INVALID": _C.CANCELLED,  # Telegram knows no such call any more
        "PEER_FLOOD": _C.FLOOD,  # for how long, Telegram does not say
        "AUTH_KEY_DUPLICATED": _C.OFFLINE,
    }
)

#: What is not in the table above, by the class of the error.
#: Source: https://core.telegram.org/api/errors
BY_CODE: Final[Mapping[int, HangupCause]] = MappingProxyType(
    {
        303: _C.CONGESTION,
        400: _C.INTERNAL,
        401: _C.OFFLINE,
        403: _C.PRIVACY,
        404: _C.INTERNAL,
        406: _C.CONGESTION,
        420: _C.FLOOD,
        500: _C.CONGESTION,
        503: _C.CONGESTION,
    }
)

_NAMES: Final[Mapping[type[RPCError], str]] = MappingProxyType(
    {kind: name for name, kind in (*errors.rpc_errors_re, *errors.rpc_errors_dict.items())}
)


def error_name(error: RPCError) -> str:
    """Telegram's own name for the error, as in "FLOOD_WAIT_30". Telethon keeps it only for those it does not know."""
    name = _NAMES.get(type(error), error.message or type(error).__name__)
    captured = next((value for value in vars(error).values() if type(value) is int), 0)
    return name.replace(r"(\d+)", str(captured))


def call_error(error: Exception) -> CallError:
    """Say what went wrong between us and Telegram in the words of a call."""
    match error:
        case CallError():
            return error
        case RPCError():
            name = error_name(error)
            cause = BY_NAME.get(name) or BY_CODE.get(abs(error.code or 0), _C.INTERNAL)
            wait = getattr(error, "seconds", None) if cause is _C.FLOOD else None
            return CallError(cause, name, retry_after_s=wait)
        case TimeoutError():
            return CallError(_C.CONGESTION, "Telegram did not answer in time")
        case OSError():
            return CallError(_C.OFFLINE, "the connection to Telegram was lost")
        case _:
            return CallError(_C.INTERNAL, str(error))


#: How we discard a call, by the reason that we have.
#: Source: https://core.telegram.org/type/PhoneCallDiscardReason
DISCARDS: Final[Mapping[HangupCause, type[Any]]] = MappingProxyType(
    {
        _C.NORMAL: types.PhoneCallDiscardReasonHangup,
        _C.CANCELLED: types.PhoneCallDiscardReasonMissed,  # so that the user sees a missed call
        _C.BUSY: types.PhoneCallDiscardReasonBusy,
        _C.DECLINED: types.PhoneCallDiscardReasonBusy,
        _C.NO_ANSWER: types.PhoneCallDiscardReasonMissed,
        _C.ANSWERED_ELSEWHERE: types.PhoneCallDiscardReasonHangup,
        _C.PRIVACY: types.PhoneCallDiscardReasonHangup,
        _C.UNKNOWN_NUMBER: types.PhoneCallDiscardReasonHangup,
        _C.INVALID_NUMBER: types.PhoneCallDiscardReasonHangup,
        _C.SELF_CALL: types.PhoneCallDiscardReasonHangup,
        _C.FLOOD: types.PhoneCallDiscardReasonBusy,
        _C.OFFLINE: types.PhoneCallDiscardReasonDisconnect,
        _C.INCOMPATIBLE_PEER: types.PhoneCallDiscardReasonDisconnect,
        _C.OVER_LIMIT: types.PhoneCallDiscardReasonBusy,
        _C.NO_LINE: types.PhoneCallDiscardReasonHangup,
        _C.LINE_DOWN: types.PhoneCallDiscardReasonDisconnect,
        _C.FORBIDDEN: types.PhoneCallDiscardReasonHangup,
        _C.CONGESTION: types.PhoneCallDiscardReasonBusy,
        _C.INCOMPATIBLE_MEDIA: types.PhoneCallDiscardReasonDisconnect,
        _C.MEDIA_LOST: types.PhoneCallDiscardReasonDisconnect,
        _C.SHUTDOWN: types.PhoneCallDiscardReasonHangup,
        _C.INTERNAL: types.PhoneCallDiscardReasonDisconnect,
    }
)


def discard_reason(cause: HangupCause) -> Any:
    return DISCARDS[cause]()


#: Why the other end let go of a call that was up; of one that we placed; of one that we were offered.
#: A user's app says "hangup" or "busy" when he declines, a caller's app "missed" or "hangup" when he gives up.
_UP: Final[Mapping[type[Any], HangupCause]] = MappingProxyType(
    {
        types.PhoneCallDiscardReasonHangup: _C.NORMAL,
        types.PhoneCallDiscardReasonBusy: _C.NORMAL,
        types.PhoneCallDiscardReasonMissed: _C.NORMAL,
        types.PhoneCallDiscardReasonDisconnect: _C.MEDIA_LOST,
        types.PhoneCallDiscardReasonMigrateConferenceCall: _C.NORMAL,
        type(None): _C.NORMAL,
    }
)
_PLACED: Final[Mapping[type[Any], HangupCause]] = MappingProxyType(
    {
        types.PhoneCallDiscardReasonHangup: _C.DECLINED,
        types.PhoneCallDiscardReasonBusy: _C.BUSY,
        types.PhoneCallDiscardReasonMissed: _C.NO_ANSWER,
        types.PhoneCallDiscardReasonDisconnect: _C.CONGESTION,
        types.PhoneCallDiscardReasonMigrateConferenceCall: _C.DECLINED,
        type(None): _C.DECLINED,
    }
)
_OFFERED: Final[Mapping[type[Any], HangupCause]] = MappingProxyType(
    {
        types.PhoneCallDiscardReasonHangup: _C.CANCELLED,
        types.PhoneCallDiscardReasonBusy: _C.DECLINED,  # on another device of the account
        types.PhoneCallDiscardReasonMissed: _C.CANCELLED,
        types.PhoneCallDiscardReasonDisconnect: _C.CANCELLED,
        types.PhoneCallDiscardReasonMigrateConferenceCall: _C.CANCELLED,
        type(None): _C.ANSWERED_ELSEWHERE,  # a caller who gives up says why
    }
)


def discarded(reason: Any, *, outgoing: bool, up: bool) -> Ending:
    """Why the other end let go.

    Args:
        reason: A PhoneCallDiscardReason, or None.
        outgoing: We placed the call.
        up: It had been established.
    """
    column = _UP if up else _PLACED if outgoing else _OFFERED
    detail = type(reason).__name__ if reason is not None else "PhoneCallDiscarded"
    return Ending(column.get(type(reason), column[type(None)]), detail)

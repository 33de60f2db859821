from __future__ import annotations

import pytest
from telethon import errors
from telethon.tl import types

from gateway.errors import CallError, HangupCause
from gateway.telegram.causes import BY_CODE, BY_NAME, DISCARDS, call_error, discard_reason, discarded, error_name
from gateway.telegram.client import method_name
from gateway.telegram.login import REFUSALS, Refusal

REASONS = [
    None,
    types.PhoneCallDiscardReasonMissed(),
    types.PhoneCallDiscardReasonDisconnect(),
    types.PhoneCallDiscardReasonHangup(),
    types.PhoneCallDiscardReasonBusy(),
    types.PhoneCallDiscardReasonMigrateConferenceCall("slug"),
]


def rpc(code: int, name: str) -> errors.RPCError:
    return errors.rpc_message_to_error(types.RpcError(code, name), None)


def test_every_hangup_cause_is_a_discard_reason() -> None:
    assert set(DISCARDS) == set(HangupCause)
    for cause in HangupCause:
        assert discard_reason(cause).SUBCLASS_OF_ID == types.PhoneCallDiscardReasonHangup.SUBCLASS_OF_ID


def test_the_reasons_above_are_all_that_there_are() -> None:
    known = {name for name in dir(types) if name.startswith("PhoneCallDiscardReason") and not name.startswith("Type")}
    assert known == {type(reason).__name__ for reason in REASONS if reason is not None}


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: type(reason).__name__)
def test_every_discard_is_a_hangup_cause_in_every_state(reason: object) -> None:
    for outgoing in (False, True):
        up = discarded(reason, outgoing=outgoing, up=True)
        assert up.cause in (HangupCause.NORMAL, HangupCause.MEDIA_LOST)
        early = discarded(reason, outgoing=outgoing, up=False)
        assert early.cause not in (HangupCause.NORMAL, HangupCause.INTERNAL)
        assert early.detail


def test_a_discard_of_an_unknown_kind_still_ends_the_call() -> None:
    assert discarded(object(), outgoing=True, up=False).cause is HangupCause.DECLINED


@pytest.mark.parametrize("name", BY_NAME)
def test_an_error_is_known_by_its_name_whatever_class_the_library_gives_it(name: str) -> None:
    error = call_error(rpc(400, name))
    assert (error.ending.cause, error.ending.detail) == (BY_NAME[name], name)


@pytest.mark.parametrize("code", [*BY_CODE, -500, -503, 499])
def test_an_error_of_unknown_name_is_judged_by_its_code_and_keeps_its_name(code: int) -> None:
    error = call_error(rpc(code, "NEVER_SEEN_BEFORE"))
    assert error.ending.cause is BY_CODE.get(abs(code), HangupCause.INTERNAL)
    assert error.ending.detail == "NEVER_SEEN_BEFORE"


@pytest.mark.parametrize("name", ["FLOOD_WAIT_30", "FLOOD_PREMIUM_WAIT_30"])
def test_a_flood_wait_says_for_how_long(name: str) -> None:
    ending = call_error(rpc(420, name)).ending
    assert (ending.cause, ending.detail, ending.retry_after_s) == (HangupCause.FLOOD, name, 30)


def test_what_is_not_an_error_of_telegram() -> None:
    busy = CallError(HangupCause.BUSY)
    assert call_error(busy) is busy
    assert call_error(TimeoutError()).ending.cause is HangupCause.CONGESTION
    assert call_error(ConnectionError("x")).ending.cause is HangupCause.OFFLINE
    assert call_error(ValueError("x")).ending.cause is HangupCause.INTERNAL


@pytest.mark.parametrize("name", [*REFUSALS, "PHONE_MIGRATE_4", "SESSION_TOO_FRESH_60", "FRESH_CHANGE_PHONE_FORBIDDEN"])
def test_telegrams_own_name_survives_the_library(name: str) -> None:
    assert error_name(rpc(400, name)) == name


def test_every_refusal_of_a_login_can_be_told_to_a_person() -> None:
    elsewhere = {Refusal.OFFLINE, Refusal.OUT_OF_STEP, Refusal.FAILED, Refusal.EMAIL_WANTED}
    assert set(REFUSALS.values()) | elsewhere == set(Refusal)


def test_methods_go_by_telegrams_names() -> None:
    from telethon.tl import functions

    assert method_name(functions.phone.RequestCallRequest) == "phone.requestCall"
    assert method_name(functions.PingRequest) == "ping"

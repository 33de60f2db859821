from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.sandbox.faults import Fault, Faults


def test_a_rule_strikes_by_glob_and_user_and_so_often() -> None:
    faults = Faults()
    faults.add(Fault(method="phone.*", user=7, times=2))
    assert faults.strikes("messages.sendMessage", 7) is None
    assert faults.strikes("phone.requestCall", 8) is None
    assert faults.strikes("phone.requestCall", 7)
    assert faults.strikes("phone.acceptCall", 7)
    assert faults.strikes("phone.requestCall", 7) is None


def test_a_rule_without_limit_strikes_until_removed() -> None:
    faults = Faults()
    rule = Fault(method="*", error="420 FLOOD_WAIT_30")
    faults.add(rule)
    assert [faults.strikes("help.getConfig", None) for _ in range(5)] == [rule] * 5
    faults.remove(rule.id)
    assert faults.strikes("help.getConfig", None) is None


def test_an_error_is_a_code_and_a_name() -> None:
    fault = Fault(method="*", error="420 FLOOD_WAIT_30")
    assert (fault.code, fault.name) == (420, "FLOOD_WAIT_30")
    with pytest.raises(ValidationError):
        Fault(method="*", error="FLOOD_WAIT")

from __future__ import annotations

import pytest

from gateway.errors import HangupCause
from gateway.sip.causes import SAID, by_code, by_q850, refusal


def test_every_cause_has_a_number_and_a_code() -> None:
    assert set(SAID) == set(HangupCause)
    for said in SAID.values():
        assert 1 <= said.q850 <= 127
        assert 400 <= said.code <= 699


@pytest.mark.parametrize("code", range(300, 700))
def test_every_final_response_has_a_meaning(code: int) -> None:
    assert by_code(code) is not HangupCause.NORMAL


@pytest.mark.parametrize("q850", range(256))
def test_every_number_has_a_meaning_and_its_eighth_bit_has_none(q850: int) -> None:
    assert by_q850(q850) is by_q850(q850 & 0x7F)


@pytest.mark.parametrize(
    "cause",
    [
        HangupCause.BUSY,
        HangupCause.DECLINED,
        HangupCause.NO_ANSWER,
        HangupCause.FORBIDDEN,
        HangupCause.UNKNOWN_NUMBER,
        HangupCause.INVALID_NUMBER,
        HangupCause.INCOMPATIBLE_MEDIA,
        HangupCause.CONGESTION,
        HangupCause.LINE_DOWN,
    ],
)
def test_what_a_pbx_can_mean_survives_the_way_to_a_code_and_back(cause: HangupCause) -> None:
    assert by_code(SAID[cause].code) is cause


def test_the_words_of_the_pbx_count_more_than_the_number_made_of_them() -> None:
    assert refusal(21, "CONGESTION", "SIP 603 Decline").cause is HangupCause.DECLINED
    assert refusal(21, "CONGESTION", "SIP 403 Forbidden").cause is HangupCause.FORBIDDEN


def test_without_a_response_there_is_no_way_to_the_pbx() -> None:
    assert refusal(20, "CHANUNAVAIL", "").cause is HangupCause.LINE_DOWN
    assert refusal(0, "CHANUNAVAIL", "").cause is HangupCause.LINE_DOWN
    assert refusal(18, "NOANSWER", "").cause is HangupCause.NO_ANSWER

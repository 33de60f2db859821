from __future__ import annotations

import pytest

from gateway.provisioning.render import render
from gateway.provisioning.state import Contact, LineHealth, registration_complaint, state_of
from tests.unit.provisioning.lines import our_line, pbx_line, trunk

AT = "sip:line1@203.0.113.5:5071;transport=tcp"
REGISTRATION = next(section for section in render(our_line(1, 5070, host="pbx")) if section.type == "registration")


@pytest.mark.parametrize(
    ("status", "health", "words"),
    [
        ("Reachable", LineHealth.UP, "registered from 203.0.113.5:5071"),
        ("NonQualified", LineHealth.UP, "registered from 203.0.113.5:5071"),
        ("Unreachable", LineHealth.DOWN, "does not answer there"),
    ],
)
def test_a_pbx_that_registered_is_up_unless_it_does_not_answer(status: str, health: LineHealth, words: str) -> None:
    state = state_of(pbx_line(), [Contact(AT, status, 5.0)], "", "")
    assert state.health is health
    assert words in state.detail


def test_a_pbx_that_did_not_register_is_down_and_its_last_failure_is_told() -> None:
    assert "has not registered as line1" in state_of(pbx_line(), [], "", "").detail
    assert state_of(pbx_line(), [], "", "The password is wrong.").detail == "The password is wrong."


def test_a_trunk_waits_until_it_was_asked() -> None:
    assert state_of(trunk(), [Contact("sip:127.0.0.1", "NonQualified")], "", "").health is LineHealth.WAITING
    assert state_of(trunk(), [Contact("sip:127.0.0.1", "Reachable", 2.0)], "", "").rtt_ms == 2.0
    assert state_of(trunk(), [Contact("sip:127.0.0.1", "Unreachable")], "", "").health is LineHealth.DOWN


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("Registered", LineHealth.UP),
        ("Rejected", LineHealth.DOWN),
        ("Stopped", LineHealth.DOWN),
        ("Unregistered", LineHealth.WAITING),
        ("", LineHealth.WAITING),
    ],
)
def test_where_we_register_the_registration_is_the_state(status: str, health: LineHealth) -> None:
    assert state_of(our_line(), [], status, "").health is health


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "Temporal response '401' received from 'S' on registration attempt to 'C', retrying in '30'",
            "SIP 401: it does not accept",
        ),
        (
            "403 Forbidden fatal response received from 'S' on registration attempt to 'C', retrying in '300' seconds",
            "SIP 403",
        ),
        (
            "'404' fatal response received from 'S' on registration attempt to 'C', retrying in '300' seconds",
            "does not know the login",
        ),
        (
            "Fatal response '499' received from 'S' on registration attempt to 'C', stopping outbound registration",
            "SIP 499: no reason",
        ),
        ("No response received from 'S' on registration attempt to 'C', retrying in '30'", "does not answer"),
    ],
)
def test_asterisks_log_tells_why_a_registration_failed(said: str, words: str) -> None:
    server, client = REGISTRATION.get("server_uri"), REGISTRATION.get("client_uri")
    line = f"[2026-01-02 12:00:00] WARNING[1]: res_pjsip_outbound_registration.c: {said}"
    line = line.replace("'S'", f"'{server}'").replace("'C'", f"'{client}'")
    other = line.replace("pbx", "other").replace("401", "488")
    complaint = registration_complaint(["rubbish", line, other], REGISTRATION)
    assert complaint.startswith("pbx:5070 ")
    assert words in complaint
    assert registration_complaint([other], REGISTRATION) == ""

from __future__ import annotations

from gateway.sip.ari import AriAddress, Channel, Event


def test_an_event_is_read_with_what_it_has() -> None:
    event = Event.read(
        {
            "type": "StasisStart",
            "args": ["in", "line1", "100", "(ulaw)"],
            "channel": {"id": "1.2", "state": "Ring", "caller": {"name": "Ann", "number": "7"}},
            "more": {"of": "it"},
        }
    )
    assert event.args == ("in", "line1", "100", "(ulaw)")
    assert (event.channel, event.caller_name, event.caller_number) == ("1.2", "Ann", "7")
    assert Event.read({}) == Event("", "")


def test_a_channel_tells_what_it_was_handed_to_us_with_and_others_tell_nothing() -> None:
    ours = {"id": "1", "name": "PJSIP/x", "dialplan": {"app_name": "Stasis", "app_data": "siptg,out,leg,(ulaw)"}}
    others = {"id": "2", "name": "PJSIP/y", "dialplan": {"app_name": "Stasis", "app_data": "wallboard,1"}}
    assert Channel.read(ours).args == ("out", "leg", "(ulaw)")
    assert Channel.read(others).args == ()


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(AriAddress("http://x", "u", "secret"))

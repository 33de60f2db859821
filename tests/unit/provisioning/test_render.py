from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call.model import DtmfMethod, Line, Transport
from gateway.provisioning.ami import LINE_BYTES, MESSAGE_LINES
from gateway.provisioning.check import checked
from gateway.provisioning.config import _actions, _messages
from gateway.provisioning.grammar import FIELDS, GrammarError
from gateway.provisioning.render import Section, dtmf_mode, render
from tests.unit.provisioning.lines import our_line, pbx_line, trunk

RFC4733, INFO, INBAND = DtmfMethod.RFC4733, DtmfMethod.INFO, DtmfMethod.INBAND


def by_type(line: Line) -> dict[str, Section]:
    return {section.type: section for section in render(line)}


def test_a_pbx_that_registers_is_known_by_its_login_alone() -> None:
    sections = by_type(pbx_line(17, trusted=("10.0.0.0/8",)))
    endpoint, aor, auth = (sections[kind] for kind in ("endpoint", "aor", "auth"))
    assert (endpoint.name, aor.name, auth.name) == ("line17", "line17", "line17-auth")
    assert (endpoint.get("aors"), endpoint.get("auth")) == ("line17", "line17-auth")
    assert endpoint.get("identify_by") == "auth_username"
    assert (auth.get("username"), auth.get("password")) == ("line17", "Right-1")
    assert (endpoint.get("deny"), endpoint.get("permit")) == ("0.0.0.0/0,::/0", "10.0.0.0/8")
    assert aor.get("contact") == ""


def test_without_trusted_addresses_a_pbx_may_register_from_anywhere() -> None:
    assert by_type(pbx_line())["endpoint"].get("deny") == ""


def test_where_we_register_everything_goes_by_the_proxy() -> None:
    line = our_line(3, 5070, host="pbx.example.com", proxy="proxy.example.com:5080", transport=Transport.TCP)
    sections = by_type(line)
    registration = sections["registration"]
    assert registration.get("server_uri") == "sip:pbx.example.com:5070;transport=tcp"
    assert registration.get("client_uri") == "sip:100@pbx.example.com:5070"
    assert sections["aor"].get("contact") == "sip:pbx.example.com:5070;transport=tcp"
    for kind in ("registration", "endpoint"):
        assert sections[kind].get("outbound_proxy") == "sip:proxy.example.com:5080;transport=tcp;lr"
        assert sections[kind].get("outbound_auth") == "line3-auth"
        assert sections[kind].get("transport") == "transport-tcp"
    assert (registration.get("line"), registration.get("endpoint")) == ("yes", "line3")
    assert (sections["endpoint"].get("from_user"), sections["endpoint"].get("from_domain")) == (
        "100",
        "pbx.example.com",
    )
    assert sections["endpoint"].get("auth") == ""


def test_a_trunk_is_known_by_each_of_its_addresses() -> None:
    rules = [one for one in render(trunk(4, host="2001:db8::1", trusted=("10.0.0.0/8",))) if one.type == "identify"]
    assert [(rule.name, rule.get("match")) for rule in rules] == [
        ("line4-identify-2001:db8::1", "2001:db8::1"),
        ("line4-identify-10.0.0.0/8", "10.0.0.0/8"),
    ]
    assert by_type(trunk(4, host="2001:db8::1"))["aor"].get("contact") == "sip:[2001:db8::1]"


def test_a_trunk_with_a_header_is_known_by_it_and_only_from_its_addresses() -> None:
    sections = by_type(trunk(5, header="X-Line: a", trusted=("10.0.0.1",)))
    assert (sections["identify"].get("match_header"), sections["identify"].get("match")) == ("X-Line: a", "")
    endpoint = sections["endpoint"]
    assert (endpoint.get("identify_by"), endpoint.get("permit")) == ("header", "127.0.0.1,10.0.0.1")


@pytest.mark.parametrize("line", [pbx_line(), our_line(), trunk(), trunk(header="X-A: b")])
def test_every_endpoint_is_known_by_one_way_alone_and_keeps_the_audio_with_us(line: Line) -> None:
    endpoint = by_type(line)["endpoint"]
    assert endpoint.get("identify_by") in ("auth_username", "ip", "header")
    assert endpoint.get("direct_media") == "no"
    assert endpoint.get("context") == "siptg-in"
    assert endpoint.get("allow") == "!all,g722,alaw,ulaw"
    assert (endpoint.get("identify_by") == "auth_username") == bool(endpoint.get("auth"))


def test_srtp_is_keyed_in_the_signalling() -> None:
    assert by_type(trunk(srtp=True, transport=Transport.TLS))["endpoint"].get("media_encryption") == "sdes"
    assert by_type(trunk())["endpoint"].get("media_encryption") == "no"


def test_a_line_that_is_switched_off_is_not_in_asterisk() -> None:
    assert render(pbx_line(enabled=False)) == ()


def test_a_line_that_is_not_whole_is_not_rendered() -> None:
    with pytest.raises(GrammarError):
        render(trunk(host="a;b"))


@pytest.mark.parametrize(
    ("methods", "mode"),
    [
        ((), "rfc4733"),
        ((RFC4733,), "rfc4733"),
        ((RFC4733, INBAND), "auto"),
        ((RFC4733, INFO, INBAND), "auto_info"),
        ((INFO, RFC4733), "info"),
        ((INBAND,), "inband"),
    ],
)
def test_dtmf_methods_become_the_mode_that_asterisk_has(methods: tuple[DtmfMethod, ...], mode: str) -> None:
    assert dtmf_mode(methods) == mode


TEXTS = st.one_of(
    st.text(max_size=80),
    st.text("abc019.:/;=,[]{}<>@ \\\"'\r\n\0#-_", max_size=40),
    st.sampled_from(
        ["a\r\nAction: x", "a\n[evil]", "x;y", "x\\", "#include a", "${SHELL(x)}", ">a", "10.0.0.1\npermit=0.0.0.0/0"]
    ),
)


@given(
    line=st.sampled_from([pbx_line(), our_line(), trunk(), trunk(header="X-A: b")]),
    field=st.sampled_from(sorted(FIELDS.keys() - {"enabled", "srtp", "dtmf", "transport"})),
    text=TEXTS,
)
def test_no_text_becomes_more_than_the_value_of_one_option(line: Line, field: str, text: str) -> None:
    value: Any = tuple(text.splitlines()) if isinstance(getattr(line, field), tuple) else text
    try:
        changed = checked(Line(**{name: getattr(line, name) for name in Line.__dataclass_fields__} | {field: value}))
    except GrammarError:
        return
    before, after = render(line), render(changed)
    assert {section.name.partition("-identify")[0] for section in after} == {
        section.name.partition("-identify")[0] for section in before
    }
    for message in _messages(_actions(before, after)):
        assert len(message) <= MESSAGE_LINES
        for name, text_sent in message.items():
            assert text_sent.isprintable()
            assert text_sent.isascii()
            assert not text_sent.startswith(">")
            assert len(f"{name}: {text_sent}") < LINE_BYTES

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call.model import DtmfMethod
from gateway.provisioning import grammar
from gateway.provisioning.grammar import FIELDS, GrammarError

GOOD: list[tuple[str, str, Any]] = [
    ("name", " Head office №1 ", "Head office №1"),
    ("host", "PBX.Example.com", "pbx.example.com"),
    ("host", "203.0.113.5", "203.0.113.5"),
    ("host", "[2001:DB8::1]", "2001:db8::1"),
    ("host", "pbx", "pbx"),
    ("port", " 5070", 5070),
    ("proxy", "proxy.example.com:5061", "proxy.example.com:5061"),
    ("proxy", "2001:db8::1", "[2001:db8::1]"),
    ("proxy", "[2001:db8::1]:5070", "[2001:db8::1]:5070"),
    ("proxy", " ", ""),
    ("login", "office-7.a+b", "office-7.a+b"),
    ("password", "a=b:c,[d]{e}|~!#$%&()*+/?@^_", "a=b:c,[d]{e}|~!#$%&()*+/?@^_"),
    ("trusted", "203.0.113.5, 10.1.2.3/8  2001:db8::/32", ("203.0.113.5", "10.0.0.0/8", "2001:db8::/32")),
    ("trusted", "10.0.0.1 10.0.0.1/32", ("10.0.0.1",)),
    ("trusted", "", ()),
    ("header", "X-Line:office", "X-Line: office"),
    ("header", "x-tenant : 7@a.b", "x-tenant: 7@a.b"),
    ("header", "", ""),
    ("codecs", "ulaw, G722 ulaw", ("ulaw", "g722")),
    ("dtmf", "info,rfc4733", (DtmfMethod.INFO, DtmfMethod.RFC4733)),
    ("priority", "99", 99),
    ("number", "*72#", "*72#"),
    ("number", "", ""),
    ("number_rules", "^8(?=\\d{10}$)=+7\n\n.*=", "^8(?=\\d{10}$)=+7\n.*="),
    ("number_rules", "=", ""),
    ("caller_ids", "{phone}\n tg-{username} ", ("{phone}", "tg-{username}")),
    ("caller_names", "{name_ascii} (TG)", ("{name_ascii} (TG)",)),
    ("srtp", "On", True),
    ("enabled", "no", False),
    ("transport", "TLS", "tls"),
]

BAD: list[tuple[str, str]] = [
    *[("name", text) for text in ("", "  ", "a\nb", "x" * 65, "a\u202eb", "a\0")],
    *[
        ("host", text)
        for text in ("", "a b", "a;b", "-a.com", "1.2.3", "1.2.3.4.5", "fe80::1%eth0", "a" * 64, "пбх", "a..b")
    ],
    *[("port", text) for text in ("0", "65536", "5o60", "٥٠٦٠", "-1", "")],
    *[("proxy", text) for text in ("a:b", "a:", ":5060", "a;lr", "[::1]:x")],
    *[("login", text) for text in ("", "a b", "a@b", "-a", "a;b", "x" * 65, "a\r\nb")],
    *[("password", text) for text in ("", "a b", 'a"b', "a;b", "a\\b", ">a", "a<", "a\nb", "a`b", "пароль", "x" * 129)],
    *[("trusted", text) for text in ("0.0.0.0/0", "10.0.0.0/7", "::/0", "pbx.example.com", "1.2.3.4/33", "1.2.3.4;")],
    ("trusted", " ".join(f"10.0.0.{n}" for n in range(17))),
    *[
        ("header", text)
        for text in ("X-Line", "From: a", "X-A: /x/", "X-A: a b", "X-A: ", "X-A: b\r\nX-B: c", "X-A:b;c")
    ],
    *[("codecs", text) for text in ("", "g729", "ulaw;alaw", "ulaw,,x")],
    *[("dtmf", text) for text in ("", "sms")],
    *[("transport", text) for text in ("", "ws")],
    *[("priority", text) for text in ("0", "100", "1.5", "")],
    *[("number", text) for text in ("1 2", "a@b", "1;2", "x" * 65)],
    *[("number_rules", text) for text in ("(=1", "a=\\9", "\u202e", "x" * 2001)],
    *[("caller_ids", text) for text in ("", "{name}", "{phone", "a;b", "a@b", "\n".join(["{phone}"] * 9))],
    *[("caller_names", text) for text in ("", "{x}", '"{name}"', "<{name}>")],
    *[("srtp", text) for text in ("", "maybe")],
]


@pytest.mark.parametrize(("field", "text", "value"), GOOD)
def test_a_good_value_is_read_in_its_one_true_form(field: str, text: str, value: Any) -> None:
    assert FIELDS[field](text) == value


@pytest.mark.parametrize(("field", "text"), BAD)
def test_a_bad_value_is_refused_with_an_example(field: str, text: str) -> None:
    with pytest.raises(GrammarError, match=r"such as|one of|or “off”|A good one is"):
        FIELDS[field](text)


@given(field=st.sampled_from(sorted(FIELDS)), text=st.text(max_size=200))
def test_any_text_is_a_value_or_refused_and_a_value_reads_as_itself(field: str, text: str) -> None:
    try:
        value = FIELDS[field](text)
    except GrammarError:
        return
    if isinstance(value, str) and value and field != "number_rules":
        assert FIELDS[field](value) == value
        assert value.isprintable()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pbx.example.com", ("pbx.example.com", None)),
        ("pbx.example.com:5070", ("pbx.example.com", 5070)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]:5070", ("2001:db8::1", 5070)),
    ],
)
def test_an_address_has_its_port_after_a_colon(text: str, value: tuple[str, int | None]) -> None:
    assert grammar.address(text) == value

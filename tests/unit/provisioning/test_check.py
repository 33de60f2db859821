from __future__ import annotations

import dataclasses

import pytest

from gateway.call.model import Line, Transport
from gateway.provisioning.check import checked, clash
from gateway.provisioning.grammar import GrammarError
from tests.unit.provisioning.lines import our_line, pbx_line, trunk

TLS = Transport.TLS


@pytest.mark.parametrize(
    "line", [pbx_line(), our_line(), trunk(), trunk(host="pbx", header="X-A:b", trusted=("10.0.0.1",))]
)
def test_a_whole_line_is_taken_and_taken_again(line: Line) -> None:
    assert checked(checked(line)) == checked(line)


def test_the_login_of_a_pbx_that_registers_follows_from_the_lines_id() -> None:
    assert checked(pbx_line(17)).login == "line17"
    with pytest.raises(GrammarError, match=r"^login: the PBX registers as line17"):
        checked(pbx_line(17, login="line18"))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (pbx_line(password=""), "^password: .* needs one"),
        (our_line(login=""), "^login: .* needs one"),
        (our_line(host=""), "^host: .* needs one"),
        (trunk(host=""), "^host: .* needs one"),
        (pbx_line(host="a"), "^host: .* has none"),
        (our_line(trusted=("10.0.0.1",)), "^trusted: .* has none"),
        (trunk(password="x"), "^password: .* has none"),
        (trunk(srtp=True), "^srtp: SRTP needs the transport tls"),
        (trunk(host="pbx.example.com", header="X-A: b"), "^trusted: a line known by a header needs"),
        (our_line(login="a b"), "^login: A login has"),
        (trunk(name="a\nb"), "^name: A name has"),
    ],
)
def test_a_line_that_is_not_whole_is_refused_by_the_name_of_its_field(line: Line, sentence: str) -> None:
    with pytest.raises(GrammarError, match=sentence):
        checked(line)


def test_srtp_goes_with_tls() -> None:
    assert checked(trunk(srtp=True, transport=TLS)).srtp


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (trunk(1), trunk(2)),
        (trunk(1, host="pbx"), trunk(2, host="pbx")),
        (trunk(1, trusted=("10.0.0.0/8",)), trunk(2, host="10.1.1.1")),
        (trunk(1, trusted=("10.0.0.0/24",)), trunk(2, host="a", trusted=("10.0.0.128/25",))),
        (trunk(1, header="X-A: b"), trunk(2, host="10.9.9.9", header="x-a: b")),
    ],
)
def test_trunks_whose_calls_could_not_be_told_apart_clash(mine: Line, theirs: Line) -> None:
    assert clash(mine, [theirs]) is theirs
    assert clash(theirs, [mine]) is mine
    assert clash(mine, [mine]) is None


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (trunk(1), pbx_line(2)),
        (trunk(1), our_line(2)),
        (trunk(1), trunk(2, host="10.0.0.1")),
        (trunk(1, header="X-A: b"), trunk(2, header="X-A: c")),
        (trunk(1, header="X-A: b"), trunk(2)),
        (trunk(1, host="::1"), trunk(2)),
    ],
)
def test_other_lines_do_not_clash(mine: Line, theirs: Line) -> None:
    assert clash(mine, [theirs]) is None
    assert clash(theirs, [dataclasses.replace(mine)]) is None

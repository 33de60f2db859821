"""Whose neighbour a stranger is."""

from __future__ import annotations

import pytest

from gateway.call.model import Line
from gateway.provisioning.strangers import complaint, source_of
from tests.unit.provisioning.lines import our_line, pbx_line, trunk


@pytest.mark.parametrize(
    ("line", "source", "is_his"),
    [
        (trunk(1, 5060, host="192.0.2.10"), "192.0.2.200", True),
        (trunk(1, 5060, host="192.0.2.10"), "192.0.3.10", False),
        (trunk(1, 5060, host="pbx.example.com", trusted=("198.51.100.0/28",)), "198.51.100.77", True),
        (trunk(1, 5060, host="pbx.example.com"), "198.51.100.77", False),
        (trunk(1, 5060, host="2001:db8::1"), "2001:db8::99", True),
        (trunk(1, 5060, host="2001:db8::1"), "192.0.2.1", False),
        (trunk(1, 5060, host="192.0.2.10"), "", False),
        (trunk(1, 5060, host="192.0.2.10", enabled=False), "192.0.2.200", False),
        (trunk(1, 5060, host="192.0.2.10", header="X-Line: a"), "192.0.2.200", False),
        (trunk(1, 5060, host="192.0.2.10", header="X-Line: a"), "192.0.2.10", True),
        (trunk(1, 5060, host="192.0.2.10", header="X-Line: a", trusted=("192.0.2.192/26",)), "192.0.2.200", True),
        (our_line(1, 5060), "127.0.0.1", False),
        (pbx_line(1, trusted=("192.0.2.10",)), "192.0.2.200", False),
    ],
)
def test_a_trunk_is_told_of_strangers_next_to_its_own_addresses(line: Line, source: str, is_his: bool) -> None:
    why = complaint(line, source)
    assert bool(why) is is_his
    assert ("it does not have the header “X-Line: a”" in why) is (is_his and bool(line.header))


def test_the_source_is_read_of_asterisk_s_address() -> None:
    assert source_of({"remoteaddress": "IPV4/UDP/192.0.2.1/5060"}) == "192.0.2.1"
    assert source_of({}) == ""

from __future__ import annotations

import pytest

from gateway.web.attempts import ADDRESSES, FAILURES, WINDOW_S, Attempts, client_address


def test_an_address_has_so_many_failures_in_a_time_and_others_are_not_concerned() -> None:
    attempts = Attempts()
    for at in range(FAILURES):
        assert not attempts.too_many("a", at)
        attempts.failed("a", at)
    assert attempts.too_many("a", FAILURES)
    assert not attempts.too_many("b", FAILURES)
    assert attempts.too_many("a", WINDOW_S - 1)
    assert not attempts.too_many("a", WINDOW_S + 0.5)  # the first is forgotten


def test_memory_is_bounded_whoever_asks() -> None:
    attempts = Attempts()
    for n in range(ADDRESSES + 100):
        attempts.failed(str(n), 0.0)
    for _ in range(3 * FAILURES):
        attempts.failed("busy", 0.0)
    assert len(attempts._failed) == ADDRESSES
    assert len(attempts._failed["busy"]) == FAILURES


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("8.8.4.4", "", "8.8.4.4"),
        ("8.8.4.4", "198.51.100.1", "8.8.4.4"),  # no proxy of ours: it may say what it likes
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "rubbish", "127.0.0.1"),
        ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "198.51.100.1", ""),
    ],
)
def test_who_asks_is_whom_a_proxy_of_ours_has_seen(peer: str, forwarded: str, address: str) -> None:
    assert client_address(peer, forwarded) == address

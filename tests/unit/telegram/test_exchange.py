from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telegram.emoji import EMOJI
from gateway.telegram.exchange import (
    KEY_BYTES,
    MARGIN,
    TELEGRAM_PRIME,
    ExchangeError,
    Group,
    Secret,
    agree,
    begin,
    check_commitment,
    commitment,
    fingerprint,
    is_safe_prime,
    key_emoji,
)

P = TELEGRAM_PRIME.to_bytes(KEY_BYTES, "big")
GROUP = Group.checked(P, 3, 1)


def secret_of(exponent: int) -> Secret:
    return Secret(GROUP, exponent, pow(3, exponent, TELEGRAM_PRIME).to_bytes(KEY_BYTES, "big"))


def test_both_ends_come_to_the_same_key() -> None:
    caller, callee = begin(GROUP, b"server"), begin(GROUP)
    ours, theirs = agree(caller, callee.public), agree(callee, caller.public)
    assert ours == theirs
    assert len(ours.key) == KEY_BYTES
    assert ours.key.hex() not in repr(ours)
    assert str(caller.exponent) not in repr(caller)


def test_two_halves_are_never_the_same() -> None:
    assert begin(GROUP, b"x").public != begin(GROUP, b"x").public


def test_a_key_with_leading_zeros_keeps_its_256_bytes() -> None:
    other = secret_of(3**200).public
    base = int.from_bytes(other, "big")
    exponent, shared = 2**300, pow(base, 2**300, TELEGRAM_PRIME)
    while shared >> (2048 - 8):
        exponent, shared = exponent + 1, shared * base % TELEGRAM_PRIME
    key = agree(secret_of(exponent), other)
    assert key.key[0] == 0
    assert int.from_bytes(key.key, "big") == shared
    assert key.fingerprint == fingerprint(shared.to_bytes(256, "big"))


def test_a_public_value_without_its_leading_zeros_is_the_same_value() -> None:
    exponent, public = 2**300, pow(3, 2**300, TELEGRAM_PRIME)
    while public >> (2048 - 8):
        exponent, public = exponent + 1, public * 3 % TELEGRAM_PRIME
    ours = begin(GROUP)
    assert agree(ours, public.to_bytes(255, "big")) == agree(ours, public.to_bytes(256, "big"))


@pytest.mark.parametrize(
    "value",
    [0, 1, 2, MARGIN, TELEGRAM_PRIME - MARGIN, TELEGRAM_PRIME - 1, TELEGRAM_PRIME, TELEGRAM_PRIME + 2, 2**2048 - 1],
)
def test_a_public_value_near_the_edges_is_refused(value: int) -> None:
    with pytest.raises(ExchangeError, match="range"):
        agree(begin(GROUP), value.to_bytes(KEY_BYTES, "big"))


@given(st.binary(max_size=300))
def test_any_public_value_is_used_or_refused(value: bytes) -> None:
    number = int.from_bytes(value, "big")
    good = len(value) <= KEY_BYTES and MARGIN < number < TELEGRAM_PRIME - MARGIN
    if good:
        assert GROUP.public(value) == number
    else:
        with pytest.raises(ExchangeError):
            GROUP.public(value)


def test_a_longer_public_value_is_refused_even_if_its_number_is_good() -> None:
    with pytest.raises(ExchangeError):
        GROUP.public(b"\0" + (TELEGRAM_PRIME // 2).to_bytes(KEY_BYTES, "big"))


def test_a_caller_is_held_to_what_he_promised() -> None:
    public = begin(GROUP).public
    check_commitment(hashlib.sha256(public).digest(), public)
    with pytest.raises(ExchangeError, match="promised"):
        check_commitment(commitment(public), begin(GROUP).public)


def test_the_fingerprint_is_the_end_of_the_sha1_little_endian_and_signed() -> None:
    digest = hashlib.sha1(b"k" * 256).digest()
    assert fingerprint(b"k" * 256).to_bytes(8, "little", signed=True) == digest[12:]


@pytest.mark.parametrize("g", [3, 4, 7])
def test_the_generators_that_suit_telegrams_prime_are_taken(g: int) -> None:
    assert Group.checked(P, g, 2).g == g


@pytest.mark.parametrize("g", [0, 1, 2, 5, 6, 8, -3])
def test_other_generators_are_refused(g: int) -> None:
    with pytest.raises(ExchangeError, match="generator"):
        Group.checked(P, g, 2)


def test_a_modulus_that_is_not_a_safe_prime_is_refused() -> None:
    with pytest.raises(ExchangeError, match="safe prime"):
        Group.checked((TELEGRAM_PRIME + 24 * 5 * 7).to_bytes(KEY_BYTES, "big"), 4, 1)
    with pytest.raises(ExchangeError, match="bits"):
        Group.checked(P[1:], 3, 1)
    with pytest.raises(ExchangeError, match="bits"):
        Group.checked(b"\x01" + P, 3, 1)


def test_small_safe_primes_are_told_from_others() -> None:
    def plain(number: int) -> bool:
        return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))

    for number in range(2, 2000):
        assert is_safe_prime(number) == (plain(number) and plain((number - 1) // 2)), number


def test_the_pictures_of_a_key_are_four_of_the_table() -> None:
    assert len(EMOJI) == len(set(EMOJI)) == 333
    pictures = key_emoji(bytes(range(256)), bytes(256)).split(" ")
    assert len(pictures) == 4
    assert set(pictures) <= set(EMOJI)

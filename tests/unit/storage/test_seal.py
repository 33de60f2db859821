from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.seal import KEY_BYTES, Seal, WrongKeyError

SEAL = Seal(bytes(KEY_BYTES))


@given(st.binary(), st.text(st.characters(codec="utf-8")))
def test_what_is_sealed_opens_as_the_same_column(secret: bytes, column: str) -> None:
    assert SEAL.open(SEAL.seal(secret, column), column) == secret


def test_the_same_secret_is_never_sealed_alike() -> None:
    assert SEAL.seal(b"secret", "a") != SEAL.seal(b"secret", "a")


@given(st.binary(max_size=80))
def test_rubbish_does_not_open(rubbish: bytes) -> None:
    with pytest.raises(WrongKeyError):
        SEAL.open(rubbish, "a")


def test_a_sealed_secret_opens_neither_as_another_column_nor_with_another_key() -> None:
    sealed = SEAL.seal(b"secret", "a")
    with pytest.raises(WrongKeyError):
        SEAL.open(sealed, "b")
    with pytest.raises(WrongKeyError):
        Seal(os.urandom(KEY_BYTES)).open(sealed, "a")


@pytest.mark.parametrize("position", [0, 1, 13, -1])
def test_a_changed_byte_is_noticed(position: int) -> None:
    sealed = bytearray(SEAL.seal(b"secret", "a"))
    sealed[position] ^= 1
    with pytest.raises(WrongKeyError):
        SEAL.open(bytes(sealed), "a")

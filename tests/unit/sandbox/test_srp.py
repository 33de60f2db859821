from __future__ import annotations

import pytest
from telethon.password import compute_check
from telethon.tl import types

from gateway.sandbox import srp


@pytest.fixture(scope="module")
def challenge() -> srp.Challenge:
    return srp.Challenge(b"salt1", b"salt2", srp.verifier(b"salt1", b"salt2", "geheim"))


def answer(challenge: srp.Challenge, password: str) -> tuple[bytes, bytes]:
    """What Telethon proves with."""
    asked = types.account.Password(
        new_algo=srp.fresh_algorithm(),
        new_secure_algo=types.SecurePasswordKdfAlgoUnknown(),
        secure_random=b"",
        current_algo=srp.algorithm(challenge.salt1, challenge.salt2),
        srp_B=challenge.public,
        srp_id=challenge.id,
    )
    proof = compute_check(asked, password)
    return proof.A, proof.M1


def test_who_knows_the_password_is_believed(challenge: srp.Challenge) -> None:
    assert challenge.is_answered_by(*answer(challenge, "geheim"))


def test_who_does_not_is_not(challenge: srp.Challenge) -> None:
    assert not challenge.is_answered_by(*answer(challenge, "Geheim"))


def test_a_zero_proves_nothing(challenge: srp.Challenge) -> None:
    assert not challenge.is_answered_by(bytes(256), bytes(32))

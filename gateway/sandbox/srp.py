"""Two-step verification: the server's half of SRP. It never learns the password.

Source: https://core.telegram.org/api/srp.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field

from telethon.password import compute_digest
from telethon.tl import types

from gateway.sandbox.mtproto import DH_G, DH_PRIME, TL

_P = int.from_bytes(DH_PRIME, "big")
_G_BYTES = DH_G.to_bytes(256, "big")


def algorithm(salt1: bytes, salt2: bytes) -> TL:
    return types.PasswordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow(salt1, salt2, DH_G, DH_PRIME)


def fresh_algorithm() -> TL:
    """What a client shall use for a new password; it lengthens the first salt by 32 bytes of its own."""
    return algorithm(os.urandom(8), os.urandom(16))


def verifier(salt1: bytes, salt2: bytes, password: str) -> bytes:
    """What the server keeps of a password. Takes tens of milliseconds, by design."""
    return bytes(compute_digest(algorithm(salt1, salt2), password))


@dataclass(slots=True)
class Challenge:
    """One question, good for one answer."""

    salt1: bytes
    salt2: bytes
    verifier: bytes = field(repr=False)
    id: int = field(default_factory=lambda: secrets.randbits(63))
    b: int = field(default_factory=lambda: secrets.randbits(2048), repr=False)

    @property
    def public(self) -> bytes:
        """B."""
        k = int.from_bytes(_hash(DH_PRIME, _G_BYTES), "big")
        return _wide((k * int.from_bytes(self.verifier, "big") + pow(DH_G, self.b, _P)) % _P)

    def is_answered_by(self, a_public: bytes, proof: bytes) -> bool:
        """Whether who sent A and M1 knows the password."""
        a_number = int.from_bytes(a_public, "big")
        if not 0 < a_number < _P:
            return False
        b_public = self.public
        u = int.from_bytes(_hash(_wide(a_number), b_public), "big")
        shared = pow(a_number * pow(int.from_bytes(self.verifier, "big"), u, _P), self.b, _P)
        mixed = bytes(x ^ y for x, y in zip(_hash(DH_PRIME), _hash(_G_BYTES), strict=True))
        expected = _hash(mixed, _hash(self.salt1), _hash(self.salt2), _wide(a_number), b_public, _hash(_wide(shared)))
        return secrets.compare_digest(expected, proof)


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _wide(number: int) -> bytes:
    return number.to_bytes(256, "big")

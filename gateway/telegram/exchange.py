"""The key exchange of a private call. Pure: no Telegram, no socket, no clock.

Caller: `begin` → send `commitment(g_a)` → receive g_b → `agree` → send g_a and the fingerprint.
Callee: receive the commitment → `begin` → send g_b → receive g_a and the fingerprint → `check_commitment`, `agree`.

Source: https://core.telegram.org/api/end-to-end/video-calls#key-exchange
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final

from gateway.telegram.emoji import EMOJI

KEY_BYTES = 256
MODULUS_BITS = 2048

#: How long the private exponent is. Python's `pow` holds the interpreter for as long as it runs, in a thread as well:
#: 17-20 ms with 2048 bits, 3-4 ms with 384. In a group of a safe prime an exponent of twice the wanted strength is
#: as good as a full one: 225 bits for this size of modulus; 384 leaves a margin.
#: Source: RFC 7919 §5.2, NIST SP 800-56A rev. 3 §5.6.1.1.
EXPONENT_BITS = 384

#: A public value nearer than this to 0 or p is refused, so that nobody can force a small subgroup or a known key.
#: Source: https://core.telegram.org/mtproto/auth_key#dh-key-exchange-complete
MARGIN: Final = 1 << (MODULUS_BITS - 64)

#: The prime that Telegram uses, checked once and for all: the proof of an unknown one takes most of a second.
TELEGRAM_PRIME: Final = int(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f"
    "48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37"
    "20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64"
    "2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4"
    "a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754"
    "fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4"
    "e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f"
    "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
    16,
)

#: For which residues of p the generator g spans the large subgroup.
#: Source: https://core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication
GENERATORS: Final[dict[int, tuple[int, frozenset[int]]]] = {
    2: (8, frozenset({7})),
    3: (3, frozenset({2})),
    4: (1, frozenset({0})),
    5: (5, frozenset({1, 4})),
    6: (24, frozenset({19, 23})),
    7: (7, frozenset({3, 5, 6})),
}

#: An odd composite passes one round with a chance of at most 1 in 4.
MILLER_RABIN_ROUNDS = 32


class ExchangeError(ValueError):
    """The other end, or the server, sent something that no honest one would send."""


@dataclass(frozen=True, slots=True)
class Group:
    """The group of the exchange, from `messages.getDhConfig`. Made by `Group.checked` only."""

    p: int
    g: int
    version: int

    @classmethod
    def checked(cls, p: bytes, g: int, version: int) -> Group:
        """Take what the server offers. An unknown prime costs most of a second of CPU: not for the event loop.

        Raises:
            ExchangeError: p is not a safe prime of 2048 bits, or g does not suit it.
        """
        prime = int.from_bytes(p, "big")
        if prime.bit_length() != MODULUS_BITS:
            raise ExchangeError(f"the modulus has {prime.bit_length()} bits")
        modulus, residues = GENERATORS.get(g, (1, frozenset()))
        if prime % modulus not in residues:
            raise ExchangeError(f"the generator {g} does not suit the modulus")
        if not is_safe_prime(prime):
            raise ExchangeError("the modulus is not a safe prime")
        return cls(prime, g, version)

    def public(self, value: bytes) -> int:
        """Read the other end's public value.

        Raises:
            ExchangeError: It is out of range.
        """
        number = int.from_bytes(value, "big")
        if len(value) > KEY_BYTES or not MARGIN < number < self.p - MARGIN:
            raise ExchangeError("the public value is out of range")
        return number


@dataclass(frozen=True, slots=True)
class Secret:
    """Our half of one exchange. Used once."""

    group: Group
    exponent: int = field(repr=False)
    public: bytes  # 256 bytes: g_a of a caller, g_b of a callee


@dataclass(frozen=True, slots=True)
class CallKey:
    """What both ends hold in the end.

    Attributes:
        key: 256 bytes, padded with zeros on the left.
        fingerprint: The key's, as a signed 64-bit number.
    """

    key: bytes = field(repr=False)
    fingerprint: int


def begin(group: Group, server_random: bytes = b"") -> Secret:
    """Make our half. `server_random` is mixed in, in case our own source of chance is weak.

    Source: https://core.telegram.org/method/messages.getDhConfig
    """
    while True:
        seed = hashlib.sha512(secrets.token_bytes(64) + server_random).digest()
        exponent = int.from_bytes(seed[: EXPONENT_BITS // 8], "big") | (1 << (EXPONENT_BITS - 1))
        public = pow(group.g, exponent, group.p)
        if MARGIN < public < group.p - MARGIN:
            return Secret(group, exponent, public.to_bytes(KEY_BYTES, "big"))


def agree(secret: Secret, other: bytes) -> CallKey:
    """Make the key from our half and the other end's public value.

    Raises:
        ExchangeError: The public value is out of range.
    """
    shared = pow(secret.group.public(other), secret.exponent, secret.group.p)
    key = shared.to_bytes(KEY_BYTES, "big")
    return CallKey(key, fingerprint(key))


def fingerprint(key: bytes) -> int:
    """The last 64 bits of the key's SHA-1, little-endian."""
    return int.from_bytes(hashlib.sha1(key, usedforsecurity=False).digest()[-8:], "little", signed=True)


def key_emoji(key: bytes, g_a: bytes) -> str:
    """The four pictures that both users see if nobody sits between them.

    Args:
        key: The call's key.
        g_a: The caller's half of the exchange, as it went over the wire.

    Source: https://core.telegram.org/api/end-to-end/voice-calls#key-verification.
    """
    digest = hashlib.sha256(key + g_a).digest()
    numbers = (int.from_bytes(digest[at : at + 8], "big") & 0x7FFF_FFFF_FFFF_FFFF for at in range(0, 32, 8))
    return " ".join(EMOJI[number % len(EMOJI)] for number in numbers)


def commitment(public: bytes) -> bytes:
    """What a caller promises before the callee chooses: without it he could search for an emoji collision."""
    return hashlib.sha256(public).digest()


def check_commitment(promised: bytes, public: bytes) -> None:
    """Check the caller's g_a, as it came, against what he promised.

    Raises:
        ExchangeError: It is not the same.
    """
    if not hmac.compare_digest(promised, commitment(public)):
        raise ExchangeError("the caller's public value is not the one he promised")


@functools.lru_cache(maxsize=8)
def is_safe_prime(number: int) -> bool:
    """Whether `number` and half of it are prime."""
    return number == TELEGRAM_PRIME or (_is_prime(number) and _is_prime((number - 1) // 2))


def _is_prime(number: int) -> bool:
    """Miller-Rabin with chance witnesses. Source: FIPS 186-5 §B.3.1."""
    if number < 4 or number % 2 == 0:
        return number in (2, 3)
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> twos
    return all(_passes(number, odd, twos) for _ in range(MILLER_RABIN_ROUNDS))


def _passes(number: int, odd: int, twos: int) -> bool:
    power = pow(2 + secrets.randbelow(number - 3), odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False

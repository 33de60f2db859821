from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.tgcall.crypto import BlobError, SeenCounters, SignallingCipher, key_fingerprint

KEY = bytes(range(256))


@given(st.binary(min_size=5, max_size=5000), st.booleans())
def test_what_one_end_seals_the_other_opens(plain: bytes, outgoing: bool) -> None:
    blob = SignallingCipher(KEY, outgoing).seal(plain)
    assert SignallingCipher(KEY, not outgoing).open(blob) == plain


def test_own_blob_reflected_is_refused() -> None:
    cipher = SignallingCipher(KEY, True)
    with pytest.raises(BlobError):
        cipher.open(cipher.seal(b"\0\0\0\1hello"))


def test_blob_of_another_key_is_refused() -> None:
    blob = SignallingCipher(os.urandom(256), True).seal(b"\0\0\0\1hello")
    with pytest.raises(BlobError):
        SignallingCipher(KEY, False).open(blob)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(BlobError):
        SignallingCipher(KEY, False).open(noise)


@pytest.mark.parametrize("size", [0, 20, 128 * 1024 + 1])
def test_blob_of_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(BlobError):
        SignallingCipher(KEY, False).open(bytes(size))


def test_key_of_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="256"):
        SignallingCipher(bytes(255), True)


def test_counters_are_new_once_and_never_when_far_behind() -> None:
    seen = SeenCounters()
    assert [seen.is_new(n) for n in (1, 3, 2, 3, 1)] == [True, True, True, False, False]
    assert seen.is_new(100)
    assert not seen.is_new(100 - SeenCounters.WINDOW)
    assert seen.is_new(99)


def test_memory_of_counters_is_bounded() -> None:
    seen = SeenCounters()
    for n in range(1, 10_000):
        assert seen.is_new(n)
    assert len(seen._recent) <= 4 * SeenCounters.WINDOW + 1


def test_fingerprint_is_the_tail_of_sha1_as_a_signed_number() -> None:
    digest = hashlib.sha1(KEY).digest()
    assert key_fingerprint(KEY).to_bytes(8, "little", signed=True) == digest[-8:]

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telethon.crypto import AES
from telethon.tl import functions

from gateway.sandbox.mtproto import (
    AuthKey,
    Envelope,
    Handshake,
    MessageIds,
    MtprotoError,
    ServerKey,
    open_envelope,
    read,
    seal,
)


@pytest.fixture
def server_key(sandbox_key: Path) -> ServerKey:
    return ServerKey.kept_in(sandbox_key.parent)


def test_the_server_key_is_the_same_after_a_restart(tmp_path: Path) -> None:
    assert ServerKey.kept_in(tmp_path).fingerprint == ServerKey.kept_in(tmp_path).fingerprint
    assert (tmp_path / "server_key.pem").stat().st_mode & 0o077 == 0
    assert (tmp_path / "public_key.pem").read_text().startswith("-----BEGIN RSA PUBLIC KEY-----")


def test_today_s_padding_is_understood(server_key: ServerKey) -> None:
    """Telethon pads as clients did before 2021; the official apps do it so.

    Source: https://core.telegram.org/mtproto/auth_key#41-rsa-paddata-server-public-key-mentioned-above-is-implemented.
    """
    data = os.urandom(144) + bytes(48)
    while True:
        key = os.urandom(32)
        encrypted = AES.encrypt_ige(data[::-1] + hashlib.sha256(key + data).digest(), key, bytes(32))
        padded = bytes(a ^ b for a, b in zip(key, hashlib.sha256(encrypted).digest(), strict=True)) + encrypted
        number = int.from_bytes(padded, "big")
        if number < server_key._n:
            break
    block = pow(number, server_key._e, server_key._n).to_bytes(256, "big")
    assert server_key.decrypt(block) == data


def test_a_request_before_the_key_is_refused(server_key: ServerKey) -> None:
    with pytest.raises(MtprotoError, match="without a key"):
        Handshake(server_key).answer(functions.help.GetConfigRequest())


def test_a_foreign_nonce_is_refused(server_key: ServerKey) -> None:
    handshake = Handshake(server_key)
    handshake.answer(functions.ReqPqMultiRequest(17))
    with pytest.raises(MtprotoError, match="nonce"):
        handshake.answer(functions.SetClientDHParamsRequest(18, 19, bytes(16)))


def test_a_packet_of_another_key_is_refused() -> None:
    packet = seal(AuthKey.random(), Envelope(1, 2, 3, 4, b"body"))
    with pytest.raises(MtprotoError):
        open_envelope(AuthKey.random(), packet)


@given(st.binary(min_size=24, max_size=500))
def test_rubbish_in_an_envelope_ends_as_a_foreseen_error(packet: bytes) -> None:
    with pytest.raises(MtprotoError):
        open_envelope(AuthKey(bytes(256)), packet)


@given(st.binary(max_size=200))
def test_rubbish_in_a_message_ends_as_a_foreseen_error(body: bytes) -> None:
    with contextlib.suppress(MtprotoError):
        read(body)


def test_message_ids_rise_and_tell_the_time() -> None:
    ids = MessageIds()
    made = [ids.next(is_answer=number % 3 > 0) for number in range(1000)]
    assert made == sorted(set(made))
    assert [number % 4 for number in made] == [1 if n % 3 else 3 for n in range(1000)]
    assert made[-1] >> 32 == pytest.approx(time.time(), abs=2)

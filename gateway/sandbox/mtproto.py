"""MTProto 2.0, the server's half: the key exchange and the encrypted envelope. No socket, no state of the world.

Source: https://core.telegram.org/mtproto/auth_key, https://core.telegram.org/mtproto/description.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from telethon.crypto import AES
from telethon.errors import TypeNotFoundError
from telethon.extensions import BinaryReader
from telethon.helpers import generate_key_data_from_nonce
from telethon.tl import TLObject, functions, types

#: Whatever the TL schema knows; Telethon's classes carry no types.
TL = Any

#: The 2048-bit safe prime of Telegram; clients know it and need not test it. Good with generator 3.
#: Source: https://core.telegram.org/mtproto/auth_key.
DH_PRIME: Final = bytes.fromhex(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4dbfa336f6e0ac92513"
    "9543aed44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f642477fe96bb2a941d5bcd1d4ac8cc4988"
    "0708fa9b378e3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4"
    "b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f"
    "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b"
)
DH_G: Final = 3

#: Small primes, so that a client factorises their product at once.
P, Q = 65537, 65539

#: What a client is told of a key that the server does not know. Source: mtproto-transports#transport-errors.
UNKNOWN_KEY: Final = struct.pack("<i", -404)


class MtprotoError(ConnectionError):
    """A packet that no honest client sends."""


@dataclass(frozen=True, slots=True)
class AuthKey:
    """The 256 bytes that a client and the server share."""

    key: bytes = field(repr=False)

    @property
    def id(self) -> int:
        """The signed 64-bit number that names the key in each packet."""
        return int.from_bytes(hashlib.sha1(self.key).digest()[12:20], "little", signed=True)

    @classmethod
    def random(cls) -> AuthKey:
        # Telethon cuts leading zeroes off, and so takes such a key for another.
        return cls(bytes([1 + secrets.randbelow(255)]) + os.urandom(255))


class ServerKey:
    """The RSA key by which clients know this Telegram."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        numbers = private.private_numbers()
        self._n, self._e, self._d = numbers.public_numbers.n, numbers.public_numbers.e, numbers.d
        modulus, exponent = (TLObject.serialize_bytes(_big_endian(number)) for number in (self._n, self._e))
        self.fingerprint = int.from_bytes(hashlib.sha1(modulus + exponent).digest()[-8:], "little", signed=True)
        self.public_pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
        )

    @classmethod
    def kept_in(cls, folder: Path) -> ServerKey:
        """The key of an earlier start, or a new one; its public half is `public_key.pem`, for clients."""
        path = folder / "server_key.pem"
        if path.exists():
            # We made it ourselves; proving it anew would take longer than the rest of a start.
            loaded = serialization.load_pem_private_key(
                path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True
            )
            if not isinstance(loaded, rsa.RSAPrivateKey):
                raise ValueError(f"{path} holds no RSA key")
            private = loaded
        else:
            private = rsa.generate_private_key(65537, 2048)
            path.touch(mode=0o600)
            path.write_bytes(
                private.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.TraditionalOpenSSL,
                    serialization.NoEncryption(),
                )
            )
        key = cls(private)
        (folder / "public_key.pem").write_bytes(key.public_pem)
        return key

    def decrypt(self, block: bytes) -> bytes:
        """The padded data in `block`, by either way of padding that clients use.

        Source: https://core.telegram.org/mtproto/auth_key#41-rsa-paddata-server-public-key-mentioned-above-is-
        implemented-as-follows, and the older SHA1 + data + random bytes.
        """
        plain = pow(int.from_bytes(block, "big"), self._d, self._n).to_bytes(256, "big")
        masked, encrypted = plain[:32], plain[32:]
        temporary = bytes(a ^ b for a, b in zip(masked, hashlib.sha256(encrypted).digest(), strict=True))
        padded: bytes = AES.decrypt_ige(encrypted, temporary, bytes(32))
        data, digest = padded[:192][::-1], padded[192:]
        if hashlib.sha256(temporary + data).digest() == digest:
            return data
        return plain[21:]  # a zero byte, the SHA1 of the data, the data


class Handshake:
    """The key exchange with one client: three questions, three answers."""

    def __init__(self, server_key: ServerKey) -> None:
        self._server_key = server_key
        self._nonce = 0
        self._server_nonce = 0
        self._new_nonce = 0
        # 256 bits are plenty for a key that guards nothing, and eight times cheaper than 2048.
        self._a = secrets.randbits(256) | 1 << 255
        self.key: AuthKey | None = None

    def answer(self, request: TL) -> TL:
        """The answer to one question of the client; after the last, `key` is there.

        Raises:
            MtprotoError: The question is none, or does not fit those before it.
        """
        match request:
            case functions.ReqPqMultiRequest() | functions.ReqPqRequest():
                return self._pq(request)
            case functions.ReqDHParamsRequest():
                return self._dh_params(request)
            case functions.SetClientDHParamsRequest():
                return self._dh_gen(request)
        raise MtprotoError(f"{type(request).__name__} without a key")

    def _pq(self, request: TL) -> TL:
        self._nonce = request.nonce
        self._server_nonce = int.from_bytes(os.urandom(16), "little", signed=True)
        return types.ResPQ(self._nonce, self._server_nonce, _big_endian(P * Q), [self._server_key.fingerprint])

    def _dh_params(self, request: TL) -> TL:
        self._check(request)
        inner = read(self._server_key.decrypt(request.encrypted_data))
        self._check(inner)
        self._new_nonce = inner.new_nonce
        g_a = pow(DH_G, self._a, int.from_bytes(DH_PRIME, "big"))
        answer = bytes(
            types.ServerDHInnerData(self._nonce, self._server_nonce, DH_G, DH_PRIME, _big_endian(g_a), int(time.time()))
        )
        plain = hashlib.sha1(answer).digest() + answer
        key, iv = generate_key_data_from_nonce(self._server_nonce, self._new_nonce)
        encrypted = AES.encrypt_ige(plain + os.urandom(-len(plain) % 16), key, iv)
        return types.ServerDHParamsOk(self._nonce, self._server_nonce, encrypted)

    def _dh_gen(self, request: TL) -> TL:
        self._check(request)
        key, iv = generate_key_data_from_nonce(self._server_nonce, self._new_nonce)
        inner = read(AES.decrypt_ige(request.encrypted_data, key, iv)[20:])
        self._check(inner)
        secret = pow(int.from_bytes(inner.g_b, "big"), self._a, int.from_bytes(DH_PRIME, "big"))
        self.key = AuthKey(secret.to_bytes(256, "big"))
        auxiliary = hashlib.sha1(self.key.key).digest()[:8]
        digest = hashlib.sha1(self._new_nonce.to_bytes(32, "little", signed=True) + b"\x01" + auxiliary).digest()
        new_nonce_hash = int.from_bytes(digest[4:20], "little", signed=True)
        return types.DhGenOk(self._nonce, self._server_nonce, new_nonce_hash)

    def _check(self, said: TL) -> None:
        if (said.nonce, said.server_nonce) != (self._nonce, self._server_nonce):
            raise MtprotoError("a nonce of another exchange")

    @property
    def first_salt(self) -> int:
        new = self._new_nonce.to_bytes(32, "little", signed=True)[:8]
        server = self._server_nonce.to_bytes(16, "little", signed=True)[:8]
        return int.from_bytes(bytes(a ^ b for a, b in zip(new, server, strict=True)), "little", signed=True)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One packet, opened."""

    salt: int
    session_id: int
    msg_id: int
    seq_no: int
    body: bytes


def open_envelope(key: AuthKey, packet: bytes) -> Envelope:
    """Decrypt a client's packet. Raises `MtprotoError` when it was not encrypted with this key."""
    msg_key, encrypted = packet[8:24], packet[24:]
    if not encrypted or len(encrypted) % 16:
        raise MtprotoError("a packet that is no multiple of the cipher's block")
    plain = AES.decrypt_ige(encrypted, *_aes(key.key, msg_key, 0))
    if hashlib.sha256(key.key[88:120] + plain).digest()[8:24] != msg_key:
        raise MtprotoError("a packet with a wrong message key")
    salt, session_id, msg_id, seq_no, length = struct.unpack("<qqqiI", plain[:32])
    if length > len(plain) - 32:
        raise MtprotoError("a message longer than its packet")
    return Envelope(salt, session_id, msg_id, seq_no, plain[32 : 32 + length])


def seal(key: AuthKey, envelope: Envelope) -> bytes:
    """Encrypt a packet for the client."""
    head = struct.pack(
        "<qqqiI", envelope.salt, envelope.session_id, envelope.msg_id, envelope.seq_no, len(envelope.body)
    )
    plain = head + envelope.body
    plain += os.urandom(-(len(plain) + 12) % 16 + 12)
    msg_key = hashlib.sha256(key.key[96:128] + plain).digest()[8:24]
    encrypted: bytes = AES.encrypt_ige(plain, *_aes(key.key, msg_key, 8))
    return struct.pack("<q", key.id) + msg_key + encrypted


def plain_message(msg_id: int, body: bytes) -> bytes:
    """A packet of the key exchange, before there is a key."""
    return struct.pack("<qqI", 0, msg_id, len(body)) + body


def read(data: bytes) -> TL:
    """One TL object. Raises `MtprotoError` when it is none."""
    try:
        return BinaryReader(data).tgread_object()
    except (TypeNotFoundError, BufferError, struct.error, ValueError, UnicodeDecodeError, IndexError) as error:
        raise MtprotoError(f"not in the schema: {error}") from error


class MessageIds:
    """Ids for the server's messages: odd, ever rising, and telling the time.

    Source: https://core.telegram.org/mtproto/description#message-identifier-msg-id.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, *, is_answer: bool) -> int:
        fresh = int(time.time() * 2**32) & ~3
        self._last = max(fresh, (self._last & ~3) + 4) | (1 if is_answer else 3)
        return self._last


def _aes(key: bytes, msg_key: bytes, x: int) -> tuple[bytes, bytes]:
    """Source: https://core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector."""
    a = hashlib.sha256(msg_key + key[x : x + 36]).digest()
    b = hashlib.sha256(key[x + 40 : x + 76] + msg_key).digest()
    return a[:8] + b[8:24] + a[24:], b[:8] + a[8:24] + b[24:]


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")

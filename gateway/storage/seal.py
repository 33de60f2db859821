"""Secrets at rest: AES-256-GCM under one key, bound to the column they belong to."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import GatewayError, SettingsError

KEY_BYTES: Final = 32
#: The size that GCM is specified for. Random nonces are safe for 2^32 secrets under one key.
#: Source: NIST SP 800-38D §8.2.2, §8.3.
NONCE_BYTES: Final = 12
#: The first byte of everything sealed, so that another cipher can follow one day.
AES_256_GCM: Final = b"\x01"

KEY_FILE: Final = "key"


class WrongKeyError(GatewayError):
    """A secret does not open: another key, or somebody changed it."""


class Seal:
    """Seals and opens secrets. A sealed secret opens only as the column that it was sealed for."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, column: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return AES_256_GCM + nonce + self._cipher.encrypt(nonce, secret, column.encode())

    def open(self, sealed: bytes, column: str) -> bytes:
        """Raises `WrongKeyError`."""
        version, nonce, text = sealed[:1], sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            if version != AES_256_GCM or len(nonce) != NONCE_BYTES:
                raise InvalidTag
            return self._cipher.decrypt(nonce, text, column.encode())
        except InvalidTag as error:
            raise WrongKeyError(
                f"A secret in the database ({column}) does not open with this key. Give the key that it was encrypted"
                " with, in SIPTG_STORAGE__KEY or in the state folder's file 'key'."
            ) from error


def key_from_text(text: str) -> bytes:
    """Read a key as an operator gives it: base64 of either alphabet. Raises `SettingsError`."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(
            "SIPTG_STORAGE__KEY is not a key: it must be 32 random bytes in base64,"
            " such as 'openssl rand -base64 32' prints."
        )
    return key


def key_from_file(state: Path, *, may_make: bool) -> bytes:
    """Read the key file of the state folder; make it if there is none and nothing is encrypted yet.

    Two starts at once agree on one key: whoever links his file first wins, and both read what is there.
    Raises `GatewayError`.
    """
    path = state / KEY_FILE
    try:
        if may_make and not path.exists():
            _make(path)
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError as error:
        raise GatewayError(
            f"The key file {path} is missing, and the database holds secrets encrypted with it."
            " Bring the file back, or give its content in SIPTG_STORAGE__KEY."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise GatewayError(f"The key file {path} can't be read or made: {error}.") from error
    if mode & 0o077:
        raise GatewayError(f"Others may read the key file {path}. Run 'chmod 600 {path}', and start again.")
    try:
        return key_from_text(text)
    except SettingsError as error:
        raise GatewayError(f"The key file {path} holds no key. Bring back the file as it was first made.") from error


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another start was first
    finally:
        draft.unlink(missing_ok=True)

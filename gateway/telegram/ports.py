"""What the Telegram side asks of the store. Plain shapes: the store knows nothing of Telegram.

Every method may raise `GatewayError`. Times are UTC and aware.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol


class Peer(NamedTuple):
    """Somebody an account has met. The access hash is good for that account only.

    Attributes:
        id: Telethon's marked id: positive for users, negative for chats and channels.
        username: Lower case, or empty.
        phone: Digits only, or empty.
    """

    id: int
    access_hash: int
    username: str = ""
    phone: str = ""
    name: str = ""


class KnownNumber(NamedTuple):
    """What a phone number or username was found to be.

    Attributes:
        user_id: None when Telegram said that nobody has it.
    """

    user_id: int | None
    found_at: dt.datetime


class PendingCall(NamedTuple):
    """A call of ours that Telegram knows of, kept until it is discarded, so that a crash leaves no phone ringing."""

    id: int
    access_hash: int
    began_at: dt.datetime


#: The fields of `Peer`, `KnownNumber` and `PendingCall`, in their order: the store answers with plain rows.
PeerRow = tuple[int, int, str, str, str]
NumberRow = tuple[int | None, dt.datetime]
PendingRow = tuple[int, int, dt.datetime]


class SessionVault(Protocol):
    """Keeps the Telegram sessions. `secret` is a login: whoever has it is the account. Encrypted at rest."""

    async def load_session(self, account_id: int) -> bytes | None:
        """The secret last saved: authorization key, data centre and update state (below 2 kB)."""

    async def save_session(self, account_id: int, secret: bytes) -> None:
        """Replace the secret, whole. Refused for an account that is not logged in (any more)."""

    async def forget_session(self, account_id: int) -> None:
        """Drop the secret and the peers: the account was logged out."""

    async def load_peers(self, account_id: int) -> Sequence[PeerRow]: ...

    async def save_peers(self, account_id: int, peers: Sequence[Peer]) -> None:
        """Add those peers, or replace them by id."""


class FloodStore(Protocol):
    """Keeps Telegram's flood waits, per account and method, over restarts (K6)."""

    async def load_floods(self, account_id: int) -> Mapping[str, dt.datetime]:
        """Method (as in "phone.requestCall") to the time when it may be asked again."""

    async def save_flood(self, account_id: int, method: str, until: dt.datetime) -> None: ...


class NumberCache(Protocol):
    """Keeps who has a phone number ("+79991234567") or username ("@name"), as one account sees it (K6)."""

    async def load_number(self, account_id: int, number: str) -> NumberRow | None: ...

    async def save_number(self, account_id: int, number: str, known: KnownNumber) -> None: ...


class PendingCalls(Protocol):
    async def save_pending(self, account_id: int, call: PendingCall) -> None: ...

    async def drop_pending(self, account_id: int, call_ids: Iterable[int]) -> None: ...

    async def load_pending(self, account_id: int) -> Sequence[PendingRow]: ...


class TelegramStore(SessionVault, FloodStore, NumberCache, PendingCalls, Protocol):
    """All of it; the store implements this."""

"""A Telethon session that lives in our store.

Two parts, saved apart, each only when it changed: the secret (a login, and how far its updates were read; small), and
the peers that the account has met (many, and without their access hash nobody can be called by id).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Self

import structlog
from telethon.crypto import AuthKey
from telethon.sessions import MemorySession
from telethon.tl import types

from gateway.errors import GatewayError
from gateway.telegram.ports import Peer, PeerRow, SessionVault

log = structlog.get_logger(__name__)

#: The form of the secret. A reader refuses a form that it does not know, rather than lose the login in it.
FORM = 1


class SessionFormError(GatewayError):
    """The kept session can't be read."""


class KeptSession(MemorySession):  # type: ignore[misc]
    """What Telethon asks of a session, in memory. Knows what has changed since it was last saved."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = asyncio.Event()
        self._secret_changed = False
        self._peers: dict[int, Peer] = {}
        self._new_peers: dict[int, Peer] = {}
        self._by_username: dict[str, int] = {}
        self._by_phone: dict[str, int] = {}

    @classmethod
    def restored(cls, secret: bytes | None, peers: Iterable[PeerRow]) -> Self:
        """Raises `SessionFormError`."""
        session = cls()
        if secret is not None:
            session._read(secret)
        for row in peers:
            session._learn(Peer(*row))
        return session

    # What has changed

    def take_secret(self) -> bytes | None:
        """The secret, if it changed since it was last taken."""
        if not self._secret_changed:
            return None
        self._secret_changed = False
        return self.secret()

    def take_peers(self) -> Sequence[Peer]:
        """The peers that are new or changed since they were last taken."""
        taken, self._new_peers = self._new_peers, {}
        return tuple(taken.values())

    def give_back(self, secret: bytes | None, peers: Sequence[Peer]) -> None:
        """What was taken could not be saved: it counts as changed again."""
        self._secret_changed |= secret is not None
        self._new_peers = {peer.id: peer for peer in peers} | self._new_peers
        self.changed.set()

    def secret(self) -> bytes:
        states = {
            str(entity): [state.pts, state.qts, state.date.timestamp() if state.date else 0, state.seq]
            for entity, state in self._update_states.items()
        }
        key = self._auth_key.key.hex() if self._auth_key is not None and self._auth_key.key else ""
        kept = {
            "form": FORM,
            "dc": self._dc_id,
            "host": self._server_address,
            "port": self._port,
            "key": key,
            "updates": states,
        }
        return json.dumps(kept, separators=(",", ":")).encode()

    def _read(self, secret: bytes) -> None:
        try:
            kept = json.loads(secret)
            if kept["form"] != FORM:
                raise SessionFormError(f"the kept Telegram session is of form {kept['form']}, not {FORM}")
            super().set_dc(int(kept["dc"]), kept["host"], kept["port"])
            self._auth_key = AuthKey(bytes.fromhex(kept["key"])) if kept["key"] else None
            for entity, (pts, qts, date, seq) in kept["updates"].items():
                when = dt.datetime.fromtimestamp(date, dt.UTC)
                self._update_states[int(entity)] = types.updates.State(pts, qts, when, seq, unread_count=0)
        except (ValueError, KeyError, TypeError) as broken:
            raise SessionFormError("the kept Telegram session can't be read: log the account in again") from broken

    def _touch(self) -> None:
        self._secret_changed = True
        self.changed.set()

    # What Telethon asks

    def set_dc(self, dc_id: int, server_address: str, port: int) -> None:
        if (dc_id, server_address, port) != (self._dc_id, self._server_address, self._port):
            super().set_dc(dc_id, server_address, port)
            self._touch()

    @property
    def auth_key(self) -> Any:
        return self._auth_key

    @auth_key.setter
    def auth_key(self, value: Any) -> None:
        if value is not self._auth_key:
            self._auth_key = value
            self._touch()

    def set_update_state(self, entity_id: int, state: Any) -> None:
        kept = self._update_states.get(entity_id)
        if kept is None or (kept.pts, kept.qts, kept.date, kept.seq) != (state.pts, state.qts, state.date, state.seq):
            self._update_states[entity_id] = state
            self._touch()

    def delete(self) -> None:
        """Logged out: the key is worth nothing now."""
        self.auth_key = None

    def process_entities(self, tlo: Any) -> None:
        for marked_id, access_hash, username, phone, name in self._entities_to_rows(tlo):
            peer = Peer(marked_id, access_hash, username or "", phone or "", name or "")
            if self._peers.get(marked_id) != peer:
                self._learn(peer)
                self._new_peers[marked_id] = peer
                self.changed.set()

    def _learn(self, peer: Peer) -> None:
        old = self._peers.get(peer.id)
        for index, value, was in (
            (self._by_username, peer.username, old.username if old else ""),
            (self._by_phone, peer.phone, old.phone if old else ""),
        ):
            if was and index.get(was) == peer.id:
                del index[was]
            if value:
                index[value] = peer.id
        self._peers[peer.id] = peer

    def _row(self, peer_id: int | None) -> tuple[int, int] | None:
        peer = self._peers.get(peer_id) if peer_id is not None else None
        return (peer.id, peer.access_hash) if peer else None

    def get_entity_rows_by_phone(self, phone: str) -> tuple[int, int] | None:
        return self._row(self._by_phone.get(phone))

    def get_entity_rows_by_username(self, username: str) -> tuple[int, int] | None:
        return self._row(self._by_username.get(username.lower()))

    def get_entity_rows_by_name(self, name: str) -> tuple[int, int] | None:
        return None  # a display name is nobody's own: nobody is called by it

    def get_entity_rows_by_id(self, id: int, exact: bool = True) -> tuple[int, int] | None:
        marked = (id,) if exact else (id, -id, -1_000_000_000_000 - id)
        return next((row for row in map(self._row, marked) if row), None)


class SessionKeeper:
    """Saves a session as it changes, and once more at the end.

    Args:
        refresh: Brings the session up to date with the client that uses it.
    """

    def __init__(
        self,
        account_id: int,
        session: KeptSession,
        vault: SessionVault,
        save_after_s: float,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._account_id = account_id
        self._session = session
        self._vault = vault
        self._save_after_s = save_after_s
        self._refresh = refresh

    async def run(self) -> None:
        """Save whenever something changed, a burst of changes at once; until cancelled."""
        while True:
            await self._session.changed.wait()
            await asyncio.sleep(self._save_after_s)
            await self.save()

    async def save(self) -> None:
        """Save what changed. A store that fails costs nothing but a later attempt."""
        session = self._session
        await self._refresh()
        session.changed.clear()
        secret, peers = session.take_secret(), session.take_peers()
        try:
            if secret is not None:
                await self._vault.save_session(self._account_id, secret)
            if peers:
                await self._vault.save_peers(self._account_id, peers)
        except GatewayError as failed:
            session.give_back(secret, peers)
            log.error("session was not saved", account=self._account_id, error=str(failed))

"""The state of the local Telegram: users, keys, logins, contacts, messages. SQLite, and nothing of the network.

Every change belongs to a `transaction`, so that a request either happened or did not.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.sandbox.mtproto import TL, AuthKey, read

SCHEMA_VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE keys (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, salt INTEGER NOT NULL,
    device TEXT NOT NULL DEFAULT '{}',      -- what initConnection said
    pending_user INTEGER                    -- code or QR accepted, password still to come
);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, phone TEXT UNIQUE, username TEXT UNIQUE COLLATE NOCASE,
    first_name TEXT NOT NULL, last_name TEXT NOT NULL DEFAULT '',
    bot_token TEXT UNIQUE, banned BOOLEAN NOT NULL DEFAULT 0,
    pts INTEGER NOT NULL DEFAULT 1, last_message INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE passwords (
    user INTEGER PRIMARY KEY, salt1 BLOB NOT NULL, salt2 BLOB NOT NULL, verifier BLOB NOT NULL,
    hint TEXT NOT NULL DEFAULT '', email TEXT NOT NULL DEFAULT '', recovery_code TEXT
);
CREATE TABLE authorizations (
    hash INTEGER PRIMARY KEY, key INTEGER NOT NULL UNIQUE, user INTEGER NOT NULL, created REAL NOT NULL,
    active REAL NOT NULL, calls_disabled BOOLEAN NOT NULL DEFAULT 0, secrets_disabled BOOLEAN NOT NULL DEFAULT 0
);
CREATE TABLE codes (
    phone TEXT PRIMARY KEY, hash TEXT NOT NULL, code TEXT NOT NULL, sent REAL NOT NULL,
    wrong INTEGER NOT NULL DEFAULT 0, flood_until REAL NOT NULL DEFAULT 0
);
CREATE TABLE contacts (
    user INTEGER NOT NULL, contact INTEGER NOT NULL, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
    phone_known BOOLEAN NOT NULL, PRIMARY KEY (user, contact)
);
CREATE TABLE blocked (user INTEGER NOT NULL, peer INTEGER NOT NULL, PRIMARY KEY (user, peer));
CREATE TABLE privacy (user INTEGER NOT NULL, key TEXT NOT NULL, rules TEXT NOT NULL, PRIMARY KEY (user, key));
CREATE TABLE messages (                     -- everybody has a copy of his own, with an id of his own
    owner INTEGER NOT NULL, id INTEGER NOT NULL, uid TEXT NOT NULL, peer INTEGER NOT NULL, outgoing BOOLEAN NOT NULL,
    date INTEGER NOT NULL, random_id INTEGER, tl BLOB NOT NULL, PRIMARY KEY (owner, id)
);
CREATE INDEX messages_peer ON messages (owner, peer, id);
CREATE INDEX messages_uid ON messages (uid);
CREATE UNIQUE INDEX messages_random ON messages (owner, random_id) WHERE random_id IS NOT NULL;
CREATE TABLE reads (
    owner INTEGER NOT NULL, peer INTEGER NOT NULL, inbox INTEGER NOT NULL DEFAULT 0, outbox INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, peer)
);
CREATE TABLE updates (
    owner INTEGER NOT NULL, pts INTEGER NOT NULL, tl BLOB NOT NULL, users TEXT NOT NULL, PRIMARY KEY (owner, pts)
);
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""

#: Beyond 32 bits, as the ids of today's users are.
FIRST_USER_ID: Final = 7_000_000_001
#: Telegram itself, who writes about logins.
SERVICE_USER_ID: Final = 777000

#: Privacy rules in their order: the name of each ("AllowUsers"), and whom it names.
Rules = Sequence[tuple[str, Sequence[int]]]

#: What a user is told to have chosen before he chose. Source: the apps' own defaults.
PRIVACY_DEFAULTS: Final[dict[str, Rules]] = {"PhoneNumber": [("AllowContacts", [])]}


sqlite3.register_converter("BOOLEAN", lambda stored: stored == b"1")


class WorldError(Exception):
    """Something that can't be in this world; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class User:
    """A person or a bot.

    Attributes:
        phone: Digits alone; None for bots.
        seen: When last online, or 0.
    """

    id: int
    phone: str | None
    username: str | None
    first_name: str
    last_name: str
    bot_token: str | None
    banned: bool
    pts: int
    last_message: int
    seen: int

    @property
    def is_bot(self) -> bool:
        return self.bot_token is not None


@dataclass(frozen=True, slots=True)
class Authorization:
    """A device on which somebody is logged in."""

    hash: int
    key: int
    user: int
    created: float
    active: float
    calls_disabled: bool
    secrets_disabled: bool


@dataclass(frozen=True, slots=True)
class Key:
    auth_key: AuthKey
    salt: int
    device: dict[str, Any]
    pending_user: int | None


@dataclass(frozen=True, slots=True)
class Password:
    user: int
    salt1: bytes
    salt2: bytes
    verifier: bytes
    hint: str
    email: str
    recovery_code: str | None


@dataclass(frozen=True, slots=True)
class Code:
    phone: str
    hash: str
    code: str
    sent: float
    wrong: int
    flood_until: float


@dataclass(frozen=True, slots=True)
class StoredMessage:
    owner: int
    id: int
    uid: str
    peer: int
    outgoing: bool
    date: int
    random_id: int | None
    tl: bytes

    @property
    def message(self) -> TL:
        return read(self.tl)


class World:
    """Rows in, rows out; who may see what is told here, what a request means is not."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES)
        self._db.execute("PRAGMA journal_mode=WAL")
        # A sandbox outlives its own crash, not the machine's.
        self._db.execute("PRAGMA synchronous=OFF")
        (version,) = self._row("PRAGMA user_version")
        if version == 0:
            self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT")
        elif version != SCHEMA_VERSION:
            self._db.close()
            raise WorldError(f"{path} was made by another version of the sandbox; remove it to start anew")
        self._secret = self._kept_secret()
        self._db.execute(
            "INSERT OR IGNORE INTO users (id, phone, first_name) VALUES (?, '42777', 'Telegram')", (SERVICE_USER_ID,)
        )

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Inside another, it is part of that one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """For subjects that keep tables of their own."""
        return self._db.execute(statement, values).fetchall()

    # Users

    def create_user(
        self, *, phone: str | None, first_name: str, last_name: str = "", username: str | None = None, bot: bool = False
    ) -> User:
        """Raises `WorldError` when the number or the name is taken."""
        with self.transaction():
            (user_id,) = self._row("SELECT max(coalesce(max(id), 0) + 1, ?) FROM users", FIRST_USER_ID)
            token = f"{user_id}:{secrets.token_urlsafe(26)}" if bot else None
            try:
                self._db.execute(
                    "INSERT INTO users (id, phone, username, first_name, last_name, bot_token) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (user_id, phone and digits(phone), username, first_name, last_name, token),
                )
            except sqlite3.IntegrityError as error:
                raise WorldError(f"taken already: {phone or username}") from error
        return self.user(user_id)

    def user(self, user_id: int) -> User:
        """Raises `WorldError` when there is none."""
        found = self.find_user("id", user_id)
        if found is None:
            raise WorldError(f"there is no user {user_id}")
        return found

    def find_user(self, column: str, value: object) -> User | None:
        row = self._row_or_none(f"SELECT * FROM users WHERE {column} = ?", value)
        return User(*row) if row else None

    def users(self) -> list[User]:
        return [
            self.user(user_id)
            for (user_id,) in self._db.execute("SELECT id FROM users WHERE id != ? ORDER BY id", (SERVICE_USER_ID,))
        ]

    def change_user(self, user_id: int, **columns: object) -> User:
        sets = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE users SET {sets} WHERE id = ?", (*columns.values(), user_id))
        return self.user(user_id)

    def access_hash(self, viewer: int, thing: str) -> int:
        """What `viewer` has to show to speak of `thing`: each viewer another number."""
        digest = hmac.digest(self._secret, f"{viewer} {thing}".encode(), "sha256")
        return int.from_bytes(digest[:8], "little", signed=True)

    # Keys and logins

    def add_key(self, key: AuthKey, salt: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO keys (id, key, salt) VALUES (?, ?, ?)", (key.id, key.key, salt))

    def key(self, key_id: int) -> Key | None:
        row = self._row_or_none("SELECT key, salt, device, pending_user FROM keys WHERE id = ?", key_id)
        return Key(AuthKey(row[0]), row[1], json.loads(row[2]), row[3]) if row else None

    def change_key(self, key_id: int, *, device: dict[str, Any] | None = None, pending_user: int | None = None) -> None:
        """Set what is given; `pending_user` 0 clears it."""
        if device is not None:
            self._db.execute("UPDATE keys SET device = ? WHERE id = ?", (json.dumps(device), key_id))
        if pending_user is not None:
            self._db.execute("UPDATE keys SET pending_user = ? WHERE id = ?", (pending_user or None, key_id))

    def authorize(self, key_id: int, user_id: int, now: float) -> Authorization:
        authorization_hash = secrets.randbits(63)
        self._db.execute("DELETE FROM authorizations WHERE key = ?", (key_id,))
        self._db.execute(
            "INSERT INTO authorizations (hash, key, user, created, active) VALUES (?, ?, ?, ?, ?)",
            (authorization_hash, key_id, user_id, now, now),
        )
        self._db.execute("UPDATE keys SET pending_user = NULL WHERE id = ?", (key_id,))
        return self.authorizations("hash", authorization_hash)[0]

    def authorizations(self, column: str, value: object) -> list[Authorization]:
        rows = self._db.execute(f"SELECT * FROM authorizations WHERE {column} = ? ORDER BY created", (value,))
        return [Authorization(*row) for row in rows]

    def authorization_of(self, key_id: int) -> Authorization | None:
        return next(iter(self.authorizations("key", key_id)), None)

    def change_authorization(self, authorization_hash: int, **columns: object) -> None:
        sets = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(f"UPDATE authorizations SET {sets} WHERE hash = ?", (*columns.values(), authorization_hash))

    def revoke(self, authorization_hash: int) -> bool:
        return self._db.execute("DELETE FROM authorizations WHERE hash = ?", (authorization_hash,)).rowcount > 0

    def code(self, phone: str) -> Code | None:
        row = self._row_or_none("SELECT * FROM codes WHERE phone = ?", phone)
        return Code(*row) if row else None

    def set_code(self, code: Code) -> None:
        values = (code.phone, code.hash, code.code, code.sent, code.wrong, code.flood_until)
        self._db.execute("INSERT OR REPLACE INTO codes VALUES (?, ?, ?, ?, ?, ?)", values)

    def forget_code(self, phone: str) -> None:
        self._db.execute("DELETE FROM codes WHERE phone = ?", (phone,))

    def password(self, user_id: int) -> Password | None:
        row = self._row_or_none("SELECT * FROM passwords WHERE user = ?", user_id)
        return Password(*row) if row else None

    def set_password(self, password: Password) -> None:
        values = (password.user, password.salt1, password.salt2, password.verifier, password.hint, password.email)
        self._db.execute(
            "INSERT OR REPLACE INTO passwords VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, password.recovery_code)
        )

    def remove_password(self, user_id: int) -> None:
        self._db.execute("DELETE FROM passwords WHERE user = ?", (user_id,))

    # Who knows whom

    def add_contact(self, user_id: int, contact: int, first_name: str, last_name: str, *, phone_known: bool) -> None:
        self._db.execute(
            "INSERT INTO contacts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET first_name = excluded.first_name, "
            "last_name = excluded.last_name, phone_known = max(phone_known, excluded.phone_known)",
            (user_id, contact, first_name, last_name, phone_known),
        )

    def remove_contact(self, user_id: int, contact: int) -> None:
        self._db.execute("DELETE FROM contacts WHERE user = ? AND contact = ?", (user_id, contact))

    def contacts(self, user_id: int) -> list[int]:
        return [row[0] for row in self._db.execute("SELECT contact FROM contacts WHERE user = ?", (user_id,))]

    def contact(self, user_id: int, contact: int) -> tuple[str, str, bool] | None:
        row = self._row_or_none(
            "SELECT first_name, last_name, phone_known FROM contacts WHERE user = ? AND contact = ?", user_id, contact
        )
        return (row[0], row[1], row[2]) if row else None

    def block(self, user_id: int, peer: int, *, blocked: bool) -> None:
        statement = "INSERT OR IGNORE INTO blocked VALUES (?, ?)"
        self._db.execute(statement if blocked else "DELETE FROM blocked WHERE user = ? AND peer = ?", (user_id, peer))

    def is_blocked(self, user_id: int, peer: int) -> bool:
        return bool(self._row_or_none("SELECT 1 FROM blocked WHERE user = ? AND peer = ?", user_id, peer))

    def privacy(self, user_id: int, key: str) -> Rules:
        """The rules of a key ("PhoneCall"), each the name of its constructor ("AllowUsers") and whom it names."""
        row = self._row_or_none("SELECT rules FROM privacy WHERE user = ? AND key = ?", user_id, key)
        if row:
            return [(name, ids) for name, ids in json.loads(row[0])]
        return PRIVACY_DEFAULTS.get(key, [("AllowAll", [])])

    def set_privacy(self, user_id: int, key: str, rules: Rules) -> None:
        self._db.execute("INSERT OR REPLACE INTO privacy VALUES (?, ?, ?)", (user_id, key, json.dumps(rules)))

    def allows(self, user_id: int, key: str, viewer: int) -> bool:
        """Whether the user lets `viewer`, by his privacy. Who is named goes before contacts, these before all."""
        if viewer == user_id:
            return True
        rules = self.privacy(user_id, key)
        for kind, applies in (
            ("Users", True),
            ("Contacts", self.contact(user_id, viewer) is not None),
            ("Bots", self.user(viewer).is_bot),
            ("All", True),
        ):
            for rule, ids in rules:
                if rule.endswith(kind) and applies and (kind != "Users" or viewer in ids):
                    return rule.startswith("Allow")
        return False

    # Messages

    def add_message(self, stored: StoredMessage) -> None:
        self._db.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                stored.owner,
                stored.id,
                stored.uid,
                stored.peer,
                stored.outgoing,
                stored.date,
                stored.random_id,
                stored.tl,
            ),
        )

    def next_message_id(self, owner: int) -> int:
        (number,) = self._row(
            "UPDATE users SET last_message = last_message + 1 WHERE id = ? RETURNING last_message", owner
        )
        return int(number)

    def messages(self, where: str, *values: object) -> list[StoredMessage]:
        """Those that a condition of SQL holds for, the newest first."""
        rows = self._db.execute(f"SELECT * FROM messages WHERE {where} ORDER BY date DESC, id DESC", values)
        return [StoredMessage(*row) for row in rows]

    def change_message(self, owner: int, message_id: int, message: TL) -> None:
        self._db.execute("UPDATE messages SET tl = ? WHERE owner = ? AND id = ?", (bytes(message), owner, message_id))

    def delete_messages(self, owner: int, ids: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM messages WHERE owner = ? AND id = ?", [(owner, number) for number in ids])

    def peers(self, owner: int) -> list[tuple[int, int]]:
        """With which users there is a conversation, and its newest message; the latest conversation first."""
        return [
            (peer, top)
            for peer, top in self._db.execute(
                "SELECT peer, max(id) AS top FROM messages WHERE owner = ? AND peer > 0 GROUP BY peer"
                " ORDER BY top DESC",
                (owner,),
            )
        ]

    def unread(self, owner: int, peer: int) -> int:
        (count,) = self._row(
            "SELECT count(*) FROM messages WHERE owner = ? AND peer = ? AND NOT outgoing AND id > ?",
            owner,
            peer,
            self.read_marks(owner, peer)[0],
        )
        return int(count)

    def read_marks(self, owner: int, peer: int) -> tuple[int, int]:
        """The newest id that the owner has read, and the newest of his own that the peer has read."""
        row = self._row_or_none("SELECT inbox, outbox FROM reads WHERE owner = ? AND peer = ?", owner, peer)
        return (row[0], row[1]) if row else (0, 0)

    def mark_read(self, owner: int, peer: int, *, inbox: int = 0, outbox: int = 0) -> None:
        self._db.execute(
            "INSERT INTO reads VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "inbox = max(inbox, excluded.inbox), outbox = max(outbox, excluded.outbox)",
            (owner, peer, inbox, outbox),
        )

    # Updates

    def next_pts(self, owner: int, count: int = 1) -> int:
        (pts,) = self._row("UPDATE users SET pts = pts + ? WHERE id = ? RETURNING pts", count, owner)
        return int(pts)

    def keep_update(self, owner: int, update: TL, users: Iterable[int]) -> None:
        self._db.execute(
            "INSERT INTO updates VALUES (?, ?, ?, ?)", (owner, update.pts, bytes(update), json.dumps(sorted(users)))
        )

    def updates_since(self, owner: int, pts: int, limit: int) -> list[tuple[TL, list[int]]]:
        rows = self._db.execute(
            "SELECT tl, users FROM updates WHERE owner = ? AND pts > ? ORDER BY pts LIMIT ?", (owner, pts, limit)
        )
        return [(read(tl), json.loads(users)) for tl, users in rows]

    def _kept_secret(self) -> bytes:
        self._db.execute("INSERT OR IGNORE INTO secrets VALUES ('access', ?)", (os.urandom(32),))
        (secret,) = self._row("SELECT value FROM secrets WHERE name = 'access'")
        return bytes(secret)

    def _row(self, statement: str, *values: object) -> tuple[Any, ...]:
        row = self._row_or_none(statement, *values)
        if row is None:
            raise WorldError(f"nothing for {statement}")
        return row

    def _row_or_none(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
        return row


def digits(phone: str) -> str:
    """A phone number as Telegram writes it."""
    return "".join(character for character in phone if character.isdigit())

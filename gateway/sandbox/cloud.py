"""The world and those who are connected to it: who is told of what."""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from telethon.tl import types

from gateway.sandbox.mtproto import TL
from gateway.sandbox.profiles import Profiles
from gateway.sandbox.settings import Settings
from gateway.sandbox.world import Authorization, User, World

#: Clients are told to live here; there is no other. Source: Telegram's own test servers begin with 2, too.
DC: Final = 2

#: Answered to who asks for more than this many updates at once. Source: updates.getDifference, pts_total_limit.
DIFFERENCE_LIMIT: Final = 1000


class Link(Protocol):
    """A client's connection."""

    wants_updates: bool

    @property
    def key_id(self) -> int: ...

    def push(self, body: bytes) -> None:
        """Send a message that nobody asked for."""

    def drop(self) -> None:
        """Cut the connection, as a failing network would."""


class Cloud:
    """What every subject needs: the state, the time, and a way to tell users.

    What is pushed inside `change` leaves with `flush`, after the answer to the request that caused it; if the change
    fails, neither happened.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.world = world
        self.settings = settings
        self.profiles = Profiles(world)
        #: Told of all that users are told, connected or not, inside the change that it is a part of.
        self.listeners: list[Callable[[int, Sequence[TL]], None]] = []
        #: Faults of the sandbox itself: a test that saw any has failed.
        self.failures: list[Exception] = []
        self._links: defaultdict[int, set[Link]] = defaultdict(set)
        self._outbox: list[tuple[Link, bytes]] = []

    # Time

    def now(self) -> float:
        """The world's clock, in seconds since the epoch; may be moved."""
        return time.time() + self.settings.clock_offset_s

    def date(self, at: float | None = None) -> dt.datetime:
        return dt.datetime.fromtimestamp(int(self.now() if at is None else at), dt.UTC)

    # Who is there

    def linked(self, link: Link) -> None:
        self._links[link.key_id].add(link)

    def unlinked(self, link: Link) -> None:
        links = self._links[link.key_id]
        links.discard(link)
        if not links:
            del self._links[link.key_id]

    def links(self, key_id: int | None = None) -> list[Link]:
        """The connections of one key, or all."""
        if key_id is not None:
            return list(self._links.get(key_id, ()))
        return [link for links in self._links.values() for link in links]

    def is_online(self, user_id: int) -> bool:
        return any(authorization.key in self._links for authorization in self.world.authorizations("user", user_id))

    # Changes, and who is told

    @contextmanager
    def change(self) -> Iterator[None]:
        try:
            with self.world.transaction():
                yield
        except BaseException:
            self._outbox.clear()
            raise

    def flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        for link, body in outbox:
            link.push(body)

    def tell(
        self,
        user_id: int,
        updates: Sequence[TL],
        about: Iterable[int],
        *,
        but: Link | None = None,
        devices: Callable[[Authorization], bool] = lambda _: True,
    ) -> None:
        """Push updates to the user's devices that are connected, and let the listeners know.

        Args:
            updates: With their pts, where they have one.
            about: The users that the updates mention.
            but: The connection that learns of it by an answer.
            devices: Which of his logins are told.
        """
        for listener in self.listeners:
            listener(user_id, updates)
        links = [
            link
            for authorization in self.world.authorizations("user", user_id)
            if devices(authorization)
            for link in self._links.get(authorization.key, ())
            if link.wants_updates and link is not but
        ]
        if links:
            body = bytes(self.updates(user_id, updates, about))
            self._outbox.extend((link, body) for link in links)

    def tell_key(self, key_id: int, body: bytes) -> None:
        """Push to a device, logged in or not."""
        self._outbox.extend((link, body) for link in self._links.get(key_id, ()))

    def updates(self, viewer: int, updates: Sequence[TL], about: Iterable[int]) -> TL:
        return types.Updates(list(updates), self.users(viewer, about), [], self.date(), 0)

    def lasting(self, owner: int, make: Callable[[int], TL], about: Iterable[int], *, count: int = 1) -> TL:
        """Make an update that a client may fetch later, too. `make` gets its pts."""
        update = make(self.world.next_pts(owner, count))
        self.world.keep_update(owner, update, about)
        return update

    # How users look to each other

    def users(self, viewer: int, ids: Iterable[int]) -> list[TL]:
        return [self.user(viewer, self.world.user(user_id)) for user_id in sorted(set(ids))]

    def user(self, viewer: int, user: User) -> TL:
        """The user as `viewer` sees him: by the name he gave him, with a phone number if he may know it."""
        contact = self.world.contact(viewer, user.id)
        phone_known = (contact and contact[2]) or self.world.allows(user.id, "PhoneNumber", viewer)
        bot: dict[str, Any] = {}
        if user.is_bot:
            profile = self.profiles.of(user.id)
            bot = {
                "bot": True,
                "bot_nochats": True,
                "bot_info_version": 1,
                "bot_inline_placeholder": profile.inline_placeholder if profile.inline else None,
            }
        return types.User(
            id=user.id,
            is_self=user.id == viewer or None,
            contact=bool(contact) or None,
            mutual_contact=(bool(contact) and self.world.contact(user.id, viewer) is not None) or None,
            access_hash=self.world.access_hash(viewer, f"user {user.id}"),
            first_name=contact[0] if contact else user.first_name,
            last_name=(contact[1] if contact else user.last_name) or None,
            username=user.username,
            phone=user.phone if phone_known else None,
            status=None if user.is_bot else self._status(user),
            **bot,
        )

    def _status(self, user: User) -> TL:
        if self.is_online(user.id):
            return types.UserStatusOnline(expires=self.date(self.now() + 300))
        return types.UserStatusOffline(was_online=self.date(user.seen)) if user.seen else types.UserStatusEmpty()

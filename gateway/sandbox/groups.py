"""Groups: who is in them, and what is written there. The least of them that lets bots be added and written to.

Source: https://core.telegram.org/api/channel (basic groups), https://core.telegram.org/bots/features#privacy-mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.cloud import Cloud
from gateway.sandbox.mailbox import Mailbox, Posted
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpcerror import RpcError
from gateway.sandbox.world import User

#: Ids of groups are of another kind than those of users; as a peer in a mailbox a group is its id, negative.
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS groups (id INTEGER PRIMARY KEY, title TEXT NOT NULL, created INTEGER NOT NULL)",
    'CREATE TABLE IF NOT EXISTS members ("group" INTEGER NOT NULL, user INTEGER NOT NULL, PRIMARY KEY ("group", user))',
)
_COMMAND: Final = re.compile(r"/\w+(?:@(\w+))?")


class Groups:
    def __init__(self, cloud: Cloud, mailbox: Mailbox) -> None:
        self._cloud = cloud
        self._world = cloud.world
        self._mailbox = mailbox
        for statement in SCHEMA:
            self._world.sql(statement)

    def create(self, creator: int, title: str, users: Iterable[int]) -> int:
        """Make a group of these and its creator; its id."""
        now = int(self._cloud.now())
        [(group,)] = self._world.sql("INSERT INTO groups (title, created) VALUES (?, ?) RETURNING id", title, now)
        self._join(group, creator)
        invited = [user for user in users if user != creator]
        for user in invited:
            self._join(group, user)
            self._tell_bot(group, user, creator)
        self.post(creator, group, action=types.MessageActionChatCreate(title, [creator, *invited]))
        return int(group)

    def add(self, group: int, user: int, by: int) -> Posted:
        """Raises `RpcError`."""
        if user in self.members(group, by):
            raise RpcError(400, "USER_ALREADY_PARTICIPANT")
        self._join(group, user)
        self._tell_bot(group, user, by)
        return self.post(by, group, action=types.MessageActionChatAddUser([user]))

    def _join(self, group: int, user: int) -> None:
        self._world.sql('INSERT INTO members ("group", user) VALUES (?, ?)', group, user)

    def _tell_bot(self, group: int, user: int, by: int) -> None:
        if self._world.user(user).is_bot:
            date = self._cloud.date()
            joined = types.ChatParticipant(user, by, date)
            update = types.UpdateChatParticipant(group, date, by, user, 0, new_participant=joined)
            self._cloud.tell(user, [update], {by, user})

    def has(self, group: int, user: int) -> bool:
        return bool(self._world.sql('SELECT 1 FROM members WHERE "group" = ? AND user = ?', group, user))

    def members(self, group: int, asker: int) -> list[int]:
        """Of a group that the asker is in. Raises `RpcError`."""
        if not self.has(group, asker):
            raise RpcError(400, "PEER_ID_INVALID")
        return [user for (user,) in self._world.sql('SELECT user FROM members WHERE "group" = ?', group)]

    def title(self, group: int) -> str:
        [(title,)] = self._world.sql("SELECT title FROM groups WHERE id = ?", group)
        return str(title)

    def shown(self, group: int) -> TL:
        [(title, created)] = self._world.sql("SELECT title, created FROM groups WHERE id = ?", group)
        [(count,)] = self._world.sql('SELECT count(*) FROM members WHERE "group" = ?', group)
        return types.Chat(group, title, types.ChatPhotoEmpty(), count, self._cloud.date(created), 1)

    def post(self, sender: int, group: int, **content: Any) -> Posted:
        """Put a message into the mailboxes of all members that are shown it. Raises `RpcError`."""
        text, action = content.get("message") or "", content.get("action")
        members = self.members(group, sender)
        shown = [user for user in members if user == sender or action or self._hears(self._world.user(user), text)]
        return self._mailbox.post_in(group, sender, shown, **content)

    def _hears(self, user: User, text: str) -> bool:
        """A bot hears commands, those that name another bot apart, and nothing else."""
        if not user.is_bot:
            return True
        command = _COMMAND.match(text)
        return command is not None and (command[1] or user.username or "").lower() == (user.username or "").lower()

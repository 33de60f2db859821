"""Messages between two users, or in a group; everybody keeps a copy of his own."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from telethon.tl import types

from gateway.sandbox.cloud import Cloud, Link
from gateway.sandbox.mtproto import TL
from gateway.sandbox.world import StoredMessage


@dataclass(frozen=True, slots=True)
class Posted:
    """The sender's own copy, and the update that tells of it."""

    message: TL
    update: TL


class Mailbox:
    """Who else is told, with which pts, is known here; what a client asks is not."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._world = cloud.world

    def post(
        self,
        sender: int,
        peer: int,
        *,
        random_id: int | None = None,
        action: TL = None,
        reply_to: int | None = None,
        but: Link | None = None,
        **content: Any,
    ) -> Posted:
        """Put a message into both mailboxes.

        Args:
            action: Makes it a service message.
            reply_to: The sender's number of the message that this one answers.
            but: The connection that learns of it by an answer.
            content: Fields of the TL message: `message`, `entities`, `reply_markup`, `via_bot_id`, ...
        """
        uid = uuid.uuid4().hex
        copies = self._copies(sender, reply_to)
        content = content | {"action": action}
        own = self._store(uid, sender, peer, True, random_id=random_id, reply_to=copies.get(sender), but=but, **content)
        if peer != sender:
            self._store(uid, peer, sender, False, reply_to=copies.get(peer), **content)
        return own

    def post_in(
        self,
        group: int,
        sender: int,
        members: Iterable[int],
        *,
        random_id: int | None = None,
        reply_to: int | None = None,
        but: Link | None = None,
        **content: Any,
    ) -> Posted:
        """Put a message into the mailboxes of these members of a group, of whom the sender is one."""
        uid = uuid.uuid4().hex
        copies = self._copies(sender, reply_to)
        content = {"action": None} | content
        for member in members:
            if member != sender:
                self._store(uid, member, -group, False, author=sender, reply_to=copies.get(member), **content)
        return self._store(
            uid,
            sender,
            -group,
            True,
            author=sender,
            random_id=random_id,
            reply_to=copies.get(sender),
            but=but,
            **content,
        )

    def _copies(self, owner: int, number: int | None) -> dict[int, int]:
        """Everybody's number of one of the owner's messages."""
        found = self._world.messages("owner = ? AND id = ?", owner, number) if number else []
        return {copy.owner: copy.id for own in found for copy in self._world.messages("uid = ?", own.uid)}

    def _store(
        self,
        uid: str,
        owner: int,
        peer: int,
        outgoing: bool,
        *,
        author: int | None = None,
        random_id: int | None = None,
        action: TL,
        reply_to: int | None,
        but: Link | None = None,
        **content: Any,
    ) -> Posted:
        """`peer` is another user, or a group's id, negative; then `author` wrote it."""
        number = self._world.next_message_id(owner)
        make = types.Message if action is None else types.MessageService
        fields = content if action is None else {"action": action}
        now = self._cloud.date()
        reply = types.MessageReplyHeader(reply_to_msg_id=reply_to) if reply_to else None
        peer_id = types.PeerUser(peer) if peer > 0 else types.PeerChat(-peer)
        from_id = types.PeerUser(author) if author is not None else None
        message = make(
            id=number, peer_id=peer_id, from_id=from_id, date=now, out=outgoing or None, reply_to=reply, **fields
        )
        self._world.add_message(
            StoredMessage(owner, number, uid, peer, outgoing, int(now.timestamp()), random_id, bytes(message))
        )
        about = {owner, author or peer} | ({content["via_bot_id"]} if content.get("via_bot_id") else set())
        update = self._cloud.lasting(owner, lambda pts: types.UpdateNewMessage(message, pts, 1), about)
        self._cloud.tell(owner, [update], about, but=but)
        return Posted(message, update)

    def delete(self, owner: int, ids: Iterable[int], *, revoke: bool, but: Link | None = None) -> tuple[int, int]:
        """Delete the owner's copies, and with `revoke` the others', too. Answers his pts, and by how much it grew."""
        doomed: dict[int, list[int]] = {owner: []}
        for number in ids:
            for own in self._world.messages("owner = ? AND id = ?", owner, number):
                copies = self._world.messages("uid = ?", own.uid) if revoke else [own]
                for copy in copies:
                    doomed.setdefault(copy.owner, []).append(copy.id)
        for holder, numbers in doomed.items():
            if numbers:
                self._world.delete_messages(holder, numbers)
                self._tell_deleted(holder, numbers, but if holder == owner else None)
        return self._world.user(owner).pts, len(doomed[owner])

    def _tell_deleted(self, owner: int, numbers: list[int], but: Link | None) -> None:
        update = self._cloud.lasting(
            owner, lambda pts: types.UpdateDeleteMessages(numbers, pts, len(numbers)), [], count=len(numbers)
        )
        self._cloud.tell(owner, [update], [], but=but)

    def read(self, owner: int, peer: int, max_id: int, *, but: Link | None = None) -> tuple[int, int]:
        """The owner has read what the peer wrote. Answers his pts, and by how much it grew."""
        newest = self._world.messages(
            "owner = ? AND peer = ? AND NOT outgoing AND id <= ?", owner, peer, max_id or 2**31 - 1
        )
        if not newest or newest[0].id <= self._world.read_marks(owner, peer)[0]:
            return self._world.user(owner).pts, 0
        last = newest[0]
        self._world.mark_read(owner, peer, inbox=last.id)
        unread = self._world.unread(owner, peer)
        update = self._cloud.lasting(
            owner, lambda pts: types.UpdateReadHistoryInbox(types.PeerUser(peer), last.id, unread, pts, 1), [peer]
        )
        self._cloud.tell(owner, [update], [peer], but=but)
        for copy in self._world.messages("uid = ? AND owner != ?", last.uid, owner):
            self._tell_seen(copy)
        return update.pts, 1

    def _tell_seen(self, copy: StoredMessage) -> None:
        self._world.mark_read(copy.owner, copy.peer, outbox=copy.id)
        seen = self._cloud.lasting(
            copy.owner,
            lambda pts: types.UpdateReadHistoryOutbox(types.PeerUser(copy.peer), copy.id, pts, 1),
            [copy.peer],
        )
        self._cloud.tell(copy.owner, [seen], [copy.peer])

    def edit(self, owner: int, number: int, *, but: Link | None = None, **content: Any) -> Posted | None:
        """Change all copies of a message. None when the owner has no such message."""
        result = None
        for own in self._world.messages("owner = ? AND id = ?", owner, number):
            for copy in self._world.messages("uid = ?", own.uid):
                edited = self._edit(copy, but if copy.owner == owner else None, content)
                result = edited if copy.owner == owner else result
        return result

    def _edit(self, copy: StoredMessage, but: Link | None, content: dict[str, Any]) -> Posted:
        message = copy.message
        for name, value in content.items():
            setattr(message, name, value)
        message.edit_date = self._cloud.date()
        self._world.change_message(copy.owner, copy.id, message)
        about = {copy.owner, copy.peer} | ({message.via_bot_id} if message.via_bot_id else set())
        update = self._cloud.lasting(copy.owner, lambda pts: types.UpdateEditMessage(message, pts, 1), about)
        self._cloud.tell(copy.owner, [update], about, but=but)
        return Posted(message, update)

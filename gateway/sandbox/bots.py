"""Bots among users: to whom they may write, and what users ask of them by buttons and inline queries.

Source: https://core.telegram.org/api/bots, https://core.telegram.org/api/bots/buttons, https://core.telegram.org/api/bots/inline.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from telethon.tl import types

from gateway.sandbox.cloud import DC, Cloud
from gateway.sandbox.mailbox import Mailbox, Posted
from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpcerror import RpcError
from gateway.sandbox.world import StoredMessage, User

#: Whom a bot has met, and who has written to it and so may be written to.
SCHEMA: Final = """CREATE TABLE IF NOT EXISTS acquaintances (
    bot INTEGER NOT NULL, user INTEGER NOT NULL, started INTEGER NOT NULL, PRIMARY KEY (bot, user)
)"""

#: Source: https://core.telegram.org/bots/api#inlinekeyboardbutton (callback_data).
MAX_DATA_BYTES: Final = 64
#: Source: https://core.telegram.org/bots/api#answerinlinequery (results).
MAX_RESULTS: Final = 50


@dataclass(frozen=True, slots=True)
class Question:
    """What a user waits for a bot to answer."""

    bot: int
    user: int
    answer: asyncio.Future[TL]
    timer: asyncio.TimerHandle
    query: str = ""
    offset: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A bot's answer to an inline query.

    Attributes:
        user: Who may choose from it; None: everybody.
        expires: Until when it is the answer to the same query, too.
    """

    id: int
    bot: int
    user: int | None
    query: str
    offset: str
    expires: float
    results: Sequence[TL]
    cache_s: int
    next_offset: str

    def fits(self, bot: int, user: int, query: str, offset: str) -> bool:
        return (self.bot, self.query, self.offset) == (bot, query, offset) and self.user in (None, user)


class Bots:
    def __init__(self, cloud: Cloud, mailbox: Mailbox) -> None:
        self._cloud = cloud
        self._world = cloud.world
        self._mailbox = mailbox
        self._questions: dict[int, Question] = {}
        self._offers: dict[int, Offer] = {}
        self._sent_up_to: dict[tuple[int, int], float] = {}
        self._world.sql(SCHEMA)
        cloud.listeners.append(self._heard)

    def close(self) -> None:
        for question in self._questions.values():
            question.timer.cancel()

    # To whom a bot may write

    def _heard(self, user_id: int, updates: Sequence[TL]) -> None:
        for update in updates:
            if isinstance(update, types.UpdateNewMessage) and not update.message.out and self._is_bot(user_id):
                match update.message:
                    case types.Message(peer_id=types.PeerUser(user_id=user)):
                        self._meet(user_id, user, started=True)
                    case types.Message(from_id=types.PeerUser(user_id=user)):
                        self._meet(user_id, user)  # in a group: known, and not to be written to

    def _is_bot(self, user_id: int) -> bool:
        return self._world.user(user_id).is_bot

    def _meet(self, bot: int, user: int, *, started: bool = False) -> None:
        self._world.sql(
            "INSERT INTO acquaintances VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET started = max(started, excluded.started)",
            *(bot, user, started),
        )

    def knows(self, bot: int, user: int) -> bool:
        """Whether the bot has ever heard of the user."""
        return bool(self._world.sql("SELECT 1 FROM acquaintances WHERE bot = ? AND user = ?", bot, user))

    def admit(self, bot: int, user: User) -> None:
        """Raises `RpcError` when the bot may not write to the user."""
        started = self._world.sql("SELECT 1 FROM acquaintances WHERE bot = ? AND user = ? AND started", bot, user.id)
        if user.is_bot:
            raise RpcError(400, "USER_IS_BOT")
        if not started:
            raise RpcError(400, "PEER_ID_INVALID")
        if user.banned:
            raise RpcError(400, "INPUT_USER_DEACTIVATED")
        if self._world.is_blocked(user.id, bot):
            raise RpcError(400, "USER_IS_BLOCKED")

    def post(self, bot: int, user: User, **content: Any) -> Posted:
        """Send a message of the bot. Raises `RpcError` when it may not, or not so fast."""
        self.admit(bot, user)
        self._pace(bot, user.id)
        return self._mailbox.post(bot, user.id, **content)

    def _pace(self, bot: int, user: int) -> None:
        """Source: ITU-T I.371 annex A (generic cell rate algorithm)."""
        settings = self._cloud.settings
        if settings.bot_chat_rate is None:
            return
        now = self._cloud.now()
        interval_s = 1 / settings.bot_chat_rate
        due = max(self._sent_up_to.get((bot, user), now), now)
        too_early_s = due - now - interval_s * (settings.bot_chat_burst - 1)
        if too_early_s > 1e-6:
            raise RpcError(420, f"FLOOD_WAIT_{math.ceil(too_early_s)}")
        self._sent_up_to[bot, user] = due + interval_s

    def block(self, user_id: int, peer: int, *, blocked: bool) -> None:
        """A user blocks another, or no longer; a bot is told."""
        changed = self._world.is_blocked(user_id, peer) != blocked
        self._world.block(user_id, peer, blocked=blocked)
        if changed and self._is_bot(peer):
            update = types.UpdateBotStopped(user_id, self._cloud.date(), blocked, 0)
            self._cloud.tell(peer, [update], {user_id})

    # Presses

    def press(self, user_id: int, copy: StoredMessage, data: bytes) -> asyncio.Future[TL]:
        """A user presses a button of a message in his mailbox. Answers what the bot will answer.

        The data may be of a button that is no longer there, or never was: bots are warned that clients can do that.

        Source: https://core.telegram.org/bots/api#callbackquery (data).
        """
        message = copy.message
        author = copy.owner if copy.outgoing else copy.peer
        bot = message.via_bot_id or author
        if not self._is_bot(bot):
            raise RpcError(400, "MESSAGE_ID_INVALID")
        if not 0 < len(data) <= MAX_DATA_BYTES:
            raise RpcError(400, "DATA_INVALID")
        query_id, answer = self._ask(bot, user_id)
        chat = self._world.access_hash(bot, "chat " + " ".join(map(str, sorted((copy.owner, copy.peer)))))
        if message.via_bot_id:
            update = types.UpdateInlineBotCallbackQuery(query_id, user_id, self._inline_id(bot, copy.uid), chat, data)
        else:
            (own,) = self._world.messages("uid = ? AND owner = ?", copy.uid, bot)
            update = types.UpdateBotCallbackQuery(query_id, user_id, types.PeerUser(user_id), own.id, chat, data)
        self._cloud.tell(bot, [update], {user_id})
        return answer

    def answer_press(self, bot: int, query_id: int, answer: TL) -> None:
        """Raises `RpcError` when nobody waits for it any more."""
        question = self._questions.get(query_id)
        if question is None or question.bot != bot:
            raise RpcError(400, "QUERY_ID_INVALID")
        if not question.answer.done():
            question.answer.set_result(answer)

    def _ask(self, bot: int, user: int, query: str = "", offset: str = "") -> tuple[int, asyncio.Future[TL]]:
        self._meet(bot, user)
        loop = asyncio.get_running_loop()
        query_id = secrets.randbits(62)
        answer: asyncio.Future[TL] = loop.create_future()
        timer = loop.call_later(self._cloud.settings.bot_answer_s, self._give_up, query_id)
        self._questions[query_id] = Question(bot, user, answer, timer, query, offset)
        return query_id, answer

    def _give_up(self, query_id: int) -> None:
        question = self._questions.pop(query_id)
        if not question.answer.done():
            question.answer.set_exception(RpcError(400, "BOT_RESPONSE_TIMEOUT"))

    # Inline queries, and the messages that come of them

    def ask(self, user_id: int, bot: User, query: str, offset: str, peer_type: TL) -> TL | asyncio.Future[TL]:
        """A user types the bot's name and something more. Answers what the bot will answer, or has."""
        if not bot.is_bot:
            raise RpcError(400, "BOT_INVALID")
        if not self._cloud.profiles.of(bot.id).inline:
            raise RpcError(400, "BOT_INLINE_DISABLED")
        now = self._cloud.now()
        for offer in self._offers.values():
            if now < offer.expires and offer.fits(bot.id, user_id, query, offset):
                return self._offered(offer, user_id)
        query_id, answer = self._ask(bot.id, user_id, query, offset)
        update = types.UpdateBotInlineQuery(query_id, user_id, query, offset, peer_type=peer_type)
        self._cloud.tell(bot.id, [update], {user_id})
        return answer

    def answer_query(
        self, bot: int, query_id: int, results: Sequence[TL], *, cache_s: int, personal: bool, next_offset: str
    ) -> None:
        """Raises `RpcError` when nobody waits for it any more, or there is something about the results."""
        question = self._questions.get(query_id)
        if question is None or question.bot != bot:
            raise RpcError(400, "QUERY_ID_INVALID")
        if len(results) > MAX_RESULTS:
            raise RpcError(400, "RESULTS_TOO_MUCH")
        if len({result.id for result in results}) < len(results):
            raise RpcError(400, "RESULT_ID_DUPLICATE")
        offer = Offer(
            query_id,
            bot,
            question.user if personal else None,
            question.query,
            question.offset,
            self._cloud.now() + cache_s,
            results,
            cache_s,
            next_offset,
        )
        self._offers[query_id] = offer
        if not question.answer.done():
            question.answer.set_result(self._offered(offer, question.user))

    def _offered(self, offer: Offer, viewer: int) -> TL:
        return types.messages.BotResults(
            offer.id,
            list(offer.results),
            offer.cache_s,
            self._cloud.users(viewer, {offer.bot}),
            next_offset=offer.next_offset or None,
        )

    def choose(self, user_id: int, peer: int, query_id: int, result_id: str, **content: Any) -> Posted:
        """A user sends one of the results that he was offered."""
        offer = self._offers.get(query_id)
        if offer is None or offer.user not in (None, user_id):
            raise RpcError(400, "INLINE_RESULT_EXPIRED")
        chosen = next((result for result in offer.results if result.id == result_id), None)
        if chosen is None:
            raise RpcError(400, "RESULT_ID_INVALID")
        text = chosen.send_message
        posted = self._mailbox.post(
            user_id,
            peer,
            message=text.message,
            entities=text.entities,
            reply_markup=text.reply_markup,
            via_bot_id=offer.bot,
            **content,
        )
        if self._cloud.profiles.of(offer.bot).inline_feedback:
            (own,) = self._world.messages("owner = ? AND id = ?", user_id, posted.message.id)
            inline_id = self._inline_id(offer.bot, own.uid) if text.reply_markup else None
            update = types.UpdateBotInlineSend(user_id, offer.query, result_id, msg_id=inline_id)
            self._cloud.tell(offer.bot, [update], {user_id})
        return posted

    def _inline_id(self, bot: int, uid: str) -> TL:
        """By which the bot speaks of a message that a user sent through it."""
        (sent,) = self._world.messages("uid = ? AND outgoing", uid)
        return types.InputBotInlineMessageID64(DC, sent.owner, sent.id, self._inline_hash(bot, sent))

    def _inline_hash(self, bot: int, sent: StoredMessage) -> int:
        return self._world.access_hash(bot, f"inline {sent.owner} {sent.id}")

    def inline_message(self, bot: int, named: TL) -> StoredMessage:
        """The sender's copy of a message that was sent through the bot. Raises `RpcError`."""
        for sent in self._world.messages("owner = ? AND id = ? AND outgoing", named.owner_id, named.id):
            if named.access_hash == self._inline_hash(bot, sent):
                return sent
        raise RpcError(400, "MESSAGE_ID_INVALID")

    # Edits

    def edit(self, sent: StoredMessage, /, **content: Any) -> TL:
        """Change fields of a message, for all who have it. Answers the message.

        Raises:
            RpcError: It would be the same as before.
        """
        before = sent.message
        if all(_same(getattr(before, name), value) for name, value in content.items()):
            raise RpcError(400, "MESSAGE_NOT_MODIFIED")
        edited = self._mailbox.edit(sent.owner, sent.id, **content)
        assert edited is not None, "the message was found a moment ago"
        return edited.message


def _same(one: Any, other: Any) -> bool:
    """Whether two fields of a message are sent as the same bytes."""
    if not one or not other:
        return not one and not other
    if isinstance(one, list) and isinstance(other, list):
        return [bytes(item) for item in one] == [bytes(item) for item in other]
    return one == other if isinstance(one, str) else bytes(one) == bytes(other)

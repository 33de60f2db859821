"""Who sends what: offers and answers of audio. Pure.

Each end offers only what it sends. The caller offers first; the callee offers once it has answered.

An exchange id that is not the one pending at the other end is taken there for an offer. Two of our offers at once
would therefore make both ends answer each other's answers without end, so: one offer is outstanding at most, all our
ids are remembered, what carries a finished one is dropped, and answers are limited in rate as the last resort.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from .limits import TokenBucket
from .messages import Content, NegotiateChannels, PayloadType

OPUS: Final = PayloadType(111, "opus", 48_000, 2)

#: A camera that goes on and off offers twice a second at most.
ANSWERS_PER_S: Final = 2.0
ANSWERS_AT_ONCE: Final = 20
#: An offer of the callee's that came while ours was pending is answered after so long, if no other one follows: either
#: it overtook the answer to ours, or it crossed our offer, and the callee repeats it under a new id.
CROSSED_S: Final = 0.5
#: More offers of our own than this never happen in a call; the oldest ids are then forgotten.
MOST_OWN_IDS: Final = 64


@dataclass(frozen=True, slots=True)
class Stream:
    """Audio that one end sends: where it is found among the packets."""

    ssrc: int
    payload_type: int


class Negotiation:
    """The state of offers and answers in one call.

    Attributes:
        sending: What the peer accepted of ours; None until it did.
        receiving: What the peer sends; None until it said so.
    """

    def __init__(self, outgoing: bool, ssrc: int) -> None:
        self.sending: Stream | None = None
        self.receiving: Stream | None = None
        self._outgoing = outgoing
        self._ssrc = ssrc
        self._pending: int | None = None
        self._own_ids: dict[int, None] = {}
        self._crossed: NegotiateChannels | None = None
        self._crossed_due = float("inf")
        self._answers = TokenBucket(ANSWERS_PER_S, ANSWERS_AT_ONCE)

    def begin(self) -> list[NegotiateChannels]:
        """What to say before anything was heard."""
        return [self._offer()] if self._outgoing else []

    def hear(self, message: NegotiateChannels, now: float) -> list[NegotiateChannels]:
        """Take the peer's offer or answer; answer what to say."""
        if message.exchange_id == self._pending:
            self._pending = None
            self._crossed_due = now + CROSSED_S
            self._take_answer(message)
            return []
        if message.exchange_id in self._own_ids or not self._answers.take(now):
            return []
        if self._pending is not None and self._outgoing:
            self._crossed = message
            return []
        self._crossed = None
        return self._take_offer(message)

    def poll(self, now: float) -> list[NegotiateChannels]:
        """What to say, now that some time has passed."""
        if now < self.due or self._crossed is None:
            return []
        crossed, self._crossed = self._crossed, None
        return self._take_offer(crossed)

    @property
    def due(self) -> float:
        """When to `poll`."""
        return self._crossed_due if self._crossed is not None and self._pending is None else float("inf")

    def _take_answer(self, message: NegotiateChannels) -> None:
        for content in message.contents:
            if content.kind == "audio" and content.ssrc == self._ssrc and content.opus:
                self.sending = Stream(self._ssrc, content.opus.id)

    def _take_offer(self, message: NegotiateChannels) -> list[NegotiateChannels]:
        accepted = []
        for content in message.contents:
            if content.kind != "audio" or content.ssrc == self._ssrc or not content.opus:
                continue  # no video; and never our own stream back
            self.receiving = Stream(content.ssrc, content.opus.id)
            accepted.append(Content("audio", content.ssrc, (content.opus,)))
            break
        replies = [NegotiateChannels(message.exchange_id, tuple(accepted))]
        if self.sending is None and not self._outgoing:
            # A pending offer of the callee was dropped by the caller if the offers crossed.
            replies.append(self._offer())
        return replies

    def _offer(self) -> NegotiateChannels:
        self._pending = secrets.randbits(32)
        self._own_ids[self._pending] = None
        if len(self._own_ids) > MOST_OWN_IDS:
            del self._own_ids[next(iter(self._own_ids))]
        return NegotiateChannels(self._pending, (Content("audio", self._ssrc, (OPUS,)),))

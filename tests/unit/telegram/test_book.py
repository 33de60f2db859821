from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

import pytest
from telethon.tl import types

from gateway.telegram import book as book_module
from gateway.telegram.book import CallBook

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PROTOCOL = types.PhoneCallProtocol(92, 92, ["9.0.0"])
ME, ANN, BOB = 1, 2, 3
BUSY = types.PhoneCallDiscardReasonBusy()


class End:
    """One end of a call, that takes note of what it hears and claims calls as a far leg does."""

    def __init__(self, book: CallBook) -> None:
        self.book = book
        self.heard: list[Any] = []
        self.signals: list[bytes] = []
        self.over: list[Any] = []
        self.checked = 0
        self.abandoned = ""

    def hear(self, call: Any) -> None:
        assert self.book.claim(call.id, self)
        self.heard.append(type(call).__name__)

    def hear_signal(self, blob: bytes) -> None:
        self.signals.append(blob)

    def hear_over(self, reason: Any) -> None:
        self.over.append(reason)

    def check(self) -> None:
        self.checked += 1

    def abandon(self, detail: str) -> None:
        self.abandoned = detail


class Offers(list[int]):
    def __call__(self, call: types.PhoneCallRequested, users: Mapping[int, Any]) -> None:
        self.append(call.id)


@pytest.fixture
def offers() -> Offers:
    return Offers()


@pytest.fixture
def book(offers: Offers) -> CallBook:
    return CallBook(offers)


def waiting(call_id: int, to: int = ANN) -> types.PhoneCallWaiting:
    return types.PhoneCallWaiting(call_id, 7, NOW, ME, to, PROTOCOL)


def accepted(call_id: int, to: int = ANN) -> types.PhoneCallAccepted:
    return types.PhoneCallAccepted(call_id, 7, NOW, ME, to, b"g_b", PROTOCOL)


def tell(book: CallBook, *calls: Any) -> None:
    for call in calls:
        book.hear(types.UpdatePhoneCall(call), {})


def note(call_id: int, peer: int = ANN, *, out: bool = True) -> types.UpdateNewMessage:
    action = types.MessageActionPhoneCall(call_id, reason=BUSY)
    return types.UpdateNewMessage(
        types.MessageService(id=5, peer_id=types.PeerUser(peer), date=NOW, action=action, out=out), 1, 1
    )


def test_each_call_hears_its_own_news_only(book: CallBook) -> None:
    ann, bob = End(book), End(book)
    book.claim(10, ann)
    book.claim(20, bob)
    tell(book, accepted(10), types.PhoneCallDiscarded(20, reason=BUSY))
    book.hear(types.UpdatePhoneCallSignalingData(20, b"late"), {})
    book.hear(types.UpdatePhoneCallSignalingData(10, b"blob"), {})
    book.hear(types.UpdatePhoneCallSignalingData(99, b"nobody's"), {})
    assert (ann.heard, ann.over, ann.signals) == (["PhoneCallAccepted"], [], [b"blob"])
    assert (bob.heard, bob.over) == ([], [BUSY])


def test_news_of_a_call_that_is_over_is_dropped(book: CallBook, offers: Offers) -> None:
    ann = End(book)
    book.claim(10, ann)
    book.close(10)
    requested = types.PhoneCallRequested(10, 7, NOW, ANN, ME, b"", PROTOCOL)
    tell(book, accepted(10), types.PhoneCallDiscarded(10), requested)
    book.hear(note(10), {})
    assert (ann.heard, ann.over, offers) == ([], [], [])
    assert not book.claim(10, End(book))


def test_a_call_has_one_owner(book: CallBook) -> None:
    ann = End(book)
    assert book.claim(10, ann)
    assert book.claim(10, ann)
    assert not book.claim(10, End(book))


def test_news_before_the_answer_finds_the_call_by_whom_it_is_for(book: CallBook) -> None:
    ann, bob = End(book), End(book)
    book.place(ANN, ann)
    book.place(BOB, bob)
    tell(book, accepted(10), waiting(20, BOB))
    assert (ann.heard, bob.heard) == (["PhoneCallAccepted"], ["PhoneCallWaiting"])


def test_an_end_before_the_answer_is_recalled(book: CallBook) -> None:
    ann = End(book)
    book.place(ANN, ann)
    tell(book, types.PhoneCallDiscarded(10, reason=BUSY))
    assert ann.over == []
    ann.hear(waiting(10))
    book.recall(10)
    book.recall(10)
    assert ann.over == [BUSY]


def test_news_that_may_be_of_two_calls_waits_for_the_answer_that_tells(book: CallBook) -> None:
    lost, fresh = End(book), End(book)
    book.place(ANN, lost)
    book.answered(ANN, lost, lost=True)
    book.place(ANN, fresh)
    tell(book, waiting(10), accepted(20))
    assert lost.heard == fresh.heard == []
    fresh.hear(waiting(20))
    book.answered(ANN, fresh, lost=False)
    assert lost.heard == ["PhoneCallWaiting"]
    assert fresh.heard == ["PhoneCallWaiting", "PhoneCallAccepted"]


def test_two_lost_calls_are_adopted_in_their_order(book: CallBook) -> None:
    first, second = End(book), End(book)
    for end in (first, second):
        book.place(ANN, end)
        book.answered(ANN, end, lost=True)
    tell(book, waiting(10), waiting(20))
    assert first.heard == second.heard == ["PhoneCallWaiting"]


def test_a_lost_call_is_not_awaited_for_ever(book: CallBook, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = End(book)
    book.place(ANN, lost)
    book.answered(ANN, lost, lost=True)
    later = time.monotonic() + book_module.GHOST_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    tell(book, waiting(10))
    assert lost.heard == []


def test_the_note_in_the_chat_ends_a_call_and_a_lost_one(book: CallBook) -> None:
    known, lost = End(book), End(book)
    book.claim(10, known)
    book.place(ANN, lost)
    book.answered(ANN, lost, lost=True)
    book.hear(note(10), {})
    book.hear(note(30, out=False), {})  # a call of hers to us
    assert (known.over, lost.over) == ([BUSY], [])
    book.hear(note(20), {})
    assert lost.over == [BUSY]


def test_what_the_book_remembers_is_bounded(book: CallBook) -> None:
    for call_id in range(3 * book_module.REMEMBERED):
        book.close(call_id)
        tell(book, types.PhoneCallDiscarded(10**6 + call_id))
    assert len(book._over) == len(book._early_ends) == book_module.REMEMBERED


def test_everybody_is_checked_and_abandoned(book: CallBook) -> None:
    known, placed = End(book), End(book)
    book.claim(10, known)
    book.place(ANN, placed)
    book.check_all()
    book.abandon_all("gone")
    assert known.checked == 1
    assert known.abandoned == placed.abandoned == "gone"

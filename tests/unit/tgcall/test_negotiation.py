from __future__ import annotations

import pytest

from gateway.media.tgcall.messages import Content, NegotiateChannels, PayloadType
from gateway.media.tgcall.negotiation import OPUS, Negotiation, Stream

OURS, THEIRS = 1111, 2222


def offer(
    exchange_id: int = 77, ssrc: int = THEIRS, opus: PayloadType = OPUS, camera: bool = False
) -> NegotiateChannels:
    contents = [Content("audio", ssrc, (PayloadType(63, "red", 48_000, 2), opus, PayloadType(0, "PCMU", 8000, 1)))]
    if camera:
        contents.append(Content("video", 3333, (PayloadType(100, "VP8", 90_000, 1),)))
    return NegotiateChannels(exchange_id, tuple(contents))


def answer_to(message: NegotiateChannels) -> NegotiateChannels:
    return message


def agreed(outgoing: bool) -> Negotiation:
    """A negotiation in which both directions are agreed."""
    negotiation = Negotiation(outgoing, OURS)
    if outgoing:
        negotiation.hear(answer_to(negotiation.begin()[0]), 0.0)
        negotiation.hear(offer(), 0.0)
    else:
        own = negotiation.hear(offer(), 0.0)[1]
        negotiation.hear(answer_to(own), 0.0)
    assert negotiation.sending == Stream(OURS, 111)
    assert negotiation.receiving == Stream(THEIRS, 111)
    return negotiation


@pytest.mark.parametrize("outgoing", [True, False])
def test_each_end_offers_what_it_sends_and_accepts_what_the_other_sends(outgoing: bool) -> None:
    agreed(outgoing)


def test_callee_does_not_offer_before_it_was_offered() -> None:
    assert Negotiation(False, OURS).begin() == []


def test_two_ends_of_ours_agree_in_two_exchanges() -> None:
    ends = (Negotiation(True, OURS), Negotiation(False, THEIRS))
    under_way = [(1, message) for message in ends[0].begin()]
    said = 0
    while under_way:
        to, message = under_way.pop(0)
        said += 1
        under_way += [(1 - to, reply) for reply in ends[to].hear(message, 0.0)]
    assert said == 4
    assert ends[0].sending == ends[1].receiving
    assert ends[1].sending == ends[0].receiving


def test_offer_that_overtook_the_answer_to_ours_is_answered_in_the_end() -> None:
    caller = Negotiation(True, OURS)
    own = caller.begin()[0]
    assert caller.hear(offer(), 0.0) == []
    assert caller.poll(100.0) == []
    caller.hear(answer_to(own), 1.0)
    assert caller.poll(1.1) == []
    assert [reply.exchange_id for reply in caller.poll(caller.due)] == [77]
    assert caller.receiving == Stream(THEIRS, 111)
    assert caller.poll(100.0) == []


def test_crossed_offer_that_is_repeated_is_answered_once() -> None:
    caller = Negotiation(True, OURS)
    own = caller.begin()[0]
    caller.hear(offer(77), 0.0)
    caller.hear(answer_to(own), 1.0)
    assert len(caller.hear(offer(78), 1.1)) == 1
    assert caller.poll(100.0) == []


def test_crossing_offers_are_settled_for_the_caller() -> None:
    caller = Negotiation(True, OURS)
    own = caller.begin()[0]
    assert caller.hear(offer(), 0.0) == []
    caller.hear(answer_to(own), 0.0)
    assert caller.sending is not None
    assert len(caller.hear(offer(78), 0.0)) == 1


@pytest.mark.parametrize("outgoing", [True, False])
def test_answer_that_comes_again_is_not_answered(outgoing: bool) -> None:
    """An exchange id that is no longer pending looks like an offer: taking it for one starts a storm."""
    negotiation = Negotiation(outgoing, OURS)
    own = negotiation.begin()[0] if outgoing else negotiation.hear(offer(), 0.0)[1]
    negotiation.hear(answer_to(own), 0.0)
    for _ in range(10):
        assert negotiation.hear(answer_to(own), 0.0) == []


def test_two_ends_never_answer_each_others_answers_whatever_comes_again() -> None:
    """Everything that was ever said is repeated, in the worst order; the number of new messages stays bounded."""
    ends = (Negotiation(True, OURS), Negotiation(False, THEIRS))
    under_way = [(1, message) for message in ends[0].begin()] * 3
    said: list[tuple[int, NegotiateChannels]] = []
    while under_way and len(said) < 5000:
        to, message = under_way.pop()
        said.append((to, message))
        under_way += [(1 - to, reply) for reply in ends[to].hear(message, 0.0)]
        if len(said) % 7 == 0 and len(said) < 100:
            under_way += said[-3:]
    assert len(said) < 250
    assert ends[0].sending
    assert ends[1].sending


def test_our_own_stream_reflected_is_not_accepted() -> None:
    negotiation = agreed(True)
    reply = negotiation.hear(offer(90, ssrc=OURS), 0.0)[0]
    assert reply.contents == ()
    assert negotiation.receiving == Stream(THEIRS, 111)


def test_camera_on_and_off_in_mid_call_is_answered_with_audio_alone() -> None:
    negotiation = agreed(True)
    for exchange, camera in ((91, True), (92, False), (93, True)):
        replies = negotiation.hear(offer(exchange, camera=camera), 0.0)
        assert [content.kind for content in replies[0].contents] == ["audio"]
        assert replies[0].exchange_id == exchange
        assert len(replies) == 1
    assert negotiation.receiving == Stream(THEIRS, 111)


def test_changed_stream_is_followed() -> None:
    negotiation = agreed(False)
    negotiation.hear(offer(95, ssrc=4444, opus=PayloadType(96, "opus", 48_000, 2)), 0.0)
    assert negotiation.receiving == Stream(4444, 96)


def test_offer_without_opus_is_answered_with_nothing() -> None:
    negotiation = Negotiation(False, OURS)
    message = NegotiateChannels(5, (Content("audio", THEIRS, (PayloadType(0, "PCMU", 8000, 1),)),))
    assert negotiation.hear(message, 0.0)[0].contents == ()


def test_answers_are_limited_in_rate() -> None:
    negotiation = agreed(True)
    answered = sum(len(negotiation.hear(offer(1000 + n), 0.01 * n)) for n in range(1000))
    assert answered <= 20 + 2 * 10 + 1


def test_callee_whose_offer_crossed_offers_again() -> None:
    negotiation = Negotiation(False, OURS)
    first = negotiation.hear(offer(1), 0.0)
    again = negotiation.hear(offer(2), 0.0)
    assert len(first) == len(again) == 2
    assert first[1].exchange_id != again[1].exchange_id
    assert negotiation.hear(answer_to(first[1]), 0.0) == []
    negotiation.hear(answer_to(again[1]), 0.0)
    assert negotiation.sending is not None

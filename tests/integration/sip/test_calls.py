"""Calls through a real Asterisk, from and to a real telephone; only Telegram is missing, an echo stands for it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.call.model import Party
from gateway.errors import CallError, Ending, HangupCause
from gateway.media.model import AudioFormat
from gateway.sandbox import audio
from gateway.sandbox.phone import ANSWER, RING, Behaviour, PhoneCall
from gateway.sandbox.phone.sound import rate_of
from gateway.sip.leg import FarLeg, NearLeg
from tests.asterisk_fixtures import EchoMedia, eventually, no_alerting, route
from tests.integration.sip.conftest import Here

pytestmark = pytest.mark.asyncio(loop_scope="module")

NORMAL = Ending(HangupCause.NORMAL)
TONE_HZ = 700.0


async def heard_tone(call: PhoneCall) -> float:
    """How much of the second half of what was heard is the tone."""
    await asyncio.sleep(0.35)
    pcm = call.sound.pcm()
    return audio.tone_share(pcm[len(pcm) // 2 :], rate_of(call.sound.codec), TONE_HZ)


def tone_for(codec: str) -> audio.Pcm:
    return audio.tone(TONE_HZ, 1, rate_of(codec))


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "g722"])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40])
async def test_a_call_from_the_pbx_carries_audio_both_ways_untouched(here: Here, codec: str, ptime_ms: int) -> None:
    here.phone.ptime_ms = ptime_ms
    call = here.phone.call("+4930123", codecs=(codec,), play=tone_for(codec))
    offer, leg, media = await here.take()
    assert (offer.via, offer.dialled, offer.caller.number) == ("line1", "+4930123", "line1")
    await leg.answer()
    await call.answered()
    assert await heard_tone(call) > 0.9
    assert media.format == AudioFormat(codec)
    assert set(media.packets) == {12 + 8 * ptime_ms}  # as they were sent: Asterisk did not transcode
    await call.hang_up()
    assert (await leg.released()).cause is HangupCause.NORMAL
    await leg.release(NORMAL)


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "g722"])
async def test_a_call_to_the_pbx_carries_audio_both_ways_in_the_codec_it_chose(here: Here, codec: str) -> None:
    here.phone.codecs = (codec,)
    here.phone.plays = tone_for(codec)
    leg, media = here.far()
    await leg.dial("200", Party("+79990001122", "Anna"), no_alerting)
    call = await here.phone.came.get()
    assert await heard_tone(call) > 0.9
    assert media.format == AudioFormat(codec)
    assert 'From: "Anna" <sip:+79990001122@' in call.invite.render().decode()
    assert call.invite.uri.startswith("sip:200@")
    await leg.release(NORMAL)
    assert (await call.ended()).header("Reason") == "Q.850;cause=16"


async def test_the_pbx_hears_ringing_when_we_ring_and_is_answered_when_we_answer(here: Here) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    await asyncio.sleep(0.05)
    assert [response.code for response in call.provisional] == [100]
    await leg.ring()
    await call.ringing()
    assert [response.code for response in call.provisional] == [100, 180]
    assert call.answered_at is None
    await leg.answer()
    await call.answered()
    await leg.release(NORMAL)
    await call.ended()


async def test_we_are_told_that_the_pbx_rings_before_it_answers(here: Here) -> None:
    here.phone.behaviour = Behaviour(ring_after_s=0.0, answer_after_s=0.2)
    leg, media = here.far()
    rang: list[AudioFormat | None] = []

    async def alerting() -> None:
        rang.append(media.format)

    await leg.dial("100", Party("1"), alerting)
    assert rang == [None]
    await leg.release(NORMAL)


async def test_early_media_counts_as_ringing_once(here: Here) -> None:
    here.phone.behaviour = Behaviour(early_media=True, answer_after_s=0.2)
    leg, _ = here.far()
    rang: list[int] = []

    async def alerting() -> None:
        rang.append(1)

    await leg.dial("100", Party("1"), alerting)
    assert len(rang) <= 1
    await leg.release(NORMAL)


async def test_a_pbx_known_by_its_address_calls_and_is_called(here: Here) -> None:
    call = here.pbx.call("100")
    offer, near, _ = await here.take()
    assert offer.via == "line2"
    await near.answer()
    await call.answered()
    far, _ = here.far("other", 2)
    await far.dial("300", Party("1"), no_alerting)
    came = await here.pbx.came.get()
    await came.hang_up()
    assert (await far.released()).cause is HangupCause.NORMAL
    await asyncio.gather(near.release(NORMAL), far.release(NORMAL))
    await call.ended()


async def test_headers_and_names_reach_the_pbx_and_nothing_in_them_becomes_sip(here: Here) -> None:
    name = "Ann\r\nX-Evil: 1 \u202e😀 " + "я" * 1000
    headers = {
        "X-TG-ID": "42",
        "X-TG-FirstName": 'Анна, "quoted"; ${EXTEN}\r\nX-Evil: 2',
        "X-Bad Name\r\n": "x",
        "Via": "not ours to add",
    }
    leg, _ = here.far()
    await leg.dial("100", Party('9"\r\nX-Evil: 3', name, headers=headers), no_alerting)
    call = await here.phone.came.get()
    invite = call.invite
    assert not invite.all("X-Evil")
    assert len(invite.all("Via")) == 1
    assert invite.get("X-TG-ID") == "42"
    assert invite.get("X-TG-FirstName") == 'Анна, "quoted"; ${EXTEN} X-Evil: 2'
    assert invite.get("From").startswith('"Ann X-Evil: 1 😀 яяя')
    assert len(invite.get("From").encode()) < 250
    await leg.release(NORMAL)


async def test_a_display_name_of_a_kilobyte_with_controls_is_offered_clean(here: Here) -> None:
    call = here.pbx.call("100", display="Bob \u202e😀 " + "x" * 1000, from_user="007")
    offer, leg, _ = await here.take()
    assert offer.caller.name.startswith("Bob 😀 xxx")
    assert len(offer.caller.name.encode()) <= 120
    assert offer.caller.number == "007"
    await leg.release(Ending(HangupCause.BUSY))
    assert (await call.ended()).code == 486


@pytest.mark.parametrize("number", ["1&PJSIP/evil", "1@siptg-in", "1,30", "${EXTEN}", "1\r\n2", "1/2", "x" * 65])
async def test_what_is_no_number_is_never_dialled(here: Here, number: str) -> None:
    leg, _ = here.far()
    with pytest.raises(CallError) as refused:
        await leg.dial(number, Party("1"), no_alerting)
    assert refused.value.ending.cause is HangupCause.INVALID_NUMBER
    await leg.release(refused.value.ending)


@pytest.mark.parametrize(
    ("user", "dialled"),
    [("tg%23anna", "tg#anna"), ("7", "7"), ("anna_k", "anna_k"), ("1%2C2", "1,2"), ("%2B49(30)", "+49(30)")],
)
async def test_what_was_dialled_is_offered_as_it_was_meant(here: Here, user: str, dialled: str) -> None:
    call = here.phone.call(user)
    offer, leg, _ = await here.take()
    assert offer.dialled == dialled
    await leg.release(Ending(HangupCause.BUSY))
    await call.ended()


async def test_digits_are_heard_from_the_pbx_and_sent_to_it(here: Here) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    assert isinstance(leg, NearLeg)
    digits: list[str] = []
    leg.on_digit = digits.append
    await leg.answer()
    await call.answered()
    call.sound.send_digits("1#")
    await leg.send_digits("90")
    await eventually(lambda: len(digits) == 2 and len(call.sound.digits) == 2)
    assert (digits, call.sound.digits) == (["1", "#"], "90")
    await leg.release(NORMAL)


async def test_of_two_lines_that_answer_one_has_the_call_and_the_other_is_told(here: Here) -> None:
    here.pbx.behaviour = RING
    media = EchoMedia("forked")
    first = here.side.far_leg(route(1), media)
    second = here.side.far_leg(route(2), media)
    ringing = asyncio.create_task(second.dial("100", Party("1"), no_alerting))
    other = await here.pbx.came.get()
    await other.ringing()
    await first.dial("100", Party("1"), no_alerting)
    ringing.cancel()
    await asyncio.wait([ringing])
    await second.release(Ending(HangupCause.ANSWERED_ELSEWHERE))
    cancel = (await other.ended()).message
    assert cancel.method == "CANCEL"
    assert any("Call completed elsewhere" in reason for reason in cancel.all("Reason"))
    await first.release(NORMAL)
    await media.close()
    here.pbx.behaviour = ANSWER


async def test_a_leg_that_answers_after_another_took_the_audio_is_let_go(here: Here) -> None:
    media = EchoMedia("forked2")
    first, second = here.side.far_leg(route(1), media), here.side.far_leg(route(2), media)
    await first.dial("100", Party("1"), no_alerting)
    with pytest.raises(CallError) as lost:
        await second.dial("100", Party("1"), no_alerting)
    assert lost.value.ending.cause is HangupCause.ANSWERED_ELSEWHERE
    await asyncio.gather(first.release(NORMAL), second.release(lost.value.ending))
    await media.close()


async def test_twenty_calls_at_once_leave_nothing_behind(here: Here) -> None:
    async def one(number: int) -> None:
        leg, _ = here.far(f"many{number}")
        assert isinstance(leg, FarLeg)
        await leg.dial("100", Party(str(number)), no_alerting)
        await asyncio.sleep(0.1)
        await leg.release(NORMAL)

    await asyncio.gather(*(one(number) for number in range(20)))
    await eventually(lambda: not here.phone.calls, 5)


async def test_an_engineers_contexts_come_first(here: Here) -> None:
    call = here.phone.call("500")
    offer, near, _ = await here.take()
    assert offer.dialled == "alias500"
    await near.release(Ending(HangupCause.NO_LINE))
    assert (await call.ended()).code == 410

    far, _ = here.far()
    await far.dial("777", Party("1", "Anna"), no_alerting)
    came = await here.phone.came.get()
    assert came.invite.uri.startswith("sip:888@")
    assert came.invite.get("From").startswith('"changed"')
    assert came.invite.get("X-Engineer") == "was here"
    await far.release(NORMAL)


async def test_without_a_number_the_line_itself_is_called(here: Here) -> None:
    leg, _ = here.far()
    await leg.dial("", Party("1"), no_alerting)
    call = await here.phone.came.get()
    assert call.invite.uri.startswith("sip:line1@")
    await leg.release(NORMAL)

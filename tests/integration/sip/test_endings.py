"""How calls end, both ways, as it is seen on the wire."""

from __future__ import annotations

import asyncio

import pytest

from gateway.call.model import Party
from gateway.errors import CallError, Ending, HangupCause
from gateway.sandbox.phone import RING, Behaviour
from gateway.sip.causes import SAID
from tests.asterisk_fixtures import emptied, left_in, no_alerting
from tests.integration.sip.conftest import Here

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Its wording is replaced by the engineer's, see conftest.
CUSTOMISED = HangupCause.NO_LINE


@pytest.mark.parametrize("cause", [cause for cause in HangupCause if cause is not CUSTOMISED])
async def test_a_refusal_reaches_the_pbx_as_the_code_that_the_table_says(here: Here, cause: HangupCause) -> None:
    call = here.phone.call("100")
    offer = await here.offers.next()
    await offer.refuse(Ending(cause, "USER_PRIVACY_RESTRICTED", 42))
    ended = await call.ended()
    said = SAID[cause]
    assert ended.code == said.code
    assert f"Q.850;cause={said.q850}" in ended.message.all("Reason")
    assert ended.header("P-Asserted-Identity").startswith('"USER_PRIVACY_RESTRICTED')


async def test_a_flood_says_in_words_when_to_try_again(here: Here) -> None:
    call = here.phone.call("100")
    offer = await here.offers.next()
    await offer.refuse(Ending(HangupCause.FLOOD, "FLOOD_WAIT", 42))
    ended = await call.ended()
    assert ended.code == 503
    assert '"FLOOD_WAIT, retry after 42 s"' in ended.header("P-Asserted-Identity")


async def test_a_refusal_after_ringing_is_worded_the_same(here: Here) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    await leg.ring()
    await call.ringing()
    await leg.release(Ending(HangupCause.DECLINED, "busy with life"))
    ended = await call.ended()
    assert (ended.code, ended.header("Reason")) == (603, "Q.850;cause=21")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (403, HangupCause.FORBIDDEN),
        (404, HangupCause.UNKNOWN_NUMBER),
        (480, HangupCause.NO_ANSWER),
        (484, HangupCause.INVALID_NUMBER),
        (486, HangupCause.BUSY),
        (488, HangupCause.INCOMPATIBLE_MEDIA),
        (500, HangupCause.CONGESTION),
        (503, HangupCause.CONGESTION),
        (600, HangupCause.BUSY),
        (603, HangupCause.DECLINED),
    ],
)
async def test_a_refusal_of_the_pbx_keeps_its_meaning_and_its_words(here: Here, code: int, cause: HangupCause) -> None:
    here.phone.behaviour = Behaviour(ring_after_s=None, refuse=code)
    leg, _ = here.far()
    with pytest.raises(CallError) as refused:
        await leg.dial("100", Party("1"), no_alerting)
    assert refused.value.ending.cause is cause
    assert refused.value.ending.detail.startswith(f"SIP {code} ")
    assert (await leg.released()).cause is cause
    await leg.release(refused.value.ending)


async def test_a_line_that_nobody_registered_is_down(here: Here) -> None:
    leg, _ = here.far(number=3)
    with pytest.raises(CallError) as refused:
        await leg.dial("100", Party("1"), no_alerting)
    assert refused.value.ending.cause is HangupCause.LINE_DOWN
    await leg.release(refused.value.ending)


async def test_a_caller_that_gives_up_while_ringing_is_a_cancelled_call(here: Here) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    await leg.ring()
    await call.ringing()
    ended, released = await asyncio.gather(call.hang_up(), leg.released())
    assert ended.code == 487
    assert released.cause is HangupCause.CANCELLED
    await leg.release(released)


async def test_a_caller_that_gives_up_before_we_looked_is_no_fault(here: Here) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    await call.hang_up()
    await leg.released()
    with pytest.raises(CallError) as gone:
        await leg.answer()
    assert gone.value.ending.cause is HangupCause.CANCELLED
    await leg.release(gone.value.ending)


async def test_giving_up_while_the_pbx_rings_cancels_there(here: Here) -> None:
    here.phone.behaviour = RING
    leg, _ = here.far()
    dialling = asyncio.create_task(leg.dial("100", Party("1"), no_alerting))
    call = await here.phone.came.get()
    await call.ringing()
    dialling.cancel()
    await asyncio.wait([dialling])
    await leg.release(Ending(HangupCause.CANCELLED))
    assert (await call.ended()).message.method == "CANCEL"


async def test_an_answer_in_the_moment_of_giving_up_leaves_nothing(here: Here) -> None:
    for wait_s in (0.0, 0.003, 0.006, 0.009, 0.012, 0.015, 0.018, 0.021, 0.03):
        leg, media = here.far(f"race{wait_s}")
        dialling = asyncio.create_task(leg.dial("100", Party("1"), no_alerting))
        await asyncio.sleep(wait_s)
        dialling.cancel()
        await asyncio.wait([dialling])
        await leg.release(Ending(HangupCause.CANCELLED))
        await media.close()
    assert await emptied(here.side.ari), await left_in(here.side.ari)


async def test_both_hanging_up_at_once_is_one_ending(here: Here) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    await leg.answer()
    await call.answered()
    await asyncio.gather(call.hang_up(), leg.release(Ending(HangupCause.NORMAL)), leg.release(Ending(HangupCause.BUSY)))


@pytest.mark.parametrize("cause", [HangupCause.NORMAL, HangupCause.MEDIA_LOST, HangupCause.SHUTDOWN])
async def test_the_end_of_a_conversation_says_its_reason(here: Here, cause: HangupCause) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    await leg.answer()
    await call.answered()
    await leg.release(Ending(cause))
    ended = await call.ended()
    assert ended.message.method == "BYE"
    assert ended.header("Reason") == f"Q.850;cause={SAID[cause].q850}"


async def test_a_reason_of_the_pbx_in_mid_call_is_kept(here: Here) -> None:
    call = here.phone.call("100")
    _, leg, _ = await here.take()
    await leg.answer()
    await call.answered()
    await call.hang_up(reason='Q.850;cause=38;text="network out of order"')
    ending = await leg.released()
    assert (ending.cause, ending.detail) == (HangupCause.CONGESTION, "Q.850 38")
    await leg.release(ending)

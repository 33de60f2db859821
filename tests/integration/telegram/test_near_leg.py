"""A Telegram user calls the session account: every way in which that can go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from telethon.tl import functions, types

from gateway.call.model import Direction
from gateway.errors import CallError, Ending, HangupCause
from gateway.sandbox.faults import FaultKind
from tests.integration.telegram.people import Audio, Phone, Town, eventually, gone, protocol

HANGUP, BUSY = types.PhoneCallDiscardReasonHangup, types.PhoneCallDiscardReasonBusy
MISSED, DISCONNECT = types.PhoneCallDiscardReasonMissed, types.PhoneCallDiscardReasonDisconnect
NORMAL = Ending(HangupCause.NORMAL)


async def test_an_offer_says_who_calls_and_is_answered_only_when_told(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account, username="anna") as ann:
        call, secret = await ann.dial(account.user_id)
        offer = await gateway.desk.next()
        assert (offer.direction, offer.via) == (Direction.TELEGRAM_TO_SIP, str(account.id))
        assert offer.caller.user is not None
        assert (offer.caller.user.id, offer.caller.user.username) == (ann.user.id, "anna")
        assert offer.caller.user.name == "Ann"
        audio = Audio()
        leg = offer.accept(audio)
        await leg.ring()
        assert not [one for one in ann.news if isinstance(one, types.PhoneCallAccepted)]
        answering = asyncio.create_task(leg.answer())
        established, key = await ann.confirm(call, secret)
        await answering
        assert audio.setup is not None
        assert audio.setup.key == key.to_bytes(256, "big")
        assert not audio.setup.outgoing
        assert established.g_a_or_b
        audio.says(b"signal")  # type: ignore[misc]
        await eventually(lambda: ann.signals == [b"signal"])
        await ann.discard(call)
        assert (await gone(leg)).cause is HangupCause.NORMAL
        await leg.release(NORMAL)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (HangupCause.BUSY, BUSY),
        (HangupCause.OVER_LIMIT, BUSY),
        (HangupCause.DECLINED, BUSY),
        (HangupCause.NO_ANSWER, MISSED),
        (HangupCause.LINE_DOWN, DISCONNECT),
    ],
)
async def test_a_refused_offer_tells_the_caller_why(town: Town, cause: HangupCause, reason: Any) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        await (await gateway.desk.next()).refuse(Ending(cause))
        over = await ann.until(types.PhoneCallDiscarded, call.id)
        assert isinstance(over.reason, reason)
        await eventually(lambda: not town.store.pending[account.id])


@pytest.mark.parametrize("reason", [MISSED, HANGUP])
@pytest.mark.parametrize("accepted", [False, True], ids=["offered", "ringing"])
async def test_a_caller_who_gives_up_ends_the_leg(town: Town, reason: Any, accepted: bool) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        offer = await gateway.desk.next()
        if accepted:
            leg = offer.accept(Audio())
            await leg.ring()
            await ann.discard(call, reason)
        else:
            await ann.discard(call, reason)
            leg = offer.accept(Audio())
        assert (await gone(leg)).cause is HangupCause.CANCELLED
        with pytest.raises(CallError) as late:
            await leg.answer()
        assert late.value.ending.cause is HangupCause.CANCELLED
        await leg.release(NORMAL)
        assert [one.ended_by for one in town.sandbox.calls()] == ["caller"]


async def test_a_caller_who_gives_up_during_the_answer_ends_it(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        answering = asyncio.create_task(leg.answer())
        await ann.until(types.PhoneCallAccepted, call.id)
        await ann.discard(call)
        with pytest.raises(CallError) as late:
            await answering
        assert late.value.ending.cause is HangupCause.CANCELLED


async def test_a_caller_who_gave_up_a_moment_before_the_answer(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        town.sandbox.fault("phone.acceptCall", error="400 CALL_ALREADY_DECLINED", times=1)
        asyncio.get_running_loop().call_later(0.1, lambda: discarding.set_result(None))
        discarding: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answering = asyncio.create_task(leg.answer())
        await discarding
        await ann.discard(call, MISSED)
        with pytest.raises(CallError) as late:
            await answering
        assert late.value.ending == Ending(HangupCause.CANCELLED, "PhoneCallDiscardReasonMissed")


async def test_a_caller_whose_app_never_confirms(town: Town) -> None:
    account = town.account()
    async with (
        town.gateway(account, establish_timeout_s=0.2) as gateway,
        town.phone("Ann", account) as ann,
    ):
        await ann.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        with pytest.raises(CallError) as never:
            await leg.answer()
        assert never.value.ending.cause is HangupCause.MEDIA_LOST
        await leg.release(never.value.ending)
        assert town.no_call_left()


async def test_another_device_of_the_account_may_take_the_call(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        user = town.sandbox.telegram.world.user(account.user_id)
        other = Phone(town.sandbox.client(user), user)
        await other.client.connect()
        await other.client.get_me()
        try:
            call, secret = await ann.dial(account.user_id)
            leg = (await gateway.desk.next()).accept(Audio())
            taking = asyncio.create_task(other.accept(await other.rung()))
            assert (await gone(leg)).cause is HangupCause.ANSWERED_ELSEWHERE
            await leg.release(NORMAL)
            await ann.confirm(call, secret)
            await taking
            assert [one.state for one in town.sandbox.calls()] == ["established"]
        finally:
            await other.client.disconnect()


async def test_taken_elsewhere_is_also_learnt_from_the_refusal(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        town.sandbox.fault("phone.acceptCall", error="400 CALL_ALREADY_ACCEPTED", times=1)
        with pytest.raises(CallError) as late:
            await leg.answer()
        assert late.value.ending.cause is HangupCause.ANSWERED_ELSEWHERE
        await leg.release(late.value.ending)
        assert [one.state for one in town.sandbox.calls()] == ["requested"]  # not ours to end
        await ann.discard(call)


async def test_only_an_account_for_one_call_says_that_it_rings(town: Town) -> None:
    single, many = town.account(call_limit=1), town.account(call_limit=2)
    async with (
        town.gateway(single) as first,
        town.gateway(many) as second,
        town.phone("Ann", single) as ann,
        town.phone("Bob", many) as bob,
        town.phone("Cem", single) as cem,
        town.phone("Dan", many) as dan,
    ):
        call, _ = await ann.dial(single.user_id)
        leg = (await first.desk.next()).accept(Audio())
        await leg.ring()
        await ann.until(types.PhoneCallWaiting, call.id, rings=True)
        turned_away, _ = await cem.dial(single.user_id)
        over = await cem.until(types.PhoneCallDiscarded, turned_away.id)
        assert isinstance(over.reason, BUSY)
        assert first.desk.offers.empty()

        await bob.dial(many.user_id)
        other = (await second.desk.next()).accept(Audio())
        await other.ring()
        await dan.dial(many.user_id)
        third = await second.desk.next()
        assert not bob.news
        await asyncio.gather(leg.release(NORMAL), other.release(NORMAL), third.refuse(NORMAL))


async def test_call_that_rings_long_is_received_before_its_caller_gives_up(town: Town) -> None:
    town.sandbox.settings.call_receive_timeout_ms = 4000
    account = town.account(call_limit=2)
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        await leg.ring()
        await ann.until(types.PhoneCallWaiting, call.id, rings=True)
        await asyncio.sleep(1.5)
        assert [one.state for one in town.sandbox.calls()] == ["ringing"]
        await leg.release(NORMAL)


async def test_ten_callers_at_once(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, asyncio.TaskGroup() as group:

        async def call(number: int) -> None:
            async with town.phone(f"Ann{number}", account) as ann:
                call, secret = await ann.dial(account.user_id)
                _, key = await ann.confirm(call, secret)
                keys.add(key.to_bytes(256, "big"))
                await ann.until(types.PhoneCallDiscarded, call.id)

        keys: set[bytes] = set()
        for number in range(10):
            group.create_task(call(number))
        legs, audios = [], []
        for _ in range(10):
            audios.append(Audio())
            legs.append((await gateway.desk.next()).accept(audios[-1]))
        await asyncio.gather(*(leg.answer() for leg in legs))
        assert {audio.setup.key for audio in audios if audio.setup} == keys
        assert len(keys) == 10
        await asyncio.gather(*(leg.release(NORMAL) for leg in legs))
    assert town.no_call_left()


async def test_an_offer_that_comes_twice_is_one(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        offer = await gateway.desk.next()
        town.sandbox.drop_connections(town.sandbox.telegram.world.user(account.user_id))
        await eventually(lambda: len(gateway.statuses) >= 3)  # the sandbox tells again who is calling
        await asyncio.sleep(0.1)
        assert gateway.desk.offers.empty()
        await offer.refuse(Ending(HangupCause.BUSY))
        assert isinstance((await ann.until(types.PhoneCallDiscarded, call.id)).reason, BUSY)


async def test_an_accept_whose_answer_is_lost_still_connects(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, secret = await ann.dial(account.user_id)
        audio = Audio()
        leg = (await gateway.desk.next()).accept(audio)
        town.sandbox.fault("phone.acceptCall", kind=FaultKind.DROP_AFTER, times=1)
        answering = asyncio.create_task(leg.answer())
        await ann.until(types.PhoneCallAccepted, call.id)
        await asyncio.sleep(0.3)  # the account comes back meanwhile
        _, key = await ann.confirm(call, secret)
        await answering
        assert audio.setup is not None
        assert audio.setup.key == key.to_bytes(256, "big")
        await leg.release(NORMAL)


async def test_ringback_that_can_not_be_given_does_not_end_the_call(town: Town) -> None:
    account = town.account(call_limit=1)
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        await ann.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        town.sandbox.fault("phone.receivedCall", error="500 INTERNAL", times=1)
        await leg.ring()
        await leg.release(NORMAL)


@pytest.mark.parametrize("met", [False, True])
async def test_a_caller_whom_the_update_does_not_describe_is_asked_for(town: Town, met: bool) -> None:
    account = town.account()
    ann = town.person("Ann", username="anna")
    async with town.gateway(account) as gateway:
        if met:
            online = gateway.side.account(account.id)
            assert online is not None
            await online.ask(functions.contacts.ResolveUsernameRequest("anna"))
        date = town.sandbox.telegram.cloud.date()
        call = types.PhoneCallRequested(77, 7, date, ann.id, account.user_id, b"", protocol())
        tell = town.sandbox.telegram.cloud.tell
        town.sandbox.change(lambda: tell(account.user_id, [types.UpdatePhoneCall(call)], []))
        offer = await gateway.desk.next()
        assert offer.caller.user is not None
        assert (offer.caller.user.id, offer.caller.user.name) == (ann.id, "Ann" if met else "")
        await offer.refuse(NORMAL)

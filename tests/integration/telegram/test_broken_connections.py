"""The connection to Telegram breaks, answers are lost, the gateway dies: no call is left behind."""

from __future__ import annotations

import asyncio
import copy

import pytest
from telethon.tl import types

from gateway.errors import Ending, HangupCause
from gateway.sandbox.faults import FaultKind
from gateway.telegram.model import AccountState
from tests.integration.telegram.people import Audio, Dialling, Gateway, Town, eventually, gone, in_call

NORMAL = Ending(HangupCause.NORMAL)
CANCELLED = Ending(HangupCause.CANCELLED)


def drop(town: Town, gateway: Gateway) -> None:
    assert town.sandbox.drop_connections(town.sandbox.telegram.world.user(gateway.account.user_id))


async def back(gateway: Gateway) -> None:
    await gateway.until(AccountState.OFFLINE)
    await gateway.until(AccountState.ONLINE)


async def test_a_request_that_was_not_carried_out_is_made_again(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.requestCall", kind=FaultKind.DROP, times=1)
        dialling, _call = await in_call(gateway, ann)
        await dialling.leg.release(NORMAL)
        assert len(town.sandbox.calls()) == 1


async def test_a_call_whose_answer_was_lost_is_adopted(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.requestCall", kind=FaultKind.DROP_AFTER, times=1)
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        await back(gateway)
        await asyncio.sleep(0.1)
        await ann.receive(call)
        await dialling.ringing()
        _, key = await ann.accept(call)
        await dialling.answered()
        assert dialling.audio.setup is not None
        assert dialling.audio.setup.key == key.to_bytes(256, "big")
        await dialling.leg.release(NORMAL)
        assert len(town.sandbox.calls()) == 1
        assert town.no_call_left()


async def test_a_call_whose_answer_was_lost_and_that_was_given_up_ends_with_the_first_news(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.requestCall", kind=FaultKind.DROP_AFTER, times=1)
        dialling = Dialling(gateway, "@anna")
        orphan = await ann.rung()
        await back(gateway)
        dialling.task.cancel()
        await dialling.leg.release(CANCELLED)
        assert not town.no_call_left()
        await ann.receive(orphan)
        await ann.until(types.PhoneCallDiscarded, orphan.id)
        assert town.no_call_left()

        again, _call = await in_call(gateway, ann)  # and the next call works
        await again.leg.release(NORMAL)


async def test_a_call_whose_answer_was_lost_and_that_is_declined_ends(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.requestCall", kind=FaultKind.DROP_AFTER, times=1)
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        await back(gateway)
        await asyncio.sleep(0.1)
        await ann.discard(call, types.PhoneCallDiscardReasonBusy)
        assert (await dialling.refused()).cause is HangupCause.BUSY


async def test_the_next_call_to_the_same_user_is_not_taken_for_the_lost_one(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.requestCall", kind=FaultKind.DROP_AFTER, times=1)
        lost = Dialling(gateway, "@anna")
        orphan = await ann.rung()
        await back(gateway)
        lost.task.cancel()
        await lost.leg.release(CANCELLED)
        town.sandbox.fault("phone.requestCall", kind=FaultKind.DELAY, delay_s=0.1, times=1)
        again = Dialling(gateway, "@anna")
        call = await ann.rung()
        await ann.receive(call)
        await again.ringing()
        await ann.accept(call)
        await again.answered()
        await ann.receive(orphan)
        await ann.until(types.PhoneCallDiscarded, orphan.id)
        assert {one.id: str(one.state) for one in town.sandbox.calls()} == {
            orphan.id: "discarded",
            call.id: "established",
        }
        await again.leg.release(NORMAL)


async def test_an_answer_that_never_comes_does_not_hold_up_the_call(town: Town) -> None:
    async with (
        town.gateway(request_timeout_s=0.3) as gateway,
        town.phone(username="anna") as ann,
    ):
        town.sandbox.fault("phone.requestCall", kind=FaultKind.HANG, times=1)
        dialling, _call = await in_call(gateway, ann)
        await dialling.leg.release(NORMAL)


async def test_a_confirmation_whose_answer_was_lost_is_asked_for_again(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.confirmCall", kind=FaultKind.DROP_AFTER, times=1)
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        _, key = await ann.accept(call)
        await dialling.answered()
        assert dialling.audio.setup is not None
        assert dialling.audio.setup.key == key.to_bytes(256, "big")
        await dialling.leg.release(NORMAL)


async def test_a_drop_while_ringing_lets_the_call_go_on(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        await ann.receive(call)
        await dialling.ringing()
        drop(town, gateway)
        await back(gateway)
        await ann.accept(call)
        await dialling.answered()
        await dialling.leg.release(NORMAL)
        assert town.no_call_left()


def silence(town: Town, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Let Telegram say less than it might of a call that ended while nobody listened: how much it says is not known."""
    if how != "told again":
        monkeypatch.setattr(town.sandbox.telegram.calls, "catch_up", lambda *_: None)
    if how == "nothing":
        monkeypatch.setattr(town.sandbox.telegram.mailbox, "post", lambda *_, **__: None)


@pytest.mark.parametrize("how", ["told again", "noted in the chat"])
async def test_a_refusal_missed_while_ringing_is_learnt_after_it(
    town: Town, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    silence(town, monkeypatch, how)
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        away = town.sandbox.fault("help.getConfig", kind=FaultKind.DROP, user=gateway.account.user_id)
        drop(town, gateway)
        await gateway.until(AccountState.OFFLINE)
        await ann.discard(call, types.PhoneCallDiscardReasonBusy)
        town.sandbox.faults.remove(away.id)
        assert (await dialling.refused()).cause is HangupCause.BUSY


async def test_a_drop_in_mid_call_leaves_the_call_alone(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling, call = await in_call(gateway, ann)
        assert dialling.audio.says is not None
        drop(town, gateway)
        dialling.audio.says(b"said while nobody was there")
        await back(gateway)
        dialling.audio.says(b"said after")
        await eventually(lambda: b"said after" in ann.signals)
        assert [blob for blob in ann.signals if len(blob) > 1] == [b"said while nobody was there", b"said after"]
        await ann.say(call, b"heard")
        await eventually(lambda: dialling.audio.heard == [b"heard"])
        assert [str(one.state) for one in town.sandbox.calls()] == ["established"]
        await ann.discard(call)
        assert (await dialling.gone()).cause is HangupCause.NORMAL


@pytest.mark.parametrize("how", ["told again", "noted in the chat", "nothing"])
async def test_a_hang_up_missed_in_mid_call_is_learnt_after_it(
    town: Town, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    silence(town, monkeypatch, how)
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling, call = await in_call(gateway, ann)
        away = town.sandbox.fault("help.getConfig", kind=FaultKind.DROP, user=gateway.account.user_id)
        drop(town, gateway)
        await gateway.until(AccountState.OFFLINE)
        await ann.discard(call)
        town.sandbox.faults.remove(away.id)
        assert (await dialling.gone()).cause is HangupCause.NORMAL
        await dialling.leg.release(NORMAL)
        await eventually(lambda: not town.store.pending[gateway.account.id])


async def test_a_hang_up_of_ours_reaches_telegram_after_the_drop(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling, call = await in_call(gateway, ann)
        drop(town, gateway)
        await dialling.leg.release(NORMAL)
        await ann.until(types.PhoneCallDiscarded, call.id)
        assert town.no_call_left()


async def test_a_caller_who_gave_up_while_we_were_away_ends_the_near_leg(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        away = town.sandbox.fault("help.getConfig", kind=FaultKind.DROP, user=account.user_id)
        drop(town, gateway)
        await gateway.until(AccountState.OFFLINE)
        await ann.discard(call, types.PhoneCallDiscardReasonMissed)
        town.sandbox.faults.remove(away.id)
        assert (await gone(leg)).cause is HangupCause.CANCELLED


async def test_a_call_that_rings_when_the_gateway_comes_up_is_offered(town: Town) -> None:
    account = town.account()
    async with town.phone("Ann", account) as ann:
        await ann.dial(account.user_id)
        async with town.gateway(account) as gateway:
            offer = await gateway.desk.next()
            assert offer.caller.user is not None
            assert offer.caller.user.id == ann.user.id
            await offer.refuse(Ending(HangupCause.BUSY))
    assert town.no_call_left()


async def test_a_stale_call_is_discarded_and_offered_to_nobody(town: Town) -> None:
    account = town.account()
    town.sandbox.settings.call_receive_timeout_ms = 600_000
    async with town.phone("Ann", account) as ann:
        call, _ = await ann.dial(account.user_id)
        town.sandbox.settings.clock_offset_s = 120
        async with town.gateway(account) as gateway:
            await ann.until(types.PhoneCallDiscarded, call.id)
            assert gateway.desk.offers.empty()
    assert town.no_call_left()


async def test_a_call_that_came_and_went_while_the_gateway_was_down_is_not_offered(town: Town) -> None:
    account = town.account()
    async with town.phone("Ann", account) as ann:
        async with town.gateway(account):
            pass
        call, _ = await ann.dial(account.user_id)
        await ann.discard(call, types.PhoneCallDiscardReasonMissed)
        async with town.gateway(account) as gateway:
            await asyncio.sleep(0.2)
            assert gateway.desk.offers.empty()


async def test_calls_that_a_crash_left_are_discarded_at_the_next_start(town: Town) -> None:
    account = town.account()
    async with town.phone(username="anna") as ann, town.phone("Bob", account) as bob:
        async with town.gateway(account) as gateway:
            dialling = Dialling(gateway, "@anna")
            outgoing = await ann.rung()
            incoming, _ = await bob.dial(account.user_id)
            await gateway.desk.next()
            await eventually(lambda: len(town.store.pending[account.id]) == 2)
            await asyncio.sleep(0.1)
            as_it_was = copy.deepcopy(town.store)
            # What a dead process says: nothing.
            town.sandbox.fault("phone.discardCall", error="400 CALL_PEER_INVALID")
            dialling.task.cancel()
        assert not town.no_call_left()
        town.sandbox.faults.remove()
        town.store = as_it_was
        async with town.gateway(account) as gateway:
            await ann.until(types.PhoneCallDiscarded, outgoing.id)
            await bob.until(types.PhoneCallDiscarded, incoming.id)
            await eventually(lambda: not town.store.pending[account.id])
            assert gateway.desk.offers.empty()
    assert town.no_call_left()


async def test_news_of_a_call_is_heard_where_other_updates_have_a_gap(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        town.sandbox.fault("updates.getDifference", kind=FaultKind.HANG)
        (login,) = town.sandbox.authorizations(town.sandbox.telegram.world.user(account.user_id))
        (link,) = town.sandbox.telegram.cloud.links(login.key)
        cloud = town.sandbox.telegram.cloud
        gone = types.UpdatePhoneCall(types.PhoneCallDiscarded(call.id, reason=types.PhoneCallDiscardReasonBusy()))
        link.push(bytes(types.Updates([], [], [], cloud.date(), 3)))
        link.push(bytes(types.Updates([gone], [], [], cloud.date(), 77)))
        assert (await dialling.refused()).cause is HangupCause.BUSY
        await ann.discard(call)


async def test_switching_an_account_off_ends_its_calls(town: Town) -> None:
    account = town.account()
    async with (
        town.gateway(account) as gateway,
        town.phone(username="anna") as ann,
        town.phone("Bob", account) as bob,
    ):
        dialling = Dialling(gateway, "@anna")
        outgoing = await ann.rung()
        incoming, _ = await bob.dial(account.user_id)
        leg = (await gateway.desk.next()).accept(Audio())
        await gateway.side.remove(account.id)
        assert (await dialling.refused()).cause is HangupCause.OFFLINE
        assert (await gone(leg)).cause is HangupCause.OFFLINE
        await leg.release(NORMAL)
        await ann.until(types.PhoneCallDiscarded, outgoing.id)
        await bob.until(types.PhoneCallDiscarded, incoming.id)

"""We call a Telegram user: every way in which that can go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from telethon.tl import functions, types

from gateway.errors import CallError, Ending, HangupCause
from gateway.media.model import EngineServer
from gateway.sandbox.faults import FaultKind
from gateway.telegram.model import AccountState
from tests.integration.telegram.people import Dialling, Town, as_input, eventually, in_call, protocol

HANGUP, BUSY = types.PhoneCallDiscardReasonHangup, types.PhoneCallDiscardReasonBusy
MISSED, DISCONNECT = types.PhoneCallDiscardReasonMissed, types.PhoneCallDiscardReasonDisconnect
G_B = (1 << 2047).to_bytes(256, "big")
NORMAL = Ending(HangupCause.NORMAL)
CANCELLED = Ending(HangupCause.CANCELLED)


async def test_an_answered_call_gives_both_ends_the_same_key(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@Anna")
        call = await ann.rung()
        await ann.receive(call)
        await dialling.ringing()
        _, key = await ann.accept(call)
        await dialling.answered()
        setup = dialling.audio.setup
        assert setup is not None
        assert setup.key == key.to_bytes(256, "big")
        assert setup.outgoing
        assert setup.versions == ("9.0.0", "8.0.0")
        assert setup.p2p_allowed
        assert dialling.rang == 1


async def test_a_hang_up_tells_the_user_the_real_duration(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling, call = await in_call(gateway, ann)
        assert dialling.rang == 0  # nobody said that it rang
        await asyncio.sleep(1.1)
        await asyncio.gather(dialling.leg.release(NORMAL), dialling.leg.release(CANCELLED))
        over = await ann.until(types.PhoneCallDiscarded, call.id)
        assert (type(over.reason), over.duration) == (HANGUP, 1)
        await eventually(lambda: not town.store.pending[gateway.account.id])


@pytest.mark.parametrize("ringing", [False, True], ids=["requested", "ringing"])
@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (BUSY, HangupCause.BUSY),
        (HANGUP, HangupCause.DECLINED),
        (MISSED, HangupCause.NO_ANSWER),
        (DISCONNECT, HangupCause.CONGESTION),
    ],
)
async def test_a_refusal_keeps_its_meaning(town: Town, reason: Any, cause: HangupCause, ringing: bool) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        if ringing:
            await ann.receive(call)
            await dialling.ringing()
        await ann.discard(call, reason)
        ending = await dialling.refused()
        assert (ending.cause, ending.detail) == (cause, reason.__name__)
        assert await dialling.gone() == ending
        assert dialling.audio.setup is None


async def test_nobody_there_is_no_answer(town: Town) -> None:
    town.sandbox.settings.call_receive_timeout_ms = 200
    town.person("Bob", username="bobby")
    async with town.gateway() as gateway:
        assert (await Dialling(gateway, "@bobby").refused()).cause is HangupCause.NO_ANSWER


@pytest.mark.parametrize(
    ("to", "cause", "detail"),
    [
        ("@nobody", HangupCause.UNKNOWN_NUMBER, "USERNAME_NOT_OCCUPIED"),
        ("+19998887766", HangupCause.UNKNOWN_NUMBER, "PHONE_NOT_OCCUPIED"),
        ("id:987654321", HangupCause.UNKNOWN_NUMBER, "has not met"),
        ("@a", HangupCause.INVALID_NUMBER, "not a Telegram user"),
        ("extension 12", HangupCause.INVALID_NUMBER, "not a Telegram user"),
        ("@some_bot", HangupCause.INVALID_NUMBER, "bots"),
    ],
)
async def test_whom_nobody_can_call(town: Town, to: str, cause: HangupCause, detail: str) -> None:
    town.sandbox.create_bot("some_bot")
    async with town.gateway() as gateway:
        ending = await Dialling(gateway, to).refused()
        assert ending.cause is cause
        assert detail in ending.detail
        assert not town.sandbox.calls()


@pytest.mark.parametrize("form", ["id:{id}", "+{phone}", "@{username}"])
async def test_a_session_account_does_not_call_itself(town: Town, form: str) -> None:
    async with town.gateway() as gateway:
        user = town.sandbox.telegram.world.user(gateway.account.user_id)
        town.sandbox.change(lambda: town.sandbox.telegram.world.change_user(user.id, username="theshop"))
        to = form.format(id=user.id, phone=user.phone, username="theshop")
        assert (await Dialling(gateway, to).refused()).cause is HangupCause.SELF_CALL


async def test_privacy_and_blocking_are_told_apart_from_absence(town: Town) -> None:
    private, angry = town.person("Pat", username="patty"), town.person("Angus", username="angus")
    async with town.gateway() as gateway:
        town.sandbox.set_privacy(private, "PhoneCall", [("DisallowAll", [])])
        town.sandbox.block(angry, town.sandbox.telegram.world.user(gateway.account.user_id))
        for name, detail in (("@patty", "USER_PRIVACY_RESTRICTED"), ("@angus", "USER_IS_BLOCKED")):
            ending = await Dialling(gateway, name).refused()
            assert (ending.cause, ending.detail) == (HangupCause.PRIVACY, detail)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("400 PARTICIPANT_VERSION_OUTDATED", HangupCause.INCOMPATIBLE_PEER),
        ("400 CALL_PROTOCOL_LAYER_INVALID", HangupCause.INCOMPATIBLE_PEER),
        ("400 PEER_FLOOD", HangupCause.FLOOD),
        ("500 CALL_OCCUPY_FAILED", HangupCause.BUSY),
        ("500 INTERNAL", HangupCause.CONGESTION),
    ],
)
async def test_an_error_of_telegram_ends_the_call_at_once_and_by_name(
    town: Town, error: str, cause: HangupCause
) -> None:
    town.person("Ann", username="anna")
    async with town.gateway() as gateway:
        town.sandbox.fault("phone.requestCall", error=error, times=1)
        async with asyncio.timeout(0.5):
            ending = await Dialling(gateway, "@anna").refused()
        assert (ending.cause, ending.detail) == (cause, error.split()[1])
        assert gateway.side.status(gateway.account.id).state is AccountState.ONLINE


async def test_a_number_is_looked_up_once(town: Town) -> None:
    async with town.gateway() as gateway, town.phone() as ann:
        lookups = town.sandbox.fault("contacts.*", kind=FaultKind.DELAY, delay_s=0)
        for _ in range(3):
            dialling = Dialling(gateway, f"+{ann.user.phone}")
            await ann.discard(await ann.rung(), BUSY)
            assert (await dialling.refused()).cause is HangupCause.BUSY
        assert lookups.happened == 1
        assert (await Dialling(gateway, "+19998887766").refused()).cause is HangupCause.UNKNOWN_NUMBER
        before = lookups.happened
        assert (await Dialling(gateway, "+19998887766").refused()).cause is HangupCause.UNKNOWN_NUMBER
        assert lookups.happened == before


async def test_whoever_was_met_can_be_called_by_id_also_after_a_restart(town: Town) -> None:
    account = town.account()
    async with town.phone(username="anna") as ann:
        async with town.gateway(account) as gateway:
            dialling = Dialling(gateway, "@anna")
            await ann.discard(await ann.rung())
            await dialling.refused()
        async with town.gateway(account) as gateway:
            dialling = Dialling(gateway, f"id:{ann.user.id}")
            await ann.discard(await ann.rung())
            assert (await dialling.refused()).cause is HangupCause.DECLINED


@pytest.mark.parametrize("refusal", ["400 PHONE_NOT_OCCUPIED", "420 FLOOD_WAIT_60"])
async def test_a_number_that_can_not_be_resolved_is_imported_and_leaves_no_contact(town: Town, refusal: str) -> None:
    async with town.gateway() as gateway, town.phone("Ann") as ann:
        town.sandbox.fault("contacts.resolvePhone", error=refusal, times=1)
        dialling = Dialling(gateway, f"+{ann.user.phone}")
        await ann.discard(await ann.rung(), BUSY)
        assert (await dialling.refused()).cause is HangupCause.BUSY
        await eventually(lambda: not town.sandbox.telegram.world.contacts(gateway.account.user_id))


async def test_a_flood_wait_is_answered_at_once_and_kept_over_a_restart(town: Town) -> None:
    town.person("Ann", username="anna")
    account = town.account()
    asked = town.sandbox.fault("phone.requestCall", error="420 FLOOD_WAIT_30")
    async with town.gateway(account) as gateway:
        first = await Dialling(gateway, "@anna").refused()
        assert (first.cause, first.detail, first.retry_after_s) == (HangupCause.FLOOD, "FLOOD_WAIT_30", 30)
        second = await Dialling(gateway, "@anna").refused()
        assert second.cause is HangupCause.FLOOD
        assert second.retry_after_s in (29, 30)
        limited = await gateway.until(AccountState.FLOOD_LIMITED)
        assert limited.detail == "phone.requestCall"
        assert limited.until is not None
    async with town.gateway(account) as gateway:
        await gateway.until(AccountState.FLOOD_LIMITED)
        assert (await Dialling(gateway, "@anna").refused()).cause is HangupCause.FLOOD
    assert asked.happened == 1


async def test_the_end_of_a_flood_wait_is_told(town: Town) -> None:
    town.person("Ann", username="anna")
    async with town.gateway() as gateway:
        town.sandbox.fault("phone.requestCall", error="420 FLOOD_WAIT_1", times=1)
        await Dialling(gateway, "@anna").refused()
        await gateway.until(AccountState.FLOOD_LIMITED)
        gateway.statuses.clear()
        await eventually(lambda: [status.state for status in gateway.statuses] == [AccountState.ONLINE])


async def test_an_account_that_is_not_online_calls_nobody(town: Town) -> None:
    async with town.gateway() as gateway:
        town.sandbox.fault("help.getConfig", kind=FaultKind.DROP)
        town.sandbox.drop_connections()
        await gateway.until(AccountState.OFFLINE)
        assert (await Dialling(gateway, "@anna").refused()).cause is HangupCause.OFFLINE
        await gateway.side.remove(gateway.account.id)
        assert (await Dialling(gateway, "@anna").refused()).cause is HangupCause.OFFLINE


# We let go


@pytest.mark.parametrize("state", ["requested", "ringing", "up"])
@pytest.mark.parametrize(
    ("cause", "reason"),
    [(HangupCause.CANCELLED, MISSED), (HangupCause.NO_ANSWER, MISSED), (HangupCause.MEDIA_LOST, DISCONNECT)],
)
async def test_letting_go_in_any_state_ends_the_call_at_the_user(
    town: Town, state: str, cause: HangupCause, reason: Any
) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        if state == "ringing":
            await ann.receive(call)
            await dialling.ringing()
        if state == "up":
            await ann.accept(call)
            await dialling.answered()
        dialling.task.cancel()
        await dialling.leg.release(Ending(cause))
        over = await ann.until(types.PhoneCallDiscarded, call.id)
        assert isinstance(over.reason, reason)
        assert town.no_call_left()


async def test_a_call_given_up_before_its_id_is_known_rings_nowhere(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        town.sandbox.fault("phone.requestCall", kind=FaultKind.DELAY, delay_s=0.3, times=1)
        dialling = Dialling(gateway, "@anna")
        await asyncio.sleep(0.1)
        dialling.task.cancel()
        await dialling.leg.release(CANCELLED)
        call = await ann.rung()
        await ann.until(types.PhoneCallDiscarded, call.id)
        assert town.no_call_left()


async def test_a_late_answer_after_the_end_is_ignored(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        town.sandbox.fault("phone.discardCall", kind=FaultKind.DELAY, delay_s=0.2, times=1)
        dialling.task.cancel()
        letting_go = asyncio.create_task(dialling.leg.release(CANCELLED))
        await ann.client(functions.phone.AcceptCallRequest(as_input(call), G_B, protocol()))
        await letting_go
        assert dialling.audio.setup is None
        assert town.no_call_left()


async def test_audio_that_does_not_connect_ends_the_call(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        dialling.audio.refuses = CallError(HangupCause.MEDIA_LOST, "no path")
        call = await ann.rung()
        await ann.accept(call)
        assert (await dialling.refused()).cause is HangupCause.MEDIA_LOST
        over = await ann.until(types.PhoneCallDiscarded, call.id)
        assert isinstance(over.reason, DISCONNECT)


async def test_a_hang_up_while_audio_connects_ends_the_dial(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        dialling.audio.hangs = True
        call = await ann.rung()
        await ann.accept(call)
        await ann.discard(call)
        assert (await dialling.refused()).cause is HangupCause.NORMAL


async def test_a_key_that_nobody_honest_would_send_ends_the_call(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        await ann.client(functions.phone.AcceptCallRequest(as_input(call), (5).to_bytes(256, "big"), protocol()))
        ending = await dialling.refused()
        assert "out of range" in ending.detail
        assert town.no_call_left()


# The user lets go, and signalling


async def test_signals_go_both_ways_in_order_and_a_hang_up_is_heard(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling, call = await in_call(gateway, ann)
        assert dialling.audio.says is not None
        sent = [bytes([number]) * 30 for number in range(50)]
        for blob in sent:
            dialling.audio.says(blob)
        for blob in sent:
            await ann.say(call, blob)
        await eventually(lambda: ann.signals == sent)
        await eventually(lambda: dialling.audio.heard == sent)
        await ann.discard(call)
        assert (await dialling.gone()).cause is HangupCause.NORMAL
        await dialling.leg.release(NORMAL)
        assert [one.ended_by for one in town.sandbox.calls()] == ["callee"]


async def test_both_hang_up_at_once(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling, call = await in_call(gateway, ann)
        await asyncio.gather(ann.discard(call), dialling.leg.release(NORMAL))
        assert town.no_call_left()
        await eventually(lambda: not town.store.pending[gateway.account.id])


async def test_news_that_comes_twice_counts_once(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        call = await ann.rung()
        tell, shop = town.sandbox.telegram.cloud.tell, gateway.account.user_id
        waiting = types.PhoneCallWaiting(
            call.id, 0, call.date, shop, ann.user.id, call.protocol, receive_date=call.date
        )
        await ann.receive(call)
        for _ in range(3):
            town.sandbox.change(lambda: tell(shop, [types.UpdatePhoneCall(waiting)], [ann.user.id]))
        await ann.accept(call)
        await dialling.answered()
        assert dialling.rang == 1
        gone = types.UpdatePhoneCall(types.PhoneCallDiscarded(call.id, reason=HANGUP()))
        for _ in range(3):
            town.sandbox.change(lambda: tell(shop, [gone], [ann.user.id]))
        assert (await dialling.gone()).cause is HangupCause.NORMAL
        town.sandbox.change(lambda: tell(shop, [types.UpdatePhoneCall(waiting)], [ann.user.id]))


async def test_ten_calls_at_once_keep_their_own_keys(town: Town) -> None:
    async with town.gateway() as gateway, asyncio.TaskGroup() as group:

        async def talk(number: int) -> None:
            async with town.phone(f"Ann{number}", username=f"annie{number}") as ann:
                dialling = Dialling(gateway, f"@annie{number}")
                call = await ann.rung()
                await ann.receive(call)
                _, key = await ann.accept(call)
                await dialling.answered()
                assert dialling.audio.setup is not None
                assert dialling.audio.setup.key == key.to_bytes(256, "big")
                await dialling.leg.release(NORMAL)
                await ann.until(types.PhoneCallDiscarded, call.id)

        for number in range(10):
            group.create_task(talk(number))
    assert town.no_call_left()


async def test_the_engine_is_told_of_every_server_and_parameter(town: Town) -> None:
    town.sandbox.settings.connections = [
        {"ip": "10.0.0.1", "ipv6": "fd00::1", "port": 3478, "username": "u", "password": "p", "turn": True},
        {"ip": "10.0.0.2", "port": 599, "peer_tag": "ab" * 16, "tcp": True},
    ]
    town.sandbox.settings.custom_parameters = '{"network": "kept"}'
    town.sandbox.settings.p2p_allowed = False
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        await ann.accept(await ann.rung())
        await dialling.answered()
        setup = dialling.audio.setup
        assert setup is not None
        assert setup.servers == (
            EngineServer(1, "10.0.0.1", "fd00::1", 3478, "u", "p", turn=True),
            EngineServer(2, "10.0.0.2", "", 599, peer_tag=b"\xab" * 16, turn=True, tcp=True),
        )
        assert (setup.p2p_allowed, setup.custom_parameters) == (False, '{"network": "kept"}')
        await dialling.leg.release(NORMAL)


async def test_a_user_whom_telegram_does_not_know_any_more_is_looked_up_again(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        lookups = town.sandbox.fault("contacts.resolveUsername", kind=FaultKind.DELAY, delay_s=0)
        town.sandbox.fault("phone.requestCall", error="400 USER_ID_INVALID", times=1)
        assert (await Dialling(gateway, "@Anna").refused()).cause is HangupCause.UNKNOWN_NUMBER
        dialling = Dialling(gateway, "@Anna")
        await ann.discard(await ann.rung(), BUSY)
        assert (await dialling.refused()).cause is HangupCause.BUSY
        assert lookups.happened == 2


async def test_a_signal_that_telegram_refuses_does_not_end_the_call(town: Town) -> None:
    async with town.gateway() as gateway, town.phone(username="anna") as ann:
        dialling = Dialling(gateway, "@anna")
        await ann.accept(await ann.rung())
        await dialling.answered()
        assert dialling.audio.says is not None
        town.sandbox.fault("phone.sendSignalingData", error="400 DATA_INVALID", times=1)
        dialling.audio.says(b"refused")
        await asyncio.sleep(0.05)
        dialling.audio.says(b"taken")
        await eventually(lambda: ann.signals == [b"taken"])
        await dialling.leg.release(NORMAL)

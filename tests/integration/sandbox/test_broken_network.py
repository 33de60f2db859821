"""Faults on purpose: refusals, lost requests, lost answers, silence, delay."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from telethon import errors
from telethon.tl import functions, types

from gateway.sandbox.mtproto import TL
from gateway.sandbox.rpc import METHODS, Method, Request
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.conftest import BOB
from tests.integration.sandbox.phones import Phone, online

f = functions


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("420 FLOOD_WAIT_30", errors.FloodWaitError),
        ("400 PEER_FLOOD", errors.PeerFloodError),
        ("406 AUTH_KEY_DUPLICATED", errors.AuthKeyDuplicatedError),
    ],
)
async def test_a_request_is_refused_as_told(
    sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone, error: str, kind: type[errors.RPCError]
) -> None:
    sandbox.fault("phone.requestCall", error=error, times=1)
    with pytest.raises(kind):
        await ann_phone.call(BOB)
    assert await bob_phone.hears_nothing(types.UpdatePhoneCall)
    assert sandbox.calls() == []


async def test_a_fault_strikes_one_user_alone(sandbox: Sandbox, ann: User, ann_phone: Phone, bob_phone: Phone) -> None:
    sandbox.fault("updates.getState", error="400 PEER_FLOOD", user=ann.id)
    await bob_phone.client(f.updates.GetStateRequest())
    with pytest.raises(errors.PeerFloodError):
        await ann_phone.client(f.updates.GetStateRequest())


async def test_a_lost_request_is_sent_again(sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone) -> None:
    peer = await ann_phone.client.get_input_entity("bob")
    sandbox.fault("messages.sendMessage", kind="drop", times=1)
    await ann_phone.client.send_message(peer, "once")
    assert (await bob_phone.next(types.UpdateNewMessage)).message.message == "once"
    assert await bob_phone.hears_nothing(types.UpdateNewMessage)


async def test_a_lost_answer_was_acted_upon(sandbox: Sandbox, ann: User, bob_phone: Phone) -> None:
    """Telethon asks again with the same random id, and is told that it was done."""
    async with online(sandbox, ann, request_retries=0, raise_last_call_error=True) as phone:
        callee = await phone.find(BOB)
        sandbox.fault("phone.requestCall", kind="drop_after", times=1)
        with pytest.raises(errors.RandomIdDuplicateError):
            await phone.client(
                f.phone.RequestCallRequest(callee, bytes(32), types.PhoneCallProtocol(92, 92, ["9.0.0"], udp_p2p=True))
            )
    await bob_phone.next_call(types.PhoneCallRequested)
    assert len(sandbox.calls()) == 1


async def test_a_request_may_stay_without_an_answer(sandbox: Sandbox, ann_phone: Phone) -> None:
    sandbox.fault("help.getNearestDc", kind="hang", times=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ann_phone.client(f.help.GetNearestDcRequest())
    await ann_phone.client(f.updates.GetStateRequest())


async def test_a_late_answer_holds_nobody_else_up(sandbox: Sandbox, ann_phone: Phone) -> None:
    sandbox.fault("help.getNearestDc", kind="delay", delay_s=0.3, times=1)
    began = time.monotonic()
    late = asyncio.ensure_future(ann_phone.client(f.help.GetNearestDcRequest()))
    await ann_phone.client(f.updates.GetStateRequest())
    assert time.monotonic() - began < 0.25
    await late
    assert time.monotonic() - began >= 0.3


async def test_a_dropped_client_comes_back_and_hears_again(
    sandbox: Sandbox, ann: User, bob: User, bob_phone: Phone
) -> None:
    assert sandbox.drop_connections(bob) == 1
    await bob_phone.client.get_me()
    sandbox.send_message(ann, bob, "there again?")
    assert (await bob_phone.next(types.UpdateNewMessage)).message.message == "there again?"


async def test_a_method_that_is_not_there_is_said_so(ann_phone: Phone) -> None:
    with pytest.raises(errors.MethodInvalidError):
        await ann_phone.client(f.stories.GetAllStoriesRequest())


async def test_a_fault_of_a_handler_is_loud_and_undone(sandbox_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: Request, _query: TL) -> bool:
        request.world.change_user(request.user_id, first_name="Half-changed")
        raise ZeroDivisionError

    monkeypatch.setitem(METHODS, f.account.UpdateStatusRequest, Method("account.updateStatus", broken, False))

    async def session() -> None:
        async with Sandbox(sandbox_state) as sandbox:
            ann = sandbox.create_user("+15550001", "Ann")
            async with online(sandbox, ann, request_retries=0) as phone:
                with pytest.raises((ValueError, errors.RPCError)):
                    await phone.client(f.account.UpdateStatusRequest(False))
            assert sandbox.telegram.world.user(ann.id).first_name == "Ann"

    with pytest.raises(ExceptionGroup, match="the sandbox failed") as loud:
        await session()
    assert loud.group_contains(ZeroDivisionError)


async def test_the_error_of_who_uses_the_sandbox_comes_out_as_it_was(sandbox_state: Path) -> None:
    async def use() -> None:
        async with Sandbox(sandbox_state) as sandbox, online(sandbox, sandbox.create_user("+15550001")):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()


async def test_rubbish_on_the_port_hurts_nobody(sandbox: Sandbox, ann_phone: Phone) -> None:
    for rubbish in (
        b"GET / HTTP/1.1\r\n\r\n" * 10,
        bytes(300),
        b"\xef\x7f\xff\xff\xff",
        b"\xee" * 4 + b"\x18\0\0\0" + bytes(24),
    ):
        reader, writer = await asyncio.open_connection(*sandbox.address)
        writer.write(rubbish)
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
    await ann_phone.client(f.updates.GetStateRequest())

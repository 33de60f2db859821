"""The private call, step by step, with two unmodified clients. Audio is in test_robots.py."""

from __future__ import annotations

import os

import pytest
from telethon import errors
from telethon.tl import types

from gateway.sandbox.calls import CallState
from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.conftest import ANN, BOB
from tests.integration.sandbox.phones import P, Phone, online


async def established(caller: Phone, callee: Phone, number: str = BOB) -> tuple[types.PhoneCall, types.PhoneCall]:
    """A call between the two; the call as either end knows it."""
    await caller.call(number)
    requested = await callee.next_call(types.PhoneCallRequested)
    await callee.received(requested)
    await callee.accept(requested)
    accepted = await caller.next_call(types.PhoneCallAccepted)
    at_caller = await caller.confirm(accepted)
    return at_caller, await callee.next_call(types.PhoneCall)


async def test_both_ends_get_the_same_key_and_what_they_have_in_common(
    ann: User, ann_phone: Phone, bob: User, bob_phone: Phone
) -> None:
    at_ann, at_bob = await established(ann_phone, bob_phone)
    assert pow(int.from_bytes(at_ann.g_a_or_b, "big"), ann_phone.secret, P) == pow(
        int.from_bytes(at_bob.g_a_or_b, "big"), bob_phone.secret, P
    )
    assert (at_ann.admin_id, at_ann.participant_id) == (ann.id, bob.id)
    assert at_ann.protocol.library_versions == at_bob.protocol.library_versions == ["13.0.0", "9.0.0"]
    assert at_ann.p2p_allowed
    assert at_ann.connections == []
    assert at_ann.access_hash != at_bob.access_hash


async def test_the_caller_sees_it_ring(ann_phone: Phone, bob_phone: Phone) -> None:
    waiting = await ann_phone.call(BOB)
    assert waiting.receive_date is None
    await bob_phone.received(await bob_phone.next_call(types.PhoneCallRequested))
    assert (await ann_phone.next_call(types.PhoneCallWaiting)).receive_date


async def test_signals_arrive_in_order(ann_phone: Phone, bob_phone: Phone) -> None:
    at_ann, at_bob = await established(ann_phone, bob_phone)
    blobs = [os.urandom(300) for _ in range(20)]
    for blob in blobs:
        await ann_phone.signal(at_ann, blob)
    assert [(await bob_phone.next(types.UpdatePhoneCallSignalingData)).data for _ in blobs] == blobs
    await bob_phone.signal(at_bob, b"back")
    assert (await ann_phone.next(types.UpdatePhoneCallSignalingData)).data == b"back"


async def test_a_hang_up_reaches_the_other_end_and_the_chat(
    sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone
) -> None:
    _, at_bob = await established(ann_phone, bob_phone)
    await bob_phone.discard(at_bob, duration=7)
    gone = await ann_phone.next_call(types.PhoneCallDiscarded)
    assert (type(gone.reason), gone.duration) == (types.PhoneCallDiscardReasonHangup, 7)
    noted = (await ann_phone.client.get_messages("bob"))[0].action
    assert (type(noted.reason), noted.duration) == (types.PhoneCallDiscardReasonHangup, 7)
    [call] = sandbox.calls()
    assert (call.state, call.reason, call.ended_by) == (CallState.DISCARDED, "hangup", "callee")


@pytest.mark.parametrize(
    "reason", [types.PhoneCallDiscardReasonBusy, types.PhoneCallDiscardReasonHangup, types.PhoneCallDiscardReasonMissed]
)
async def test_a_refusal_keeps_its_reason(ann_phone: Phone, bob_phone: Phone, reason: type) -> None:
    await ann_phone.call(BOB)
    await bob_phone.discard(await bob_phone.next_call(types.PhoneCallRequested), reason())
    assert isinstance((await ann_phone.next_call(types.PhoneCallDiscarded)).reason, reason)


async def test_a_caller_may_give_up(ann_phone: Phone, bob_phone: Phone) -> None:
    waiting = await ann_phone.call(BOB)
    requested = await bob_phone.next_call(types.PhoneCallRequested)
    await ann_phone.discard(waiting, types.PhoneCallDiscardReasonMissed())
    await bob_phone.next_call(types.PhoneCallDiscarded)
    with pytest.raises(errors.CallAlreadyDeclinedError):
        await bob_phone.accept(requested)


async def test_ending_twice_does_no_harm(ann_phone: Phone, bob_phone: Phone) -> None:
    at_ann, at_bob = await established(ann_phone, bob_phone)
    await ann_phone.discard(at_ann)
    updates = await bob_phone.discard(at_bob)
    assert isinstance(updates.updates[0].phone_call, types.PhoneCallDiscarded)


# Several devices


async def test_all_devices_ring_but_those_that_do_not_want_to(
    sandbox: Sandbox, ann_phone: Phone, bob: User, bob_phone: Phone
) -> None:
    async with online(sandbox, bob) as tablet:
        own = next(device for device in sandbox.authorizations(bob) if device.key == tablet_key(tablet))
        sandbox.change(lambda: sandbox.telegram.world.change_authorization(own.hash, calls_disabled=True))
        await ann_phone.call(BOB)
        await bob_phone.next_call(types.PhoneCallRequested)
        assert await tablet.hears_nothing(types.UpdatePhoneCall)


async def test_the_first_to_accept_has_the_call(
    sandbox: Sandbox, ann_phone: Phone, bob: User, bob_phone: Phone
) -> None:
    async with online(sandbox, bob) as tablet:
        await ann_phone.call(BOB)
        on_phone = await bob_phone.next_call(types.PhoneCallRequested)
        on_tablet = await tablet.next_call(types.PhoneCallRequested)
        await tablet.accept(on_tablet)
        await bob_phone.next_call(types.PhoneCallDiscarded)
        with pytest.raises(errors.CallAlreadyAcceptedError):
            await bob_phone.accept(on_phone)
        await ann_phone.confirm(await ann_phone.next_call(types.PhoneCallAccepted))
        await tablet.next_call(types.PhoneCall)
        assert await bob_phone.hears_nothing(types.UpdatePhoneCall)


async def test_a_device_that_comes_late_still_rings(sandbox: Sandbox, ann_phone: Phone, bob: User) -> None:
    await ann_phone.call(BOB)
    async with online(sandbox, bob) as late:
        requested = await late.next_call(types.PhoneCallRequested)
        await late.accept(requested)
        await ann_phone.next_call(types.PhoneCallAccepted)


async def test_who_lost_the_connection_learns_how_the_call_stands(
    sandbox: Sandbox, ann: User, ann_phone: Phone, bob_phone: Phone
) -> None:
    await ann_phone.call(BOB)
    requested = await bob_phone.next_call(types.PhoneCallRequested)
    sandbox.settings.accepts_connections = False
    sandbox.drop_connections(ann)
    await bob_phone.accept(requested)
    sandbox.settings.accepts_connections = True
    await ann_phone.client.get_me()
    await ann_phone.confirm(await ann_phone.next_call(types.PhoneCallAccepted))
    sandbox.settings.accepts_connections = False
    sandbox.drop_connections(ann)
    await bob_phone.discard(requested)
    sandbox.settings.accepts_connections = True
    await ann_phone.client.get_me()
    await ann_phone.next_call(types.PhoneCallDiscarded)


# Many calls


async def test_without_received_call_many_calls_reach_one_user(
    sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone
) -> None:
    eve = sandbox.create_user("+15550003", "Eve")
    await established_without_received(ann_phone, bob_phone)
    async with online(sandbox, eve) as eve_phone:
        await established_without_received(eve_phone, bob_phone)
    assert [call.state for call in sandbox.calls()] == [CallState.ESTABLISHED] * 2


async def test_received_call_makes_the_user_busy_for_others(
    sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone
) -> None:
    eve = sandbox.create_user("+15550003", "Eve")
    _, at_bob = await established(ann_phone, bob_phone)
    async with online(sandbox, eve) as eve_phone:
        await eve_phone.call(BOB)
        refused = await eve_phone.next_call(types.PhoneCallDiscarded)
        assert isinstance(refused.reason, types.PhoneCallDiscardReasonBusy)
        assert await bob_phone.hears_nothing(types.UpdatePhoneCall)
        await bob_phone.discard(at_bob)
        await eve_phone.call(BOB)
        await bob_phone.next_call(types.PhoneCallRequested)


# Refusals


async def test_privacy_and_blocks_refuse_the_call(sandbox: Sandbox, ann: User, ann_phone: Phone, bob: User) -> None:
    sandbox.set_privacy(bob, "PhoneCall", [("AllowContacts", []), ("DisallowAll", [])])
    with pytest.raises(errors.UserPrivacyRestrictedError):
        await ann_phone.call(BOB)
    sandbox.add_contact(bob, ann)
    await ann_phone.call(BOB)
    sandbox.block(bob, ann)
    with pytest.raises(errors.UserIsBlockedError):
        await ann_phone.call(BOB)


async def test_nobody_calls_himself(ann_phone: Phone) -> None:
    with pytest.raises(errors.UserIdInvalidError):
        await ann_phone.call(ANN)


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize(
    ("protocol", "error"),
    [
        (types.PhoneCallProtocol(92, 92, ["9.0.0"]), errors.CallProtocolFlagsInvalidError),
        (types.PhoneCallProtocol(93, 99, ["9.0.0"], udp_p2p=True), errors.BadRequestError),
    ],
)
async def test_an_impossible_protocol_is_refused(ann_phone: Phone, protocol: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        await ann_phone.call(BOB, protocol=protocol)


async def test_two_who_have_no_version_in_common(ann_phone: Phone, bob_phone: Phone) -> None:
    await ann_phone.call(BOB)
    requested = await bob_phone.next_call(types.PhoneCallRequested)
    old = types.PhoneCallProtocol(92, 92, ["2.4.4"], udp_p2p=True)
    with pytest.raises(errors.RPCError, match="CALL_PROTOCOL_COMPAT_LAYER_INVALID"):
        await bob_phone.accept(requested, protocol=old)


async def test_a_key_that_was_not_promised_is_refused(ann_phone: Phone, bob_phone: Phone) -> None:
    await ann_phone.call(BOB)
    await bob_phone.accept(await bob_phone.next_call(types.PhoneCallRequested))
    accepted = await ann_phone.next_call(types.PhoneCallAccepted)
    with pytest.raises(errors.DhGAInvalidError):
        await ann_phone.confirm(accepted, g_a=os.urandom(256))


async def test_a_call_belongs_to_its_two(sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone) -> None:
    at_ann, _ = await established(ann_phone, bob_phone)
    async with online(sandbox, sandbox.create_user("+15550003", "Eve")) as eve_phone:
        with pytest.raises(errors.CallPeerInvalidError):
            await eve_phone.discard(at_ann)


@pytest.mark.usefixtures("bob")
async def test_the_same_random_id_is_the_same_call(sandbox: Sandbox, ann: User) -> None:
    async with online(sandbox, ann, request_retries=0, raise_last_call_error=True) as phone:
        await phone.call(BOB, random_id=5)
        with pytest.raises(errors.RandomIdDuplicateError):
            await phone.call(BOB, random_id=5)


# Time


async def test_who_is_offline_is_missed_and_never_rang(sandbox: Sandbox, ann_phone: Phone, bob: User) -> None:
    sandbox.settings.call_receive_timeout_ms = 100
    waiting = await ann_phone.call(BOB)
    assert waiting.receive_date is None
    gone = await ann_phone.next_call(types.PhoneCallDiscarded)
    assert isinstance(gone.reason, types.PhoneCallDiscardReasonMissed)
    [call] = sandbox.calls()
    assert (call.receive_date, call.ended_by) == (None, "server")


async def test_who_does_not_answer_is_missed(sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone) -> None:
    sandbox.settings.call_ring_timeout_ms = 100
    await ann_phone.call(BOB)
    await bob_phone.received(await bob_phone.next_call(types.PhoneCallRequested))
    for phone in (ann_phone, bob_phone):
        gone = await phone.next_call(types.PhoneCallDiscarded)
        assert isinstance(gone.reason, types.PhoneCallDiscardReasonMissed)


async def test_a_caller_who_does_not_confirm_loses_the_call(
    sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone
) -> None:
    sandbox.settings.call_connect_timeout_ms = 100
    await ann_phone.call(BOB)
    await bob_phone.accept(await bob_phone.next_call(types.PhoneCallRequested))
    gone = await bob_phone.next_call(types.PhoneCallDiscarded)
    assert isinstance(gone.reason, types.PhoneCallDiscardReasonDisconnect)


# What an established call is told


async def test_servers_and_parameters_are_as_set(sandbox: Sandbox, ann_phone: Phone, bob_phone: Phone) -> None:
    sandbox.settings.connections = [
        {"ip": "198.18.0.1", "port": 3478, "username": "u", "password": "p", "turn": True},
        {"ip": "198.18.0.1", "port": 599, "peer_tag": "00" * 16, "tcp": True},
    ]
    sandbox.settings.custom_parameters = '{"network_use_mtproto": true}'
    at_ann, _ = await established(ann_phone, bob_phone)
    relay, reflector = at_ann.connections
    assert (type(relay), relay.turn, relay.username) == (types.PhoneConnectionWebrtc, True, "u")
    assert (type(reflector), reflector.tcp, reflector.peer_tag) == (types.PhoneConnection, True, bytes(16))
    assert at_ann.custom_parameters.data == '{"network_use_mtproto": true}'


async def test_direct_paths_are_allowed_only_if_both_want_them(
    sandbox: Sandbox, ann_phone: Phone, bob: User, bob_phone: Phone
) -> None:
    sandbox.set_privacy(bob, "PhoneP2P", [("DisallowAll", [])])
    at_ann, at_bob = await established(ann_phone, bob_phone)
    assert not at_ann.p2p_allowed
    assert not at_bob.p2p_allowed


async def established_without_received(caller: Phone, callee: Phone) -> None:
    await caller.call(BOB)
    await callee.accept(await callee.next_call(types.PhoneCallRequested))
    await caller.confirm(await caller.next_call(types.PhoneCallAccepted))


def tablet_key(phone: Phone) -> int:
    key: int = phone.client.session.auth_key.key_id
    return key - 2**64 if key >= 2**63 else key

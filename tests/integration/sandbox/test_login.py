from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from telethon import TelegramClient, errors
from telethon.network import connection
from telethon.tl import functions, types

from gateway.sandbox.server import Sandbox
from gateway.sandbox.world import User
from tests.integration.sandbox.conftest import ANN
from tests.integration.sandbox.phones import Phone, online

TRANSPORTS = [
    connection.ConnectionTcpFull,
    connection.ConnectionTcpAbridged,
    connection.ConnectionTcpIntermediate,
    connection.ConnectionTcpObfuscated,
]


@pytest.fixture
async def fresh(sandbox: Sandbox) -> AsyncIterator[TelegramClient]:
    """A client that nobody is logged in on."""
    client = sandbox.client()
    await client.connect()
    yield client
    await client.disconnect()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_by_code_over_every_transport(sandbox: Sandbox, ann: User, transport: type) -> None:
    client = sandbox.client(connection=transport)
    await client.connect()
    try:
        assert not await client.is_user_authorized()
        await client.send_code_request(ANN)
        me = await client.sign_in(ANN, sandbox.login_code(ANN))
        assert (me.id, me.phone) == (ann.id, ann.phone)
        assert await client.is_user_authorized()
    finally:
        await client.disconnect()


async def test_a_wrong_code_is_refused_and_the_right_one_still_counts(
    sandbox: Sandbox, ann: User, fresh: TelegramClient
) -> None:
    await fresh.send_code_request(ANN)
    with pytest.raises(errors.PhoneCodeInvalidError):
        await fresh.sign_in(ANN, "nonsense")
    assert (await fresh.sign_in(ANN, sandbox.login_code(ANN))).id == ann.id


@pytest.mark.usefixtures("ann")
async def test_an_old_code_has_expired(sandbox: Sandbox, fresh: TelegramClient) -> None:
    await fresh.send_code_request(ANN)
    sandbox.settings.clock_offset_s = 3600
    with pytest.raises(errors.PhoneCodeExpiredError):
        await fresh.sign_in(ANN, sandbox.login_code(ANN))


@pytest.mark.usefixtures("ann")
async def test_too_many_wrong_codes_mean_waiting(sandbox: Sandbox, fresh: TelegramClient) -> None:
    sandbox.settings.code_attempts = 2
    await fresh.send_code_request(ANN)
    for _ in range(2):
        with pytest.raises(errors.PhoneCodeInvalidError):
            await fresh.sign_in(ANN, "nonsense")
    with pytest.raises(errors.FloodWaitError) as refused:
        await fresh.sign_in(ANN, sandbox.login_code(ANN))
    assert 0 < refused.value.seconds <= 600
    with pytest.raises(errors.FloodWaitError):
        await fresh.send_code_request(ANN)
    sandbox.settings.clock_offset_s = 601
    another = sandbox.client()  # Telethon itself keeps the first one waiting, by the real clock
    await another.connect()
    await another.send_code_request(ANN)
    await another.sign_in(ANN, sandbox.login_code(ANN))
    await another.disconnect()


async def test_a_code_that_is_typed_into_a_chat_is_void(
    sandbox: Sandbox, ann_phone: Phone, bob: User, fresh: TelegramClient
) -> None:
    await fresh.send_code_request(ANN)
    code = sandbox.login_code(ANN)
    await ann_phone.client.send_message("bob", f"my code is {code}")
    with pytest.raises(errors.PhoneCodeExpiredError):
        await fresh.sign_in(ANN, code)


async def test_a_banned_number(sandbox: Sandbox, ann: User, ann_phone: Phone, fresh: TelegramClient) -> None:
    sandbox.ban(ann)
    with pytest.raises(errors.PhoneNumberBannedError):
        await fresh.send_code_request(ANN)
    with pytest.raises(errors.UserDeactivatedBanError):
        await ann_phone.client(functions.updates.GetStateRequest())


async def test_a_number_nobody_has(sandbox: Sandbox, fresh: TelegramClient) -> None:
    await fresh.send_code_request("+15559999")
    with pytest.raises(errors.PhoneNumberUnoccupiedError):
        await fresh.sign_in("+15559999", sandbox.login_code("+15559999"))


async def test_a_number_that_is_none(fresh: TelegramClient) -> None:
    with pytest.raises(errors.PhoneNumberInvalidError):
        await fresh.send_code_request("+12")


async def test_nothing_is_told_to_who_is_not_logged_in(fresh: TelegramClient) -> None:
    with pytest.raises(errors.AuthKeyUnregisteredError):
        await fresh(functions.contacts.GetContactsRequest(0))


# Two-step verification


@contextlib.asynccontextmanager
async def past_the_code(sandbox: Sandbox, **user: str) -> AsyncIterator[TelegramClient]:
    """A client that gave the code, and is asked for the password."""
    sandbox.create_user(ANN, "Ann", **user)
    client = sandbox.client()
    await client.connect()
    try:
        await client.send_code_request(ANN)
        with pytest.raises(errors.SessionPasswordNeededError):
            await client.sign_in(ANN, sandbox.login_code(ANN))
        yield client
    finally:
        await client.disconnect()


async def test_the_password_is_asked_for(sandbox: Sandbox) -> None:
    async with past_the_code(sandbox, password="geheim", hint="a secret") as client:
        assert (await client(functions.account.GetPasswordRequest())).hint == "a secret"
        with pytest.raises(errors.PasswordHashInvalidError):
            await client.sign_in(password="wrong")
        assert (await client.sign_in(password="geheim")).first_name == "Ann"


async def test_recovery_by_e_mail_removes_the_password(sandbox: Sandbox) -> None:
    async with past_the_code(sandbox, password="geheim", email="ann@example.org") as client:
        recovery = await client(functions.auth.RequestPasswordRecoveryRequest())
        assert recovery.email_pattern == "a***n@example.org"
        code = sandbox.recovery_code(sandbox.user(ANN))
        with pytest.raises(errors.CodeInvalidError):
            await client(functions.auth.RecoverPasswordRequest("nonsense"))
        await client(functions.auth.RecoverPasswordRequest(code))
        assert await client.is_user_authorized()
        assert not (await client(functions.account.GetPasswordRequest())).has_password


async def test_without_an_e_mail_there_is_no_recovery(sandbox: Sandbox) -> None:
    async with past_the_code(sandbox, password="geheim") as client:
        with pytest.raises(errors.PasswordRecoveryNaError):
            await client(functions.auth.RequestPasswordRecoveryRequest())


async def test_a_password_can_be_set_changed_and_removed(sandbox: Sandbox, ann: User, ann_phone: Phone) -> None:
    await ann_phone.client.edit_2fa(new_password="first")
    with pytest.raises(errors.PasswordHashInvalidError):
        await ann_phone.client.edit_2fa(current_password="wrong", new_password="second")
    await ann_phone.client.edit_2fa(current_password="first", new_password="second")
    assert sandbox.telegram.world.password(ann.id) is not None
    await ann_phone.client.edit_2fa(current_password="second")
    assert sandbox.telegram.world.password(ann.id) is None


# QR


async def test_by_qr_code(ann: User, ann_phone: Phone, fresh: TelegramClient) -> None:
    qr = await fresh.qr_login()
    waiting = asyncio.ensure_future(qr.wait(5))
    await asyncio.sleep(0)
    await ann_phone.client(functions.auth.AcceptLoginTokenRequest(qr.token))
    assert (await waiting).id == ann.id
    assert await fresh.is_user_authorized()


async def test_by_qr_code_and_password(sandbox: Sandbox, fresh: TelegramClient) -> None:
    user = sandbox.create_user(ANN, "Ann", password="geheim")
    async with online(sandbox, user) as phone:
        qr = await fresh.qr_login()
        waiting = asyncio.ensure_future(qr.wait(5))
        await asyncio.sleep(0)
        await phone.client(functions.auth.AcceptLoginTokenRequest(qr.token))
        with pytest.raises(errors.SessionPasswordNeededError):
            await waiting
        assert (await fresh.sign_in(password="geheim")).id == user.id


async def test_a_qr_code_is_good_once_and_not_for_long(
    sandbox: Sandbox, ann_phone: Phone, fresh: TelegramClient
) -> None:
    qr = await fresh.qr_login()
    await ann_phone.client(functions.auth.AcceptLoginTokenRequest(qr.token))
    with pytest.raises(errors.AuthTokenAlreadyAcceptedError):
        await ann_phone.client(functions.auth.AcceptLoginTokenRequest(qr.token))
    another = sandbox.client()
    await another.connect()
    late = await another.qr_login()
    sandbox.settings.clock_offset_s = 60
    with pytest.raises(errors.AuthTokenExpiredError):
        await ann_phone.client(functions.auth.AcceptLoginTokenRequest(late.token))
    await another.disconnect()


# Afterwards


async def test_logging_out_ends_the_session(sandbox: Sandbox, ann: User) -> None:
    async with online(sandbox, ann) as phone:
        session = phone.client.session.save()
        assert await phone.client.log_out()
    assert sandbox.authorizations(ann) == []
    again = sandbox.client(session=session)
    await again.connect()
    assert not await again.is_user_authorized()
    await again.disconnect()


async def test_a_revoked_session_learns_of_it_by_the_next_request(
    sandbox: Sandbox, ann: User, ann_phone: Phone
) -> None:
    sandbox.revoke(sandbox.authorizations(ann)[0])
    with pytest.raises(errors.AuthKeyUnregisteredError):
        await ann_phone.client(functions.updates.GetStateRequest())
    assert await ann_phone.client.get_me() is None


async def test_sessions_outlive_a_restart(sandbox_state: Path) -> None:
    async with Sandbox(sandbox_state) as first:
        session = first.session(first.create_user(ANN, "Ann"))
        port = first.address[1]
    async with Sandbox(sandbox_state, port=port) as second:
        client = second.client(session=session)
        await client.connect()
        assert (await client.get_me()).first_name == "Ann"
        await client.disconnect()


async def test_a_fresh_login_may_not_touch_the_others_for_a_day(sandbox: Sandbox, ann: User, ann_phone: Phone) -> None:
    sandbox.session(ann, device_model="another phone")
    listed = await ann_phone.client(functions.account.GetAuthorizationsRequest())
    other = next(each for each in listed.authorizations if not each.current)
    assert (other.device_model, other.call_requests_disabled) == ("another phone", False)
    disable = functions.account.ChangeAuthorizationSettingsRequest(other.hash, call_requests_disabled=True)
    with pytest.raises(errors.FreshResetAuthorisationForbiddenError):
        await ann_phone.client(disable)
    sandbox.settings.clock_offset_s = 86_401
    assert await ann_phone.client(disable)
    listed = await ann_phone.client(functions.account.GetAuthorizationsRequest())
    assert [each.call_requests_disabled for each in listed.authorizations if not each.current] == [True]


async def test_a_device_is_shown_as_it_called_itself(sandbox: Sandbox, ann: User) -> None:
    async with online(sandbox, ann, device_model="Gateway", app_version="7.1") as phone:
        listed = await phone.client(functions.account.GetAuthorizationsRequest())
        assert isinstance(listed, types.account.Authorizations)
        assert [(each.device_model, each.app_version) for each in listed.authorizations] == [("Gateway", "7.1")]

"""The login conversation, with everything that Telegram may say."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from telethon.tl import functions, types

from gateway.errors import SettingsError
from gateway.sandbox.faults import FaultKind
from gateway.sandbox.server import Sandbox
from gateway.telegram.client import Client
from gateway.telegram.login import (
    CodeSent,
    Login,
    PasswordNeeded,
    QrShown,
    RecoverySent,
    Refusal,
    Refused,
    Step,
    log_out,
)
from gateway.telegram.model import AccountState, LoggedIn
from gateway.telegram.settings import TelegramSettings
from tests.integration.telegram.people import Gateway, Town, eventually


def refused(outcome: Any) -> Refusal:
    assert isinstance(outcome, Refused), outcome
    return outcome.why


async def asked_for_password(login: Login, town: Town, phone: str) -> PasswordNeeded:
    assert isinstance(await login.phone(phone), CodeSent)
    needed = await login.code(town.sandbox.login_code(phone))
    assert isinstance(needed, PasswordNeeded)
    return needed


async def test_a_code_logs_in_and_the_account_can_be_kept_online(town: Town) -> None:
    user = town.person("Shop", last_name="Ltd", username="shop_ltd")
    async with Login(town.settings()) as login:
        sent = await login.phone(f"+{user.phone}")
        assert sent == CodeSent("sms", 5, 60)
        code = town.sandbox.login_code(user.phone or "")
        done = await login.code(f" {code[:2]} {code[2:]} ")
        assert isinstance(done, LoggedIn)
        assert login.step is Step.DONE
    assert (done.account.user_id, done.account.phone, done.account.username) == (user.id, user.phone, "shop_ltd")
    assert done.account.name == "Shop Ltd"
    assert code not in repr(done)
    assert done.secret.hex() not in repr(done)

    account = type(done.account)(1, done.account.phone, user.id)
    await town.store.save_session(1, done.secret)
    await town.store.save_peers(1, done.peers)
    async with town.gateway(account):
        assert [one.user for one in town.sandbox.authorizations(user)] == [user.id]
    assert await log_out(town.settings(), town.store.sessions[1])
    assert not town.sandbox.authorizations(user)
    assert not await log_out(town.settings(), town.store.sessions[1])


async def test_a_code_goes_to_the_app_of_somebody_who_has_it_open(town: Town) -> None:
    async with town.phone() as ann, Login(town.settings()) as login:
        assert await login.phone(ann.user.phone or "") == CodeSent("app", 5, 60)


async def test_a_wrong_code_may_be_tried_again(town: Town) -> None:
    user = town.person()
    async with Login(town.settings()) as login:
        await login.phone(user.phone or "")
        right = town.sandbox.login_code(user.phone or "")
        wrong = "00000" if right != "00000" else "00001"
        assert refused(await login.code(wrong)) is Refusal.WRONG_CODE
        assert refused(await login.code("")) is Refusal.WRONG_CODE
        assert isinstance(await login.code(right), LoggedIn)


async def test_too_many_wrong_codes_have_to_wait(town: Town) -> None:
    town.sandbox.settings.code_attempts = 2
    user = town.person()
    async with Login(town.settings()) as login:
        await login.phone(user.phone or "")
        for _ in range(2):
            assert refused(await login.code("99999x")) is Refusal.WRONG_CODE
        outcome = await login.code("99999x")
        assert isinstance(outcome, Refused)
        assert outcome.why is Refusal.FLOOD
        assert outcome.retry_after_s is not None
        assert 590 <= outcome.retry_after_s <= 601


async def test_an_expired_code_is_replaced_by_a_new_one(town: Town) -> None:
    user = town.person()
    async with Login(town.settings()) as login:
        await login.phone(user.phone or "")
        old = town.sandbox.login_code(user.phone or "")
        town.sandbox.settings.clock_offset_s = 400
        assert refused(await login.code(old)) is Refusal.CODE_EXPIRED
        assert isinstance(await login.phone(user.phone or ""), CodeSent)
        assert isinstance(await login.code(town.sandbox.login_code(user.phone or "")), LoggedIn)


@pytest.mark.parametrize(
    ("error", "why", "retry_after_s"),
    [
        ("420 FLOOD_WAIT_77", Refusal.FLOOD, 77),
        ("400 PHONE_NUMBER_FLOOD", Refusal.FLOOD, None),
        ("406 PHONE_PASSWORD_FLOOD", Refusal.FLOOD, None),
        ("400 API_ID_INVALID", Refusal.API_REFUSED, None),
        ("406 SEND_CODE_UNAVAILABLE", Refusal.NO_OTHER_WAY, None),
        ("400 SOMETHING_NEW", Refusal.FAILED, None),
    ],
)
async def test_every_refusal_of_a_code_is_its_own(
    town: Town, error: str, why: Refusal, retry_after_s: int | None
) -> None:
    town.sandbox.fault("auth.sendCode", error=error, times=1)
    async with Login(town.settings()) as login:
        assert await login.phone("+15550100") == Refused(why, error.split()[1], retry_after_s)
        if retry_after_s is None:
            assert isinstance(await login.phone("+15550100"), CodeSent)  # the way on


async def test_numbers_that_can_not_log_in(town: Town) -> None:
    banned = town.person()
    town.sandbox.ban(banned)
    async with Login(town.settings()) as login:
        assert refused(await login.phone("no number")) is Refusal.NUMBER_INVALID
        assert refused(await login.phone("+12")) is Refusal.NUMBER_INVALID
        assert refused(await login.phone(banned.phone or "")) is Refusal.NUMBER_BANNED
        assert isinstance(await login.phone("+19998887766"), CodeSent)
        assert refused(await login.code(town.sandbox.login_code("+19998887766"))) is Refusal.NOT_REGISTERED
        assert login.step is Step.PHONE


async def test_a_password_is_asked_for_and_checked(town: Town) -> None:
    user = town.person(password="correct horse", hint="animal")
    async with Login(town.settings()) as login:
        assert await asked_for_password(login, town, user.phone or "") == PasswordNeeded("animal", has_recovery=False)
        assert refused(await login.password("wrong")) is Refusal.WRONG_PASSWORD
        assert refused(await login.ask_recovery()) is Refusal.NO_RECOVERY
        assert isinstance(await login.password("correct horse"), LoggedIn)


async def test_a_password_challenge_that_was_overtaken_is_taken_again(town: Town) -> None:
    user = town.person(password="correct horse")
    async with Login(town.settings()) as login:
        await asked_for_password(login, town, user.phone or "")
        town.sandbox.fault("auth.checkPassword", error="400 SRP_ID_INVALID", times=1)
        assert isinstance(await login.password("correct horse"), LoggedIn)


async def test_recovery_by_mail_removes_the_password(town: Town) -> None:
    user = town.person(password="forgotten", email="ann@example.org")
    async with Login(town.settings()) as login:
        assert (await asked_for_password(login, town, user.phone or "")).has_recovery
        assert refused(await login.recover("123456")) is Refusal.OUT_OF_STEP
        assert await login.ask_recovery() == RecoverySent("a***n@example.org")
        assert refused(await login.recover("wrong!")) is Refusal.WRONG_CODE
        assert isinstance(await login.recover(town.sandbox.recovery_code(user)), LoggedIn)
    async with Login(town.settings()) as login:
        await login.phone(user.phone or "")
        assert isinstance(await login.code(town.sandbox.login_code(user.phone or "")), LoggedIn)


async def test_recovery_by_mail_may_set_a_new_password(town: Town) -> None:
    user = town.person(password="forgotten", email="ann@example.org")
    async with Login(town.settings()) as login:
        await asked_for_password(login, town, user.phone or "")
        await login.ask_recovery()
        assert isinstance(await login.recover(town.sandbox.recovery_code(user), "battery staple", "new"), LoggedIn)
    async with Login(town.settings()) as login:
        assert (await asked_for_password(login, town, user.phone or "")).hint == "new"
        assert isinstance(await login.password("battery staple"), LoggedIn)


async def scan(phone: Any, shown: QrShown) -> None:
    token = shown.url.removeprefix("tg://login?token=")
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    await phone.client(functions.auth.AcceptLoginTokenRequest(raw))


async def test_a_scanned_qr_code_logs_in(town: Town) -> None:
    async with town.phone() as ann, Login(town.settings()) as login:
        outcomes = []
        async for outcome in login.qr():
            outcomes.append(outcome)
            if isinstance(outcome, QrShown):
                await scan(ann, outcome)
        assert isinstance(outcomes[-1], LoggedIn)
        assert outcomes[-1].account.user_id == ann.user.id
        assert len(outcomes) == 2


async def test_a_qr_code_is_renewed_until_it_is_scanned(town: Town) -> None:
    town.sandbox.settings.qr_lifetime_s = 0
    async with town.phone() as ann, Login(town.settings()) as login:
        urls = []
        async for outcome in login.qr():
            if not isinstance(outcome, QrShown):
                break
            urls.append(outcome.url)
            town.sandbox.settings.qr_lifetime_s = 30
            if len(urls) == 2:
                await scan(ann, outcome)
        assert isinstance(outcome, LoggedIn)
        assert len(set(urls)) == 2


async def test_a_qr_code_of_somebody_with_a_password_asks_for_it(town: Town) -> None:
    async with town.phone(password="correct horse") as ann, Login(town.settings()) as login:
        async for outcome in login.qr():
            if isinstance(outcome, QrShown):
                await scan(ann, outcome)
        assert isinstance(outcome, PasswordNeeded)
        assert isinstance(await login.password("correct horse"), LoggedIn)


async def test_a_broken_connection_is_mended_by_the_next_step(town: Town) -> None:
    user = town.person()
    async with Login(town.settings()) as login:
        await login.phone(user.phone or "")
        town.sandbox.fault("auth.signIn", kind=FaultKind.DROP, times=1)
        code = town.sandbox.login_code(user.phone or "")
        assert refused(await login.code(code)) is Refusal.OFFLINE
        assert isinstance(await login.code(code), LoggedIn)


async def test_telegram_out_of_reach_is_said(tmp_path: Path, town: Town) -> None:
    async with Sandbox(tmp_path / "gone") as sandbox:
        settings = town.settings(server=sandbox.server, key_file=sandbox.key_file)
        sandbox.trust()
    async with Login(settings) as login:
        assert refused(await login.phone("+15550100")) is Refusal.OFFLINE


async def test_steps_out_of_order_are_refused(town: Town) -> None:
    async with Login(town.settings()) as login:
        assert refused(await login.code("12345")) is Refusal.OUT_OF_STEP
        assert refused(await login.resend()) is Refusal.OUT_OF_STEP
        assert refused(await login.password("x")) is Refusal.OUT_OF_STEP
        assert refused(await login.ask_recovery()) is Refusal.OUT_OF_STEP
        assert refused(await login.recover("x")) is Refusal.OUT_OF_STEP


async def test_a_conversation_that_is_left_leaves_nothing_behind(town: Town) -> None:
    user = town.person()
    cancelled = town.sandbox.fault("auth.cancelCode", kind=FaultKind.DELAY, delay_s=0)
    async with Login(town.settings()) as login:
        await login.phone(user.phone or "")
    assert cancelled.happened == 1
    assert not town.sandbox.authorizations(user)
    await eventually(lambda: not town.sandbox.telegram.cloud.links())


async def test_api_credentials_are_needed_first(town: Town) -> None:
    with pytest.raises(SettingsError, match="API_ID"):
        async with Login(TelegramSettings()):
            pass


async def test_a_revoked_session_can_not_be_logged_out_twice_but_the_account_says_so(town: Town) -> None:
    account = town.account()
    async with town.gateway(account) as gateway:
        online = gateway.side.account(account.id)
        assert online is not None
        await online.log_out()
        await gateway.until(AccountState.LOGGED_OUT)
    again = Gateway(town.sandbox, account, town.store, town.settings())
    async with again.side:
        again.side.add(account)
        assert "AUTH_KEY_UNREGISTERED" in (await again.until(AccountState.LOGGED_OUT)).detail
        await asyncio.sleep(0)


async def test_an_account_of_another_data_centre_is_followed_there(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "_config", None)
    user = town.person()
    town.sandbox.fault("auth.sendCode", error="303 PHONE_MIGRATE_2", times=1)
    async with Login(town.settings()) as login:
        assert isinstance(await login.phone(user.phone or ""), CodeSent)
        assert isinstance(await login.code(town.sandbox.login_code(user.phone or "")), LoggedIn)


async def test_a_qr_code_scanned_by_somebody_of_another_data_centre(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "_config", None)
    user, logins = town.person(), town.sandbox.telegram.logins
    keys: list[int] = []

    def export(key: int) -> Any:
        keys.append(key)
        if len(keys) == 1:
            return types.auth.LoginTokenMigrateTo(2, b"token")
        logins._world.authorize(key, user.id, 0)
        return types.auth.LoginTokenSuccess(types.auth.Authorization(logins._cloud.user(user.id, user)))

    monkeypatch.setattr(logins, "export_token", export)
    async with Login(town.settings()) as login:
        (outcome,) = [outcome async for outcome in login.qr()]
    assert isinstance(outcome, LoggedIn)
    assert len(set(keys)) == 2  # a key of its own for each data centre
    await log_out(town.settings(), outcome.secret)
    assert not town.sandbox.authorizations(user)


async def test_a_code_can_be_asked_for_again(town: Town) -> None:
    user = town.person()
    async with Login(town.settings()) as login:
        await login.phone(user.phone or "")
        assert isinstance(await login.resend(), CodeSent)
        assert isinstance(await login.code(town.sandbox.login_code(user.phone or "")), LoggedIn)

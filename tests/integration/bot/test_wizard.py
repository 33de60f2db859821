"""A session account is connected from a phone, whatever Telegram says on the way."""

from __future__ import annotations

import asyncio
import base64
import io

import pytest
import segno
from telethon.tl import functions, types

from gateway.sandbox.person import Screen
from gateway.sandbox.world import User
from tests.integration.bot.town import Boss, Town, eventually

DAY_S = 86_400


async def asked_for_number(boss: Boss) -> Screen:
    await boss.chat.send("/gateway")
    return await boss.go("Connect a session", "On this gateway")


async def asked_for_code(town: Town, boss: Boss, user: User) -> str:
    """Answers the code that Telegram has sent."""
    await asked_for_number(boss)
    await boss.chat.send(f"+{user.phone}")
    await boss.chat.see("Tap it in below")
    return town.sandbox.login_code(f"+{user.phone}")


def devices(town: Town, user: User) -> int:
    return len(town.sandbox.authorizations(user))


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"


async def test_number_and_code_connect_a_session_and_its_recommended_settings_are_applied(
    town: Town, boss: Boss
) -> None:
    user = town.somebody("Shop", last_name="Ltd", username="shop_ltd")
    async with town.boss(user) as owner:  # he has a phone of his own, that rings as well
        await boss.tap_code(await asked_for_code(town, boss, user))
        screen = await boss.chat.see("Recommended settings")
        assert "Connected" in screen.text
        assert "✅ Allow calls from all users" in screen.labels
        [view] = town.gateway.accounts.list(boss.asker)
        assert view.account.user_id == user.id

        screen = await boss.chat.press("Disallow adding to groups")
        assert "✅ Disallow adding to groups" in screen.labels
        rules = await owner.person.client(functions.account.GetPrivacyRequest(types.InputPrivacyKeyChatInvite()))
        assert [type(rule) for rule in rules.rules] == [types.PrivacyValueDisallowAll]

        screen = await boss.chat.press("Apply all")
        assert "⏳ Disable calls on other devices" in screen.labels
        assert "FRESH_" in screen.text
        assert not any(one.calls_disabled for one in town.sandbox.authorizations(user))

        # A day later it is done without asking, and told.
        with town.but(clock_offset_s=DAY_S + 60):
            kept = next(one for one in town.sandbox.authorizations(user) if one.key not in _keys(town, owner))
            assert not kept.calls_disabled
            town.sandbox.drop_connections(user)
            screen = await boss.chat.see("is applied now")
            assert "Disable calls on other devices" in screen.text
            assert any(one.calls_disabled for one in town.sandbox.authorizations(user))
        assert "👍" in (await boss.chat.press("Recommended settings")).text


def _keys(town: Town, boss: Boss) -> set[int]:
    """The keys of the devices that a person himself is logged in with."""
    return {town.sandbox.authorizations(boss.user)[0].key}


async def test_each_refusal_of_a_number_has_its_sentence_and_the_number_may_be_given_again(
    town: Town, boss: Boss
) -> None:
    user = town.somebody()
    await asked_for_number(boss)
    for error, words in (
        ("400 PHONE_NUMBER_INVALID", "knows no such phone number"),
        ("400 PHONE_NUMBER_BANNED", "recover@telegram.org"),
        ("406 PHONE_NUMBER_FLOOD", "no more attempts"),
        ("420 FLOOD_WAIT_7200", "Try again in 2 hours"),
        ("420 FLOOD_WAIT_30", "Try again in 30 seconds"),
        ("400 API_ID_INVALID", "siptg check"),
        ("400 SOMETHING_NEW", "SOMETHING_NEW"),
    ):
        with town.failing("auth.sendCode", error, times=1):
            await boss.chat.send(f"+{user.phone}")
            screen = await boss.chat.see("2 of 3")
            assert words in screen.text, error
    await boss.chat.send("my number")
    await boss.chat.see("knows no such phone number")
    await boss.chat.send(f"+{user.phone}")
    await boss.chat.see("Tap it in below")
    await boss.tap_code(town.sandbox.login_code(f"+{user.phone}"))
    await boss.chat.see("Recommended settings")


async def test_each_refusal_of_a_code_has_its_sentence_and_a_way_on(town: Town, boss: Boss) -> None:
    user = town.somebody()
    code = await asked_for_code(town, boss, user)
    await boss.tap_code(other_than(code))
    assert "not the code" in (await boss.chat.see("3 of 3")).text
    for error, words in (
        ("400 PHONE_CODE_EXPIRED", "has expired"),
        ("400 SOMETHING_NEW", "SOMETHING_NEW"),
        ("420 FLOOD_WAIT_90", "Try again in 90 seconds"),
    ):
        with town.failing("auth.signIn", error, times=1):
            await boss.tap_code(code)
            assert words in (await boss.chat.see("3 of 3")).text, error
    await boss.chat.press("1")
    assert "_ _ _ _ _" in (await boss.chat.press("⌫")).text
    with town.failing("auth.resendCode", "406 SEND_CODE_UNAVAILABLE", times=1):
        assert "no other way" in (await boss.chat.press("Send again")).text
    await boss.chat.press("Send again")
    assert "_ _ _ _ _" in (await boss.chat.screen()).text
    await boss.go("Another number")
    await boss.chat.send(f"+{user.phone}")
    await boss.chat.see("Tap it in below")
    await boss.tap_code(town.sandbox.login_code(f"+{user.phone}"))
    await boss.chat.see("Recommended settings")
    assert devices(town, user) == 1


async def test_a_code_that_is_typed_is_void_and_that_is_said(town: Town, boss: Boss) -> None:
    user = town.somebody()
    code = await asked_for_code(town, boss, user)
    screen = await boss.chat.send(code)
    assert "voids codes that are typed" in screen.text
    assert "_ _ _ _ _" in screen.text
    assert devices(town, user) == 0
    assert code not in [message.message async for message in boss.person.client.iter_messages("siptg_bot")]


async def test_a_password_is_recovered_by_e_mail_after_a_warning_that_it_will_be_off(town: Town, boss: Boss) -> None:
    user = town.somebody(password="tea at five", hint="afternoon", email="shop@example.org")
    await boss.tap_code(await asked_for_code(town, boss, user))
    screen = await boss.chat.see("Two-step verification")
    assert "afternoon" in screen.text
    assert "turns two-step verification off" in (await boss.go("A code by e-mail")).text
    assert "Ways on:" in (await boss.go("Back")).text
    screen = await boss.go("A code by e-mail", "I understand")
    assert "s**p@example.org" in screen.text or "@example.org" in screen.text
    code = town.sandbox.recovery_code(user)
    await boss.tap_code(other_than(code))
    assert "not the code" in (await boss.go("Done")).text
    await boss.tap_code(code)
    await boss.go("Done")
    screen = await boss.chat.see("Recommended settings")
    assert "is now off" in screen.text
    assert devices(town, user) == 1
    assert town.sandbox.telegram.world.password(user.id) is None


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [
        ("auth.requestPasswordRecovery", "400 PASSWORD_RECOVERY_NA", "has no recovery e-mail"),
        ("auth.requestPasswordRecovery", "420 FLOOD_WAIT_90", "Try again in 90 seconds"),
        ("auth.recoverPassword", "400 CODE_INVALID", "not the code"),
        ("auth.recoverPassword", "400 PASSWORD_RECOVERY_EXPIRED", "has expired"),
        ("auth.recoverPassword", "400 SOMETHING_NEW", "SOMETHING_NEW"),
        ("auth.recoverPassword", "420 FLOOD_WAIT_7200", "Try again in 2 hours"),
    ],
)
async def test_each_refusal_of_a_recovery_has_its_sentence_and_a_way_on(
    town: Town, boss: Boss, method: str, error: str, words: str
) -> None:
    user = town.somebody(password="tea at five", email="shop@example.org")
    await boss.tap_code(await asked_for_code(town, boss, user))
    await boss.chat.see("Two-step verification")
    await boss.go("A code by e-mail")
    if method == "auth.requestPasswordRecovery":
        with town.failing(method, error, times=1):
            assert words in (await boss.go("I understand")).text
        await boss.go("A code by e-mail")
        if "FLOOD" in error:  # until then Telegram is not asked again
            assert "Try again" in (await boss.go("I understand")).text
            return
    await boss.go("I understand")
    if method == "auth.recoverPassword":
        with town.failing(method, error, times=1):
            await boss.chat.say(town.sandbox.recovery_code(user))
            assert "Code by e-mail" in (await boss.chat.see(words)).text
        if "FLOOD" in error:
            await boss.chat.send(town.sandbox.recovery_code(user))
            assert "Try again" in (await boss.chat.screen()).text
            return
    await boss.chat.send(town.sandbox.recovery_code(user))
    await boss.chat.see("Recommended settings")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("400 PHONE_NUMBER_UNOCCUPIED", "Nobody has a Telegram account"),
        ("400 PHONE_NUMBER_BANNED", "recover@telegram.org"),
    ],
)
async def test_a_number_that_is_refused_with_its_code_is_asked_for_anew(
    town: Town, boss: Boss, error: str, words: str
) -> None:
    user = town.somebody()
    code = await asked_for_code(town, boss, user)
    with town.failing("auth.signIn", error, times=1):
        await boss.tap_code(code)
        assert words in (await boss.chat.see("2 of 3")).text
    await boss.chat.send(f"+{user.phone}")
    await boss.chat.see("Tap it in below")


async def test_a_number_that_no_telephone_can_have_is_not_asked_about(town: Town, boss: Boss) -> None:
    await asked_for_number(boss)
    with town.failing("auth.sendCode", "420 FLOOD_WAIT_7200"):
        for text in ("9" * 16, "＋" * 40, "+" + "1" * 4000):
            await boss.chat.say(text)
        await boss.chat.see("knows no such phone number")
        assert "Try again" not in (await boss.chat.screen()).text


async def test_a_recovery_code_may_be_typed(town: Town, boss: Boss) -> None:
    user = town.somebody(password="tea at five", email="shop@example.org")
    await boss.tap_code(await asked_for_code(town, boss, user))
    await boss.chat.see("Two-step verification")
    await boss.go("A code by e-mail", "I understand")
    await boss.chat.send(town.sandbox.recovery_code(user))
    await boss.chat.see("Recommended settings")


async def test_a_password_is_never_asked_for_and_one_that_comes_all_the_same_is_deleted(town: Town, boss: Boss) -> None:
    user = town.somebody(password="tea at five")
    await boss.tap_code(await asked_for_code(town, boss, user))
    screen = await boss.chat.see("Two-step verification")
    assert "has no recovery e-mail" in screen.text
    assert "✉️ A code by e-mail" not in screen.labels
    screen = await boss.chat.send("tea at five")
    assert "never send passwords" in screen.text
    assert devices(town, user) == 0
    assert "tea at five" not in [message.message async for message in boss.person.client.iter_messages("siptg_bot")]
    screen = await boss.go("At the terminal")
    assert f"siptg session set N --administrator {boss.user.id}" in screen.text


async def test_a_qr_code_is_shown_renewed_and_scanned(town: Town, boss: Boss) -> None:
    user = town.somebody()
    async with town.boss(user) as owner:
        await asked_for_number(boss)
        with town.but(qr_lifetime_s=1):
            await boss.go("By QR code")
            screen = await boss.chat.see("Scan this")
            assert screen.has_picture
            first = await boss.chat.picture(screen)
            token = newest_token(town)
            await eventually(lambda: newest_token(town) != token)
        async with asyncio.timeout(5):
            while (await boss.chat.picture()) == first:  # noqa: ASYNC110 - a test looks from outside
                await asyncio.sleep(0.1)
        token = newest_token(town)
        assert await boss.chat.picture() == qr_of(token)
        await owner.person.client(functions.auth.AcceptLoginTokenRequest(token))
        await boss.chat.see("Recommended settings")
        assert devices(town, user) == 2


def newest_token(town: Town) -> bytes:
    return next(reversed(town.sandbox.telegram.logins._tokens))


def qr_of(token: bytes) -> bytes:
    url = f"tg://login?token={base64.urlsafe_b64encode(token).decode().rstrip('=')}"
    drawn = io.BytesIO()
    segno.make(url, error="m").save(drawn, kind="png", scale=8, border=3)
    return drawn.getvalue()


async def test_a_qr_code_of_somebody_with_a_password_leads_to_the_ways_on(town: Town, boss: Boss) -> None:
    user = town.somebody(password="tea at five", email="shop@example.org")
    async with town.boss(user) as owner:
        await asked_for_number(boss)
        await boss.go("By QR code")
        await boss.chat.see("Scan this")
        token = newest_token(town)
        await owner.person.client(functions.auth.AcceptLoginTokenRequest(token))
        assert "✉️ A code by e-mail" in (await boss.chat.see("Two-step verification")).labels


@pytest.mark.parametrize("step", ["storage", "number", "code", "password", "recovery", "qr"])
async def test_every_step_can_be_cancelled_and_leaves_nothing(town: Town, boss: Boss, step: str) -> None:
    user = town.somebody(password="tea at five", email="shop@example.org")
    await boss.chat.send("/gateway")
    await boss.go("Connect a session")
    if step != "storage":
        await boss.go("On this gateway")
    if step == "qr":
        await boss.go("By QR code")
        await boss.chat.see("Scan this")
    if step in ("code", "password", "recovery"):
        await boss.tap_code((await asked_for_code(town, boss, user))[: 1 if step == "code" else None])
    if step in ("password", "recovery"):
        await boss.chat.see("Two-step verification")
    if step == "recovery":
        await boss.go("A code by e-mail", "I understand")
    assert (await boss.go("Cancel")).answer == "Cancelled"
    await boss.chat.see("No Telegram account is connected yet")
    assert devices(town, user) == 0
    assert "did not ask for anything" in (await boss.chat.send("12345")).text


async def test_keys_of_a_keypad_that_is_no_more_lead_to_a_beginning(town: Town, boss: Boss) -> None:
    user = town.somebody()
    await asked_for_code(town, boss, user)
    keypad = await boss.chat.screen()
    await boss.go("Cancel")
    assert "from another time" in (await boss.chat.press("5", on=keypad)).answer
    assert "begin again" in (await boss.chat.press("Send again", on=keypad)).text.lower()


async def test_a_session_of_another_administrator_can_not_be_taken(town: Town, boss: Boss) -> None:
    user = town.somebody()
    async with town.boss() as other:
        await other.tap_code(await asked_for_code(town, other, user))
        await other.chat.see("Recommended settings")
        await boss.tap_code(await asked_for_code(town, boss, user))
        await boss.chat.see("already connected by another administrator")
        assert town.gateway.accounts.list(boss.asker) == []
        assert len(town.gateway.accounts.list(other.asker)) == 1
        assert devices(town, user) == 1


async def test_own_storage_has_its_place_and_comes_later(boss: Boss) -> None:
    await boss.chat.send("/gateway")
    await boss.go("Connect a session")
    screen = await boss.chat.press("In my own storage")
    assert screen.is_alert
    assert "later version" in screen.answer


async def test_a_telegram_that_can_not_be_reached_is_told(town: Town, boss: Boss) -> None:
    boss.person.patience_s = 30
    await asked_for_number(boss)
    with town.but(accepts_connections=False):
        await boss.chat.send(f"+{town.somebody().phone}")
        assert "can't be reached" in (await boss.chat.see("2 of 3")).text

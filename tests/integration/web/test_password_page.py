"""The password of two-step verification is typed on a page, and the wizard in the chat goes on by itself."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from socket import SOCK_STREAM
from typing import Any

import aiohttp
import pytest

from gateway.control import password_links
from gateway.sandbox.world import User
from gateway.sip.listen import free_port
from gateway.web.pages import pages
from gateway.web.settings import WebSettings
from tests.integration.bot.town import Boss, Town, eventually

PASSWORD = "tea at five, пять & <more>"


@pytest.fixture(autouse=True)
def _address() -> None:
    """Each test comes from an address of its own, as its proxy says."""
    Browser.address = f"198.51.100.{next(_ADDRESSES)}"


_ADDRESSES = itertools.count(1)


class Browser:
    """What a person opens the link with: it keeps cookies, and follows where it is sent."""

    address = ""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.status = 0
        self.headers: Any = {}
        self.html = ""

    async def load(self) -> str:
        async with self.session.get(self.url, headers={"X-Forwarded-For": self.address}) as answer:
            return await self._seen(answer)

    async def type(self, password: str, *, form: str | None = None, **headers: str) -> str:
        """Fill in the form that is shown, and send it."""
        nonce = re.search(r'name="form" value="([^"]+)"', self.html)
        data = {"form": form if form is not None else nonce[1] if nonce else "", "password": password}
        asked = {"X-Forwarded-For": self.address, **headers}
        async with self.session.post(self.url, data=data, headers=asked) as answer:
            return await self._seen(answer)

    async def _seen(self, answer: aiohttp.ClientResponse) -> str:
        self.status, self.headers, self.html = answer.status, answer.headers, await answer.text()
        return self.html


@asynccontextmanager
async def browser(url: str) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        opened = Browser(session, url)
        await opened.load()
        yield opened


async def asked_for_password(town: Town, boss: Boss, user: User, *labels: str) -> None:
    await boss.chat.send("/gateway")
    await boss.go(*(labels or ("Connect a session", "On this gateway")))
    await boss.chat.send(f"+{user.phone}")
    await boss.chat.see("Tap it in below" if not labels else "Наберите")
    await boss.tap_code(town.sandbox.login_code(f"+{user.phone}"))


async def link_of(boss: Boss, button: str = "On a page", label: str = "Open the page") -> str:
    screen = await boss.go(button)
    url: str = screen.button(label).type.url
    return url


def devices(town: Town, user: User) -> int:
    return len(town.sandbox.authorizations(user))


async def test_a_password_is_typed_on_the_page_and_the_chat_goes_on_by_itself(
    town: Town, boss: Boss, capfd: pytest.CaptureFixture[str]
) -> None:
    user = town.somebody(password=PASSWORD, hint="at <five>")
    await asked_for_password(town, boss, user)
    screen = await boss.chat.see("Two-step verification")
    assert "On a page of the gateway" in screen.text
    assert "A code by e-mail" not in screen.text  # it has none
    url = await link_of(boss)
    async with browser(url) as page:
        assert page.status == HTTPStatus.OK
        assert "at &lt;five&gt;" in page.html
        assert 'type="password"' in page.html
        await page.type("tea at six")
        assert page.status == HTTPStatus.OK  # after a redirect: a reload sends nothing
        assert "That is not the password. 4 attempts are left." in page.html
        assert "tea at six" not in page.html
        await page.load()
        assert "4 attempts are left" in page.html
        await page.type(PASSWORD)
        assert "The account is connected" in page.html
        assert "Connected" in (await boss.chat.see("Recommended settings")).text
        assert devices(town, user) == 1
        assert town.sandbox.telegram.world.password(user.id) is not None
        [view] = town.gateway.accounts.list(boss.asker)
        assert view.account.user_id == user.id
        # The link was good for that once.
        await page.type(PASSWORD)
        assert "The account is connected" in page.html
        assert devices(town, user) == 1
    told = "".join(capfd.readouterr())
    assert PASSWORD not in told
    assert "tea at six" not in told
    assert url.rpartition("/")[2] not in told


async def test_the_page_is_kept_by_nobody_and_asks_nothing_of_others(town: Town, boss: Boss) -> None:
    await asked_for_password(town, boss, town.somebody(password=PASSWORD))
    async with browser(await link_of(boss)) as page:
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "aiohttp" not in page.headers["Server"]
        cookie = page.headers["Set-Cookie"]
        assert "SameSite=Strict" in cookie
        assert "HttpOnly" in cookie
        assert not re.search(r"<script|https?://|url\(|\bon\w+=", page.html)
        token = page.url.rpartition("/")[2]
        assert len(token) >= 22  # 128 bits, in letters that stand for six each
        await page.session.get(page.url.replace(token, "x" * len(token)))
        async with page.session.get(page.url.replace(token, "..%2f..%2fetc")) as other:
            assert other.status == HTTPStatus.NOT_FOUND
            assert other.headers["Content-Security-Policy"] == policy


async def test_the_page_speaks_the_language_of_the_chat(town: Town) -> None:
    async with town.boss(language="ru") as boss:
        user = town.somebody(password=PASSWORD, hint="чай")
        await asked_for_password(town, boss, user, "Подключить сессию", "На этом шлюзе")
        async with browser(await link_of(boss, "На странице", "Открыть страницу")) as page:
            assert '<html lang="ru">' in page.html
            assert "Ваша подсказка: чай" in page.html
            await page.type("кофе")
            assert "Это не тот пароль. Осталось 4 попытки." in page.html
            await page.type(PASSWORD)
            assert "Аккаунт подключён" in page.html
        await boss.chat.see("Рекомендуемые настройки")


async def test_behind_a_proxy_the_cookie_is_for_its_path_and_for_tls_alone(town: Town, boss: Boss) -> None:
    await asked_for_password(town, boss, town.somebody(password=PASSWORD))
    token = (await link_of(boss)).rpartition("/")[2]
    port = free_port("127.0.0.1", SOCK_STREAM)
    links = town.gateway.password_links
    assert links is not None
    settings = WebSettings(public_url="https://pbx.example.com/tg", pages_port=port)
    url = f"http://127.0.0.1:{port}/password/{token}"
    async with pages(settings, links), browser(url) as page:
        cookie = page.headers["Set-Cookie"]
        assert "; Secure" in cookie
        assert f"Path=/tg/password/{token};" in cookie


async def test_a_link_is_void_with_a_newer_one_and_with_its_login(town: Town, boss: Boss) -> None:
    user = town.somebody(password=PASSWORD)
    await asked_for_password(town, boss, user)
    first = await link_of(boss)
    second = await link_of(boss, "A new link")
    assert first != second
    async with browser(first) as page:
        assert page.status == HTTPStatus.NOT_FOUND
        assert "ask for a new link" in page.html
    async with browser(second) as page:
        await boss.go("Cancel")
        await page.type(PASSWORD)
        assert page.status == HTTPStatus.GONE
        assert "not valid any more" in page.html
    assert devices(town, user) == 0
    await boss.chat.see("No Telegram account is connected yet")


async def test_a_link_that_has_expired_is_told_on_the_page_and_in_the_chat(
    town: Town, boss: Boss, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = town.somebody(password=PASSWORD)
    await asked_for_password(town, boss, user)
    links = town.gateway.password_links
    assert links is not None
    monkeypatch.setattr(links, "_live_s", 0.3)
    url = await link_of(boss)
    await boss.chat.see("not valid any more")
    async with browser(url) as page:
        assert page.status == HTTPStatus.NOT_FOUND
    monkeypatch.undo()
    async with browser(await link_of(boss)) as page:
        await page.type(PASSWORD)
    await boss.chat.see("Recommended settings")


async def test_after_five_wrong_passwords_another_link_is_needed(town: Town, boss: Boss) -> None:
    user = town.somebody(password=PASSWORD)
    await asked_for_password(town, boss, user)
    async with browser(await link_of(boss)) as page:
        for left in range(password_links.TRIES - 1, 0, -1):
            assert f"{left} attempt" in await page.type(f"guess {left}") or left == 1
        assert "takes no more attempts" in await page.type("guess 0")
        assert page.status == HTTPStatus.GONE
        assert "takes no more attempts" in await page.type(PASSWORD)
    assert "Too many wrong passwords" in (await boss.chat.see("Two-step verification")).text
    assert devices(town, user) == 0
    async with browser(await link_of(boss)) as page:
        await page.type(PASSWORD)
    await boss.chat.see("Recommended settings")


@pytest.mark.parametrize("forgery", ["no cookie", "another form", "another site", "another type"])
async def test_what_the_page_itself_has_not_sent_is_no_attempt(town: Town, boss: Boss, forgery: str) -> None:
    user = town.somebody(password=PASSWORD)
    await asked_for_password(town, boss, user)
    async with browser(await link_of(boss)) as page:
        cookies = page.session.cookie_jar
        match forgery:
            case "no cookie":
                kept = {cookie.key: cookie.value for cookie in cookies}
                cookies.clear()
                await page.type(PASSWORD)
                assert kept
            case "another form":
                await page.type(PASSWORD, form="x" * 22)
            case "another site":
                await page.type(PASSWORD, **{"Sec-Fetch-Site": "cross-site"})
            case "another type":
                sent = {"password": PASSWORD}
                headers = {"X-Forwarded-For": page.address}
                async with page.session.post(page.url, json=sent, headers=headers) as answer:
                    page.status, page.html = answer.status, await answer.text()
        assert page.status == HTTPStatus.FORBIDDEN
        assert "was not sent by this page" in page.html
        assert devices(town, user) == 0
        await page.type(PASSWORD)  # by what is shown now
        assert "The account is connected" in page.html
    await boss.chat.see("Recommended settings")


async def test_whoever_guesses_links_is_turned_away_by_his_address_and_nobody_else(town: Town, boss: Boss) -> None:
    await asked_for_password(town, boss, town.somebody(password=PASSWORD))
    async with browser(await link_of(boss)) as page:
        url = page.url
        for guess in range(20):
            page.url = f"{url[:-8]}{guess:08}"
            await page.load()
            assert page.status == HTTPStatus.NOT_FOUND
        await page.load()
        assert page.status == HTTPStatus.TOO_MANY_REQUESTS
        page.url = url
        await page.load()
        assert page.status == HTTPStatus.TOO_MANY_REQUESTS
        Browser.address = f"203.0.113.7, {Browser.address}"  # he can't say that he is somebody else
        await page.load()
        assert page.status == HTTPStatus.TOO_MANY_REQUESTS
        both = (("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", Browser.address))
        async with page.session.get(page.url, headers=both) as answer:
            assert answer.status == HTTPStatus.TOO_MANY_REQUESTS
        Browser.address = "203.0.113.8"
        await page.load()
        assert page.status == HTTPStatus.OK


async def test_a_form_beyond_all_measure_is_refused(town: Town, boss: Boss) -> None:
    await asked_for_password(town, boss, town.somebody(password=PASSWORD))
    async with browser(await link_of(boss)) as page:
        await page.type("x" * 5000)
        assert page.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        await page.load()
        await page.type(PASSWORD)
        assert "The account is connected" in page.html


async def test_a_form_that_is_sent_twice_at_once_connects_once(town: Town, boss: Boss) -> None:
    user = town.somebody(password=PASSWORD)
    await asked_for_password(town, boss, user)
    async with browser(await link_of(boss)) as page:
        twice = Browser(page.session, page.url)
        twice.html = page.html
        await asyncio.gather(page.type(PASSWORD), twice.type(PASSWORD))
        assert "The account is connected" in page.html
        assert "The account is connected" in twice.html
    await boss.chat.see("Recommended settings")
    assert devices(town, user) == 1


async def test_a_link_by_which_a_password_is_just_tried_is_not_replaced(town: Town, boss: Boss) -> None:
    user = town.somebody(password=PASSWORD)
    await asked_for_password(town, boss, user)
    late = town.sandbox.fault("auth.checkPassword", kind="delay", delay_s=1.5, times=1)
    async with browser(await link_of(boss)) as page:
        typing = asyncio.create_task(page.type(PASSWORD))
        await eventually(lambda: late.happened > 0)
        await boss.go("Back")
        assert await link_of(boss) == page.url
        assert "The account is connected" in await typing
    await boss.chat.see("Recommended settings")
    assert devices(town, user) == 1


async def test_an_account_of_another_administrator_is_not_connected_and_the_chat_says_why(
    town: Town, boss: Boss
) -> None:
    user = town.somebody(password=PASSWORD)
    async with town.boss() as other:
        await asked_for_password(town, other, user)
        async with browser(await link_of(other)) as page:
            await page.type(PASSWORD)
        await other.chat.see("Recommended settings")
    await asked_for_password(town, boss, user)
    async with browser(await link_of(boss)) as page:
        await page.type(PASSWORD)
        assert "could not be connected" in page.html
    await boss.chat.see("already connected by another administrator")
    assert devices(town, user) == 1


async def test_telegram_that_floods_or_fails_is_told_on_the_page(town: Town, boss: Boss) -> None:
    user = town.somebody(password=PASSWORD)
    await asked_for_password(town, boss, user)
    async with browser(await link_of(boss)) as page:
        for error, words in (
            ("400 SOMETHING_NEW", "calls it “SOMETHING_NEW”"),
            ("420 FLOOD_WAIT_90", "Try again in 2 min"),
        ):
            with town.failing("auth.checkPassword", error, times=1):
                assert words in await page.type(PASSWORD)
        await boss.go("Back")
        screen = await boss.chat.see("Two-step verification")
        assert "🔐 On a page" in screen.labels
